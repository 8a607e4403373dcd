"""What `S3RecordingStorage` takes, as Pulumi's component analyzer reads it.

Owns the form alone; the rules and defaults are those of `components.s3_settings.S3StorageSettings`, field by field.

No `from __future__ import annotations` here: the analyzer can't read annotations that are text.
"""

from typing import NotRequired, TypedDict

from components.s3_lifecycle import StorageClass
from recordings.adoption.parts import Part
from recordings.outputs import KeyStatus, WriterAccess


class TransitionArgs(TypedDict):
    """Move recordings to a cheaper storage class as they age."""

    storage_class: StorageClass
    """The class to move to, in the order of S3's waterfall."""
    after_days: int
    """Age in days."""


class ExternalKeyArgs(TypedDict):
    """An IAM user and its access key that exist already."""

    principal: str
    """ARN of the IAM user."""
    access_key_id: str
    """Id of its access key."""
    secret_access_key: str
    """Its secret; becomes a Pulumi secret."""


class FormerBucketArgs(TypedDict):
    """A bucket to download older recordings from."""

    bucket_name: str
    """Its name."""
    region: str
    """Its AWS region."""
    path_prefix: NotRequired[str]
    """Where recordings lie in it; empty or ending in '/'."""
    kms_key: NotRequired[str]
    """ARN of the KMS key that encrypts it."""


class S3RecordingStorageArgs(TypedDict):
    """What `S3RecordingStorage` takes; the rules are those of the configuration keys of the same names."""

    region: str
    """AWS region of the bucket."""
    bucket_name: str
    """Name of the bucket, unique in the world."""
    path_prefix: NotRequired[str]
    """Where recordings lie; empty or ending in '/'."""
    cors_origins: NotRequired[list[str]]
    """Origins whose pages may play recordings."""
    writer_access: NotRequired[WriterAccess]
    """What 100ms may do under the prefix."""
    writer_name: NotRequired[str]
    """Name of the IAM user for 100ms; needed without `writer_external`."""
    reader_name: NotRequired[str]
    """Name of the IAM user that signs downloads; needed without `reader_external`."""
    writer_keys: NotRequired[dict[str, KeyStatus]]
    """Slots blue and green."""
    reader_keys: NotRequired[dict[str, KeyStatus]]
    """Slots blue and green."""
    registered_key: NotRequired[str]
    """The writer's slot that 100ms is given."""
    signing_key: NotRequired[str]
    """The reader's slot that signs."""
    writer_external: NotRequired[ExternalKeyArgs]
    """Use this key in place of an IAM user for 100ms."""
    reader_external: NotRequired[ExternalKeyArgs]
    """Use this key in place of an IAM user for downloads."""
    permissions_boundary: NotRequired[str]
    """ARN of the permissions boundary of both IAM users."""
    iam_path: NotRequired[str]
    """Path of both IAM users."""
    tags: NotRequired[dict[str, str]]
    """Tags of the bucket and both IAM users."""
    storage_classes: NotRequired[list[TransitionArgs]]
    """Cheaper storage by age."""
    retention_days: NotRequired[int]
    """Age in days at which recordings are deleted; 0 keeps them."""
    old_version_days: NotRequired[int]
    """Days for which a replaced or deleted version can be brought back."""
    kms_key: NotRequired[str]
    """ARN of a KMS key to encrypt with, in place of S3's own."""
    access_log_bucket: NotRequired[str]
    """An existing bucket that takes the access log."""
    protect: NotRequired[bool]
    """Refuse to delete the bucket."""
    force_destroy: NotRequired[bool]
    """Delete the bucket with everything in it."""
    former_buckets: NotRequired[list[FormerBucketArgs]]
    """Buckets that the reader may download from too."""
    writer_policy_name: NotRequired[str]
    """Name of the writer's inline policy."""
    reader_policy_name: NotRequired[str]
    """Name of the reader's inline policy."""
    adopt: NotRequired[list[Part]]
    """What exists already and is taken over."""
