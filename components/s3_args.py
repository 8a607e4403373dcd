"""What `S3RecordingStorage` takes, as Pulumi's component analyzer reads it.

Owns the form alone; the rules and defaults are those of `components.s3_settings.S3StorageSettings`, field by field.

No `from __future__ import annotations` here: the analyzer can't read annotations that are text. And no enumeration in
a list or map, which Pulumi's component host hands over as `{}`: those are text, and the rules know what is legal.
Former buckets are `Input`s because Pulumi's generator of Go misses the type of a plain list otherwise; nothing here
waits for their values.
"""

from typing import NotRequired, TypedDict

import pulumi

from components.s3_lifecycle import StorageClass
from recordings.outputs import WriterAccess


class Transition(TypedDict):
    """Move recordings to a cheaper storage class as they age."""

    storage_class: StorageClass
    """The class to move to, in the order of S3's waterfall."""
    after_days: int
    """Age in days."""


class ExternalKey(TypedDict):
    """An IAM user and its access key that exist already."""

    principal: str
    """ARN of the IAM user."""
    access_key_id: str
    """Id of its access key."""
    secret_access_key: pulumi.Input[str]
    """Its secret; becomes a Pulumi secret."""


class FormerBucket(TypedDict):
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
    """Name of the IAM user for 100ms; needed unless the writer is external."""
    reader_name: NotRequired[str]
    """Name of the IAM user that signs downloads; needed unless the reader is external."""
    writer_keys: NotRequired[dict[str, str]]
    """Its keys by slot (blue, green), each active or inactive; {blue: active} if left out."""
    reader_keys: NotRequired[dict[str, str]]
    """Its keys by slot (blue, green), each active or inactive; {blue: active} if left out."""
    registered_key: NotRequired[str]
    """The writer's slot that 100ms is given, blue or green."""
    signing_key: NotRequired[str]
    """The reader's slot that signs; the registered one if left out."""
    writer_external: NotRequired[ExternalKey]
    """Use this key in place of an IAM user for 100ms."""
    reader_external: NotRequired[ExternalKey]
    """Use this key in place of an IAM user for downloads."""
    permissions_boundary: NotRequired[str]
    """ARN of the permissions boundary of both IAM users."""
    iam_path: NotRequired[str]
    """Path of both IAM users."""
    tags: NotRequired[dict[str, str]]
    """Tags of the bucket and both IAM users."""
    storage_classes: NotRequired[list[Transition]]
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
    former_buckets: NotRequired[list[pulumi.Input[FormerBucket]]]
    """Buckets that the reader may download from too."""
    writer_policy_name: NotRequired[str]
    """Name of the writer's inline policy."""
    reader_policy_name: NotRequired[str]
    """Name of the reader's inline policy."""
    adopt: NotRequired[list[str]]
    """What exists already and is taken over: bucket, cors, public-access, ownership, encryption, policy, versioning,
    lifecycle, access-log, writer, writer-policy, reader, reader-policy."""
