"""Amazon S3 (and what speaks its API at another endpoint) as a `Store`.

Owns which request each method is, and what its answer means. The client comes from `s3_connection`, errors are mapped
in `s3_errors`, URLs are signed in `recordings.signing`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from recordings.errors import AccessDeniedError, ObjectNotFoundError, StoreError, StoreUnreachableError
from recordings.outputs import StackOutputs
from recordings.signing import Download, Presigner, encode_key
from recordings.stores.base import AccessKey, Guards, Identity, ObjectInfo, ObjectVersion, Part, SignedUrl, Upload
from recordings.stores.s3_connection import ATTEMPTS, Connection
from recordings.stores.s3_errors import code_of, from_response, mapped, translate_code
from recordings.stores.s3_guards import guards

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ObjectIdentifierTypeDef

BATCH: Final = 1000


def open_store(outputs: StackOutputs, identity: Identity | AccessKey) -> S3Store:
    """The stack's bucket as `identity`: see `recordings.stores.open_store`."""
    if isinstance(identity, AccessKey):
        return S3Store(outputs, "key " + identity.id, identity)
    match identity:
        case Identity.OPERATOR:
            return S3Store(outputs, "operator", None)
        case Identity.WRITER:
            key = AccessKey(outputs.writer_access_key_id, outputs.writer_secret_access_key)
        case Identity.READER:
            key = AccessKey(outputs.reader_access_key_id, outputs.reader_secret_access_key)
    return S3Store(outputs, identity.value, key)


class S3Store:
    """One S3 bucket as one identity; see `Store` for what each method promises."""

    scheme = "s3"
    refuses_plain_http = True

    def __init__(self, outputs: StackOutputs, who: str, key: AccessKey | None) -> None:
        self.bucket = outputs.bucket_name
        self._who = who
        self._connection = Connection(outputs, key)

    @property
    def client(self) -> S3Client:
        """The botocore client of this identity, for what the protocol does not have."""
        return self._connection.client

    @property
    def presigner(self) -> Presigner:
        """Signs URLs as this identity; asks nothing of S3. Raises StoreError if nobody is logged in."""
        with mapped(f"signing as {self._who}"):
            return self._connection.presigner

    def put(
        self,
        key: str,
        body: bytes,
        *,
        content_type: str = "application/octet-stream",
        if_match: str | None = None,
        if_none_match: bool = False,
    ) -> ObjectInfo:
        """PutObject."""
        conditions: dict[str, Any] = {}
        if if_match is not None:
            conditions["IfMatch"] = f'"{if_match}"'
        if if_none_match:
            conditions["IfNoneMatch"] = "*"
        with mapped(self._what("PutObject", key)):
            answer = self.client.put_object(
                Bucket=self.bucket, Key=key, Body=body, ContentType=content_type, **conditions
            )
        return ObjectInfo(
            key, len(body), _bare(answer["ETag"]), content_type=content_type, version_id=answer.get("VersionId")
        )

    def read(self, key: str, *, first: int | None = None, last: int | None = None) -> tuple[bytes, ObjectInfo]:
        """GetObject; a body that breaks off is asked for again."""
        what = self._what("GetObject", key)
        for attempt in range(1, ATTEMPTS + 1):
            with mapped(what):
                answer = self._get(key, first, last)
            try:
                with mapped(what):
                    return answer["Body"].read(), _info(key, answer)
            except StoreUnreachableError:
                if attempt == ATTEMPTS:
                    raise
                time.sleep(min(0.1 * 2**attempt, 20))
        raise AssertionError("unreachable: the last attempt returns or raises")

    def head(self, key: str) -> ObjectInfo:
        """HeadObject.

        A refused HEAD has no body, so the reason is asked for with a GET of one byte. A missing object is denied,
        not missing, to a key whose ListBucket is bound to a prefix, so a listing tells the two apart.
        """
        what = self._what("HeadObject", key)
        with mapped(what):
            try:
                return _info(key, self.client.head_object(Bucket=self.bucket, Key=key))
            except ClientError as error:
                if not code_of(error).isdigit():
                    raise
        try:
            with mapped(what):
                answer = self._get(key, 0, 0)
                answer["Body"].close()
                return _info(key, answer)
        except AccessDeniedError:
            if self._is_surely_missing(key):
                with mapped(what):
                    raise ClientError({"Error": {"Code": "NoSuchKey"}}, "HeadObject") from None
            raise

    def checksums(self, key: str) -> Mapping[str, str]:
        """HeadObject, with checksums, which are in no answer to a presigned GET of ours."""
        with mapped(self._what("HeadObject", key)):
            answer = self.client.head_object(Bucket=self.bucket, Key=key, ChecksumMode="ENABLED")
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        return {name: text for name, text in headers.items() if name == "etag" or name.startswith("x-amz-checksum-")}

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        """ListObjectsV2, page by page."""
        with mapped(self._what("ListObjectsV2", prefix + "*")):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for found in page.get("Contents", ()):
                    yield ObjectInfo(
                        found["Key"],
                        found["Size"],
                        _bare(found["ETag"]),
                        last_modified=found["LastModified"].astimezone(UTC),
                        storage_class=found.get("StorageClass"),
                    )

    def list_versions(self, prefix: str = "") -> Iterator[ObjectVersion]:
        """ListObjectVersions, page by page: of each key the latest first, so what took a version's place is known."""
        before: ObjectVersion | None = None
        with mapped(self._what("ListObjectVersions", prefix + "*")):
            for page in self.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix):
                found = [_version(version, is_marker=False) for version in page.get("Versions", ())]
                found += [_version(marker, is_marker=True) for marker in page.get("DeleteMarkers", ())]
                for version in sorted(found, key=lambda v: (v.key, not v.is_latest, -v.last_modified.timestamp())):
                    replaced = before is not None and before.key == version.key and not version.is_latest
                    yield replace(version, noncurrent_since=before.last_modified) if before and replaced else version
                    before = version

    def delete(self, key: str) -> None:
        """DeleteObject."""
        with mapped(self._what("DeleteObject", key)):
            self.client.delete_object(Bucket=self.bucket, Key=key)

    def delete_versions(self, versions: Iterable[ObjectVersion]) -> int:
        """DeleteObjects, a thousand at a time."""
        done, queue = 0, iter(versions)
        while batch := list(islice(queue, BATCH)):
            named: list[ObjectIdentifierTypeDef] = [{"Key": v.key, "VersionId": v.version_id} for v in batch]
            with mapped(self._what("DeleteObjects", batch[0].key)):
                answer = self.client.delete_objects(Bucket=self.bucket, Delete={"Objects": named, "Quiet": True})
            for failure in answer.get("Errors", ()):
                what = self._what("DeleteObjects", failure.get("Key", ""))
                raise translate_code(failure.get("Code", ""), failure.get("Message", ""), what)
            done += len(batch)
        return done

    def create_upload(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        """CreateMultipartUpload."""
        with mapped(self._what("CreateMultipartUpload", key)):
            answer = self.client.create_multipart_upload(Bucket=self.bucket, Key=key, ContentType=content_type)
        return answer["UploadId"]

    def upload_part(self, key: str, upload_id: str, number: int, body: bytes) -> Part:
        """UploadPart."""
        with mapped(self._what("UploadPart", key)):
            answer = self.client.upload_part(
                Bucket=self.bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=body
            )
        return Part(number, _bare(answer["ETag"]))

    def complete_upload(self, key: str, upload_id: str, parts: Sequence[Part]) -> None:
        """CompleteMultipartUpload."""
        with mapped(self._what("CompleteMultipartUpload", key)):
            self.client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=key,
                UploadId=upload_id,
                MultipartUpload={"Parts": [{"PartNumber": p.number, "ETag": f'"{p.etag}"'} for p in parts]},
            )

    def abort_upload(self, key: str, upload_id: str) -> None:
        """AbortMultipartUpload."""
        try:
            with mapped(self._what("AbortMultipartUpload", key)):
                self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload_id)
        except ObjectNotFoundError:
            return

    def list_uploads(self, prefix: str = "") -> Iterator[Upload]:
        """ListMultipartUploads, page by page."""
        with mapped(self._what("ListMultipartUploads", prefix + "*")):
            pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
            for page in pages:
                for found in page.get("Uploads", ()):
                    yield Upload(found["Key"], found["UploadId"], found["Initiated"].astimezone(UTC))

    def sign(
        self,
        key: str,
        expires: timedelta,
        *,
        filename: str | None = None,
        content_type: str | None = None,
        method: str = "GET",
        at: datetime | None = None,
    ) -> SignedUrl:
        """Presign with Signature Version 4; asks nothing of S3."""
        start = at or datetime.now(UTC)
        query = Download(key, filename, content_type).query()
        seconds = int(expires.total_seconds())
        url = self.presigner.url(key, seconds=seconds, at=start, method=method, query=query)
        return SignedUrl(url, start + timedelta(seconds=seconds))

    def sign_many(
        self, downloads: Iterable[Download], expires: timedelta, *, at: datetime | None = None
    ) -> Sequence[SignedUrl]:
        """Presign each with Signature Version 4; asks nothing of S3."""
        start = at or datetime.now(UTC)
        seconds = int(expires.total_seconds())
        end = start + timedelta(seconds=seconds)
        return [SignedUrl(url, end) for url in self.presigner.urls(downloads, seconds=seconds, at=start)]

    def url(self, key: str) -> str:
        """The plain URL, in the addressing style in which it would be signed."""
        with mapped(f"the address of s3://{self.bucket} as {self._who}"):
            base_url = self._connection.base_url
        return f"{base_url}/{encode_key(key)}"

    def refusal(self, status: int, body: bytes, what: str) -> StoreError:
        """From an answer of the REST API, which signed URLs lead to."""
        return from_response(status, body, what)

    def account(self) -> str:
        """GetCallerIdentity."""
        with mapped(f"GetCallerIdentity as {self._who}"):
            return self._connection.account()

    def guards(self) -> Guards:
        """Public-access block, versioning and lifecycle."""
        with mapped(self._what("reading the guards", "")):
            return guards(self.client, self.bucket)

    def bucket_region(self) -> str:
        """HeadBucket, which names the region even where it refuses."""
        with mapped(self._what("HeadBucket", "")):
            try:
                answer = self.client.head_bucket(Bucket=self.bucket)
                return answer.get("BucketRegion") or self._located()
            except ClientError as error:
                headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
                if region := headers.get("x-amz-bucket-region"):
                    return str(region)
                if code_of(error) == "404":
                    raise ClientError({"Error": {"Code": "NoSuchBucket"}}, "HeadBucket") from None
                raise

    def _located(self) -> str:
        """GetBucketLocation, whose empty answer means us-east-1 and whose `EU` eu-west-1."""
        named = str(self.client.get_bucket_location(Bucket=self.bucket).get("LocationConstraint") or "us-east-1")
        return "eu-west-1" if named == "EU" else named

    def _get(self, key: str, first: int | None, last: int | None) -> Any:
        if first is None and last is None:
            return self.client.get_object(Bucket=self.bucket, Key=key)
        wanted = f"bytes={first or 0}-{'' if last is None else last}"
        return self.client.get_object(Bucket=self.bucket, Key=key, Range=wanted)

    def _is_surely_missing(self, key: str) -> bool:
        """Whether this identity may list the key's own name, and nothing is there."""
        try:
            answer = self.client.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1)
        except ClientError:
            return False
        return all(found["Key"] != key for found in answer.get("Contents", ()))

    def _what(self, operation: str, key: str) -> str:
        return f"{operation} on s3://{self.bucket}/{key} as {self._who}"


def _bare(etag: str) -> str:
    return etag.strip('"')


def _info(key: str, answer: Any) -> ObjectInfo:
    """From the answer to GetObject or HeadObject; a partial one names the whole size in Content-Range."""
    total = str(answer.get("ContentRange", "")).rpartition("/")[2]
    modified: datetime | None = answer.get("LastModified")
    return ObjectInfo(
        key=key,
        size=int(total) if total.isdigit() else int(answer["ContentLength"]),
        etag=_bare(answer["ETag"]),
        content_type=answer.get("ContentType"),
        last_modified=modified.astimezone(UTC) if modified else None,
        storage_class=answer.get("StorageClass"),
        version_id=answer.get("VersionId"),
    )


def _version(found: Any, *, is_marker: bool) -> ObjectVersion:
    return ObjectVersion(
        key=found["Key"],
        version_id=found["VersionId"],
        is_latest=found["IsLatest"],
        is_marker=is_marker,
        size=0 if is_marker else found["Size"],
        last_modified=found["LastModified"].astimezone(UTC),
        storage_class=found.get("StorageClass"),
    )
