"""What guards an S3 bucket, as the operator sees it: `Guards` out of three answers.

Owns reading alone; `components.s3` declares. A rule with a filter that is no prefix (tags, sizes) holds for some
objects only, so that it counts for none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import ClientError

from recordings.stores.base import Guards, LifecycleRule
from recordings.stores.s3_errors import code_of

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_BLOCKS: Final = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")


def guards(client: S3Client, bucket: str) -> Guards:
    """GetPublicAccessBlock, GetBucketVersioning, GetBucketLifecycleConfiguration. Raises ClientError."""
    blocks = _unless("NoSuchPublicAccessBlockConfiguration", lambda: client.get_public_access_block(Bucket=bucket))
    rules = _unless("NoSuchLifecycleConfiguration", lambda: client.get_bucket_lifecycle_configuration(Bucket=bucket))
    return Guards(
        refuses_public_access=all(blocks.get("PublicAccessBlockConfiguration", {}).get(name) for name in _BLOCKS),
        keeps_versions=client.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled",
        lifecycle=tuple(_rules(rules.get("Rules", ()))),
    )


def _unless(code: str, ask: Any) -> Mapping[str, Any]:
    try:
        answer: Mapping[str, Any] = ask()
    except ClientError as error:
        if code_of(error) != code:
            raise
        return {}
    return answer


def _rules(found: Any) -> Iterator[LifecycleRule]:
    for rule in found:
        filters = rule.get("Filter") or {}
        if rule.get("Status") == "Enabled" and not set(filters) - {"Prefix"}:
            yield LifecycleRule(
                prefix=filters.get("Prefix", rule.get("Prefix", "")),
                expires_days=rule.get("Expiration", {}).get("Days"),
                old_versions_days=rule.get("NoncurrentVersionExpiration", {}).get("NoncurrentDays"),
                abort_uploads_days=rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
            )
