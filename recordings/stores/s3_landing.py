"""How bytes land in a bucket on Amazon S3: presigned requests for the bytes, botocore for what is small.

S3 says the CRC64NVME of each part that came, which is compared with what was sent; the upload is completed with that
of the whole object, on condition that no object is there. With checksum type FULL_OBJECT a part needs none of its own.

Sources, in the Amazon S3 API Reference: API_CreateMultipartUpload, API_UploadPart, API_ListParts,
API_CompleteMultipartUpload (If-None-Match, x-amz-checksum-type, x-amz-mp-object-size), API_PutObject, API_HeadObject
(x-amz-checksum-mode); in the User Guide: "Checking object integrity for data uploads".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from botocore.exceptions import ClientError

from recordings.errors import PreconditionError, StoreError
from recordings.stores.base import Store
from recordings.stores.checksums import CRC64NVME
from recordings.stores.landing import DamagedError, Landed, LandedPart, Request, Target
from recordings.stores.s3 import S3Store
from recordings.stores.s3_errors import code_of, mapped

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_CHECKSUM: Final = "x-amz-checksum-crc64nvme"
_MODE: Final = "x-amz-checksum-mode"
_MARK: Final = "recording-asset"
_SECONDS: Final = 3600
"""How long a presigned request is good for: it is used at once."""
_DAMAGED: Final = frozenset({"BadDigest", "InvalidPart"})
_CONFLICTS: Final = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "412", "409"})


def open_landing(store: Store) -> S3Landing:
    """The landing of the bucket that `store` is, as the operator."""
    assert isinstance(store, S3Store)
    return S3Landing(store)


class S3Landing:
    """One S3 bucket as the operator; see `Landing` for what each method promises."""

    checksum = CRC64NVME

    def __init__(self, store: S3Store) -> None:
        self.store: Store = store
        self._s3 = store

    def look(self, target: Target) -> Landed | None:
        """HeadObject, with checksums."""
        with mapped(self._what("HeadObject", target)):
            try:
                answer = self._s3.client.head_object(Bucket=self._s3.bucket, Key=target.key, ChecksumMode="ENABLED")
            except ClientError as error:
                if code_of(error) in ("404", "NoSuchKey"):
                    return None
                raise
        return self.seen(answer["ResponseMetadata"]["HTTPHeaders"])

    def glance(self, target: Target) -> Request:
        """HeadObject."""
        return self._presigned(target, (), {_MODE: "ENABLED"}, {}, method="HEAD")

    def seen(self, headers: Mapping[str, str]) -> Landed:
        """From the headers of HeadObject."""
        whole = headers.get("x-amz-checksum-type", "FULL_OBJECT") == "FULL_OBJECT"
        checksum = CRC64NVME.value(headers.get(_CHECKSUM)) if whole else None
        return Landed(int(headers["content-length"]), checksum, headers.get(f"x-amz-meta-{_MARK}"))

    def single(self, target: Target, size: int, checksum: int) -> Request:
        """PutObject."""
        signed = {_CHECKSUM: CRC64NVME.text(checksum), f"x-amz-meta-{_MARK}": target.mark}
        unsigned = {"If-None-Match": "*", "Content-Type": target.content_type}
        return self._presigned(target, (), signed, unsigned)

    def begin(self, target: Target) -> str:
        """CreateMultipartUpload."""
        with mapped(self._what("CreateMultipartUpload", target)):
            return self._s3.client.create_multipart_upload(
                Bucket=self._s3.bucket,
                Key=target.key,
                ContentType=target.content_type,
                Metadata={_MARK: target.mark},
                ChecksumAlgorithm="CRC64NVME",
                ChecksumType="FULL_OBJECT",
            )["UploadId"]

    def part(self, target: Target, upload_id: str, number: int) -> Request:
        """UploadPart."""
        return self._presigned(target, (("partNumber", str(number)), ("uploadId", upload_id)), {}, {})

    def said(self, headers: Mapping[str, str]) -> int | None:
        """S3 computes it where the upload was begun with this algorithm."""
        return CRC64NVME.value(headers.get(_CHECKSUM))

    def parts(self, target: Target, upload_id: str) -> Sequence[LandedPart]:
        """ListParts, page by page."""
        with mapped(self._what("ListParts", target)):
            pages = self._s3.client.get_paginator("list_parts").paginate(
                Bucket=self._s3.bucket, Key=target.key, UploadId=upload_id
            )
            return [
                LandedPart(
                    found["PartNumber"],
                    found["Size"],
                    found["ETag"].strip('"'),
                    CRC64NVME.value(found.get("ChecksumCRC64NVME")),
                )
                for page in pages
                for found in page.get("Parts", ())
            ]

    def complete(self, target: Target, upload_id: str, parts: Sequence[LandedPart], checksum: int) -> None:
        """CompleteMultipartUpload."""
        listed = [_listed(part) for part in parts]
        what = self._what("CompleteMultipartUpload", target)
        with mapped(what):
            try:
                self._s3.client.complete_multipart_upload(
                    Bucket=self._s3.bucket,
                    Key=target.key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": listed},
                    ChecksumCRC64NVME=CRC64NVME.text(checksum),
                    ChecksumType="FULL_OBJECT",
                    MpuObjectSize=sum(part.size for part in parts),
                    IfNoneMatch="*",
                )
            except ClientError as error:
                if code_of(error) in _CONFLICTS:
                    raise PreconditionError(f"{what}: an object is there") from None
                if code_of(error) in _DAMAGED:
                    raise DamagedError(f"{what}: the parts have other bytes than were sent; run it again") from None
                raise

    def abort(self, target: Target, upload_id: str) -> None:
        """AbortMultipartUpload."""
        self._s3.abort_upload(target.key, upload_id)

    def refusal(self, status: int, body: bytes, what: str) -> StoreError:
        """From an answer of the REST API."""
        return self._s3.refusal(status, body, what)

    def _presigned(
        self,
        target: Target,
        query: Sequence[tuple[str, str]],
        signed: dict[str, str],
        unsigned: dict[str, str],
        method: str = "PUT",
    ) -> Request:
        url = self._s3.presigner.url(
            target.key, seconds=_SECONDS, at=datetime.now(UTC), method=method, query=query, headers=signed
        )
        return Request(method, url, {**signed, **unsigned})

    def _what(self, operation: str, target: Target) -> str:
        return f"{operation} on s3://{self._s3.bucket}/{target.key} as operator"


def _listed(part: LandedPart) -> CompletedPartTypeDef:
    listed: CompletedPartTypeDef = {"PartNumber": part.number, "ETag": f'"{part.etag}"'}
    if part.checksum is not None:
        listed["ChecksumCRC64NVME"] = CRC64NVME.text(part.checksum)
    return listed
