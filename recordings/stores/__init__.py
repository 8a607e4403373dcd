"""Object stores: `open_store` gives the adapter of a stack's provider.

The adapter is the module of this package that is named as the provider; it is imported only when a store of it is
opened, so that its SDK need not be loaded (or, for a back end, installed) otherwise. Nothing else asks which provider
it is.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from recordings.errors import UsageError
from recordings.outputs import StackOutputs
from recordings.stores.base import (
    AccessKey,
    Guards,
    Identity,
    LifecycleRule,
    ObjectInfo,
    ObjectVersion,
    Part,
    SignedUrl,
    Store,
    Upload,
)

__all__ = [
    "AccessKey",
    "Guards",
    "Identity",
    "LifecycleRule",
    "ObjectInfo",
    "ObjectVersion",
    "Part",
    "SignedUrl",
    "Store",
    "Upload",
    "deactivate_key",
    "open_source",
    "open_store",
]


def open_store(outputs: StackOutputs, identity: Identity | AccessKey) -> Store:
    """Open the stack's bucket as `identity`; nothing is asked of the provider yet.

    Writer and reader use the keys of the outputs alone, never the ambient login; the operator uses that alone.
    """
    adapter = import_module(f"recordings.stores.{outputs.storage_provider.value}")
    return cast(Store, adapter.open_store(outputs, identity))


def deactivate_key(outputs: StackOutputs, principal: str, key_id: str) -> bool:
    """Make a key of the stack inactive, as the operator; False if it is gone. Raises StoreError."""
    keys = import_module(f"recordings.stores.{outputs.storage_provider.value}_keys")
    return bool(keys.deactivate(outputs, principal, key_id))


def open_source(outputs: StackOutputs, bucket: str, identity: Identity = Identity.READER) -> Store:
    """Open the stack's bucket, or one of its former buckets; only the reader has a key of ours there.

    Raises UsageError for another bucket.
    """
    if bucket == outputs.bucket_name:
        return open_store(outputs, identity)
    for place in outputs.former_buckets:
        if place.bucket_name == bucket:
            changed = {"bucket_name": bucket, "region": place.region, "path_prefix": place.path_prefix}
            return open_store(outputs.model_copy(update=changed), identity)
    known = ", ".join([outputs.bucket_name, *(place.bucket_name for place in outputs.former_buckets)])
    raise UsageError(f"{bucket!r} is no bucket of this stack; legal: {known}")
