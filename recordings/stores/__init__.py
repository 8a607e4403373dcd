"""Object stores: `open_store` gives the adapter of a stack's provider.

The adapter is the module of this package that is named as the provider; it is imported only when a store of it is
opened, so that its SDK need not be loaded (or, for a back end, installed) otherwise. Nothing else asks which provider
it is.
"""

from __future__ import annotations

from importlib import import_module
from typing import cast

from recordings.outputs import StackOutputs
from recordings.stores.base import (
    AccessKey,
    Identity,
    ObjectInfo,
    ObjectVersion,
    Part,
    SignedUrl,
    Store,
    Upload,
)

__all__ = [
    "AccessKey",
    "Identity",
    "ObjectInfo",
    "ObjectVersion",
    "Part",
    "SignedUrl",
    "Store",
    "Upload",
    "open_store",
]


def open_store(outputs: StackOutputs, identity: Identity | AccessKey) -> Store:
    """Open the stack's bucket as `identity`; nothing is asked of the provider yet.

    Writer and reader use the keys of the outputs alone, never the ambient login; the operator uses that alone.
    """
    adapter = import_module(f"recordings.stores.{outputs.storage_provider.value}")
    return cast(Store, adapter.open_store(outputs, identity))
