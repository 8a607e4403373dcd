"""What S3 asks of KMS on behalf of the caller, and ministack does not: the key must be there and be allowed.

Source: the Amazon S3 User Guide, "Using server-side encryption with AWS KMS keys": uploads need kms:GenerateDataKey,
parts of a multipart upload kms:Decrypt, downloads kms:Decrypt.
"""

from __future__ import annotations

from typing import Final

from sandbox.servers.aws.emulator import Headers
from sandbox.servers.aws.errors import Answer, s3_error
from sandbox.servers.aws.s3_rules import S3Request

_ALGORITHM: Final = "x-amz-server-side-encryption"
_KEY: Final = "x-amz-server-side-encryption-aws-kms-key-id"


def encryption_rule(request: S3Request) -> Answer | None:
    """Refuse what KMS would. Objects under the account's default key (`aws/s3`) are everybody's who may use S3."""
    needed = _needed(request)
    if needed is None:
        return None
    action, key = needed
    arn = request.emulator.kms_key(key)
    if arn is None:
        return s3_error(400, "KMS.NotFoundException", f"Key '{key}' does not exist")
    denied = request.emulator.denied(f"kms:{action}", arn, request.headers, request.query)
    return None if denied is None else s3_error(403, "AccessDenied", denied)


def _needed(request: S3Request) -> tuple[str, str] | None:
    """The action and the key that a request needs, if it touches something under a key."""
    upload_id = request.query.get("uploadId", [""])[0]
    if not request.key:
        return None
    if upload_id and request.method in ("PUT", "POST"):
        return _under("Decrypt", request.emulator.upload_headers(upload_id))
    if request.reads_object and request.method == "GET":
        version = request.query.get("versionId", [""])[0]
        return _under("Decrypt", request.emulator.object_headers(request.bucket, request.key, version))
    starts = request.method == "POST" and "uploads" in request.query
    if starts or (request.method == "PUT" and not set(request.query) - {"x-id"}):
        own: Headers = {name: request.headers[name] for name in (_ALGORITHM, _KEY) if name in request.headers}
        return _under("GenerateDataKey", own or request.emulator.default_encryption(request.bucket))
    return None


def _under(action: str, headers: dict[str, str]) -> tuple[str, str] | None:
    key = headers.get(_KEY)
    return (action, key) if headers.get(_ALGORITHM) == "aws:kms" and key else None
