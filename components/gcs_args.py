"""What `GcsRecordingStorage` takes, as Pulumi's component analyzer reads it.

Owns the form alone; the rules and defaults are those of `components.gcs_settings.GcsStorageSettings`, field by field.

No `from __future__ import annotations` here: the analyzer can't read annotations that are text. And no enumeration in
a list or map, which Pulumi's component host hands over as `{}`: those are text, and the rules know what is legal.
Former buckets are `Input`s because Pulumi's generator of Go misses the type of a plain list otherwise; nothing here
waits for their values.
"""

from typing import NotRequired, TypedDict

import pulumi

from components.gcs_lifecycle import GcsAutoclass, GcsStorageClass
from recordings.outputs import WriterAccess


class GcsTransition(TypedDict):
    """Move recordings to a cheaper storage class as they age."""

    storage_class: GcsStorageClass
    """The class to move to, from NEARLINE to ARCHIVE."""
    after_days: int
    """Age in days."""


class GcsExternalKey(TypedDict):
    """A service account and its HMAC key that exist already."""

    principal: str
    """E-mail of the service account."""
    access_key_id: str
    """Access id of its HMAC key."""
    secret_access_key: pulumi.Input[str]
    """Its secret; becomes a Pulumi secret."""


class GcsFormerBucket(TypedDict):
    """A bucket to download older recordings from."""

    bucket_name: str
    """Its name."""
    region: str
    """Its location."""
    path_prefix: NotRequired[str]
    """Where recordings lie in it; empty or ending in '/'."""


class GcsRecordingStorageArgs(TypedDict):
    """What `GcsRecordingStorage` takes; the rules are those of the configuration keys of the same names."""

    region: str
    """Location of the bucket: a region, multi-region or dual-region."""
    bucket_name: str
    """Name of the bucket, unique in the world."""
    path_prefix: NotRequired[str]
    """Where recordings lie; empty or ending in '/'."""
    cors_origins: NotRequired[list[str]]
    """Origins whose pages may play recordings."""
    writer_access: NotRequired[WriterAccess]
    """What 100ms may do under the prefix."""
    writer_name: NotRequired[str]
    """Id of the service account for 100ms; needed unless the writer is external."""
    reader_name: NotRequired[str]
    """Id of the service account that signs downloads; needed unless the reader is external."""
    writer_keys: NotRequired[dict[str, str]]
    """Its keys by slot (blue, green), each active or inactive; {blue: active} if left out."""
    reader_keys: NotRequired[dict[str, str]]
    """Its keys by slot (blue, green), each active or inactive; {blue: active} if left out."""
    registered_key: NotRequired[str]
    """The writer's slot that 100ms is given, blue or green."""
    signing_key: NotRequired[str]
    """The reader's slot that signs; the registered one if left out."""
    writer_external: NotRequired[GcsExternalKey]
    """Use this account and key in place of a service account for 100ms."""
    reader_external: NotRequired[GcsExternalKey]
    """Use this account and key in place of a service account for downloads."""
    tags: NotRequired[dict[str, str]]
    """Labels of the bucket."""
    storage_classes: NotRequired[list[GcsTransition]]
    """Cheaper storage by age."""
    retention_days: NotRequired[int]
    """Age in days at which recordings are deleted; 0 keeps them."""
    old_version_days: NotRequired[int]
    """Days for which a replaced or deleted version can be brought back."""
    kms_key: NotRequired[str]
    """Resource name of a Cloud KMS key to encrypt with, in place of Google's own."""
    access_log_bucket: NotRequired[str]
    """An existing bucket that takes the access log."""
    protect: NotRequired[bool]
    """Refuse to delete the bucket."""
    force_destroy: NotRequired[bool]
    """Delete the bucket with everything in it."""
    autoclass: NotRequired[GcsAutoclass]
    """Let Google choose each object's class by its use, down to this one."""
    service_account_key: NotRequired[bool]
    """Make a JSON key of the reader as well."""
    former_buckets: NotRequired[list[pulumi.Input[GcsFormerBucket]]]
    """Buckets that the reader may download from too; their policies get a binding."""
    adopt: NotRequired[list[str]]
    """What exists already and is taken over: bucket, writer, reader."""
