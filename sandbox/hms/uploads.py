"""Uploading to and signing for a bucket, as 100ms does it: multipart, with the registered key, region and prefix.

Nothing but the sandbox's own servers is reached: a storage type has an endpoint here, or uploads to it fail.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sandbox.hms.storage import Storage

if TYPE_CHECKING:
    import boto3
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

PART_BYTES: Final = 5 * 1024 * 1024
_TIMEOUT_SECONDS: Final = 20


class UploadError(Exception):
    """The bucket refused; the message is the provider's error code or the kind of failure."""


class Uploader:
    """Clients for the sandbox's object stores; `endpoints` maps a storage type to an address."""

    def __init__(self, endpoints: Mapping[str, str], authority: Path) -> None:
        self._endpoints = endpoints
        self._authority = authority
        self._lock = threading.Lock()
        self._session: boto3.Session | None = None

    def upload(self, storage: Storage, object_key: str, file: Path, content_type: str = "video/mp4") -> None:
        """Upload in parts of 5 MiB. Raises UploadError, with no parts left behind if the key may abort."""
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            client, bucket = self._client(storage), storage.location
            started = client.create_multipart_upload(Bucket=bucket, Key=object_key, ContentType=content_type)
            upload_id = started["UploadId"]
            try:
                _send_parts(client, bucket, object_key, upload_id, file)
            except BaseException:
                client.abort_multipart_upload(Bucket=bucket, Key=object_key, UploadId=upload_id)
                raise
        except ClientError as error:
            raise UploadError(error.response["Error"].get("Code", "unknown")) from None
        except (BotoCoreError, Boto3Error, OSError) as error:
            raise UploadError(type(error).__name__) from None

    def sign(self, storage: Storage, object_key: str, seconds: int) -> str:
        """A presigned URL, signed with the registered key; whether that key may read shows when it is used."""
        target = {"Bucket": storage.location, "Key": object_key}
        return self._client(storage).generate_presigned_url("get_object", Params=target, ExpiresIn=seconds)

    def ensure_bucket(self, storage: Storage) -> None:
        """Make 100ms' own bucket. Raises UploadError."""
        from botocore.exceptions import ClientError

        client = self._client(storage)
        try:
            if storage.region == "us-east-1":
                client.create_bucket(Bucket=storage.location)
            else:
                place: Any = {"LocationConstraint": storage.region}
                client.create_bucket(Bucket=storage.location, CreateBucketConfiguration=place)
        except ClientError as error:
            if error.response["Error"].get("Code") != "BucketAlreadyOwnedByYou":
                raise UploadError(error.response["Error"].get("Code", "unknown")) from None

    def _client(self, storage: Storage) -> S3Client:
        if storage.type not in self._endpoints:
            raise UploadError(f"no storage of type {storage.type} in this sandbox")
        import boto3  # only who records needs it
        from botocore.config import Config

        with self._lock:
            self._session = self._session or boto3.Session()
            client = self._session.client(
                "s3",
                endpoint_url=self._endpoints[storage.type],
                aws_access_key_id=storage.key,
                aws_secret_access_key=storage.secret,
                region_name=storage.region,
                verify=str(self._authority),
                config=Config(
                    signature_version="s3v4",
                    s3={"addressing_style": "path"},
                    retries={"total_max_attempts": 2},
                    connect_timeout=_TIMEOUT_SECONDS,
                    read_timeout=_TIMEOUT_SECONDS,
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                ),
            )
        client.meta.events.register("before-call.s3", _stay_in_region)
        return client


def _stay_in_region(context: dict[str, Any], **_: Any) -> None:
    """Keep boto3 from mending a wrong `options.region` by itself: that upload fails with 100ms."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _send_parts(client: S3Client, bucket: str, key: str, upload_id: str, file: Path) -> None:
    parts: list[CompletedPartTypeDef] = []
    with file.open("rb") as source:
        while content := source.read(PART_BYTES):
            number = len(parts) + 1
            answer = client.upload_part(Bucket=bucket, Key=key, UploadId=upload_id, PartNumber=number, Body=content)
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    client.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload_id, MultipartUpload={"Parts": parts})
