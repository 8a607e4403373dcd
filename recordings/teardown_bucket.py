"""What lies in a bucket that is to go, and its deletion: every version, every marker, every unfinished upload.

Owns counting and deleting, in batches, so that a million objects need no memory. Whether they may be deleted is decided
in `recordings.teardown`. Google keeps deleted objects for its soft-delete days; they go with the bucket.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from recordings.outputs import StackOutputs
from recordings.policies import OPERATOR_PREFIX
from recordings.shown import counted, size
from recordings.stores.base import ObjectVersion, Store

BATCH: Final = 1000
_TRIALS: Final = ".verify/"


@dataclass(frozen=True)
class Contents:
    """How much there is: versions of recordings (delete markers left out) and their bytes, and what is ours beside."""

    recordings: int
    octets: int
    others: int

    def __str__(self) -> str:
        held, others = counted(self.recordings, "version"), counted(self.others, "other version")
        return f"{held} of recordings ({size(self.octets)}), {others}"


def contents(store: Store, outputs: StackOutputs) -> Contents:
    """Count every version, as the operator. What commands keep or left behind, and markers, are no recordings."""
    recordings = octets = others = 0
    own = (OPERATOR_PREFIX, f"{outputs.path_prefix}{_TRIALS}")
    for version in store.list_versions():
        if version.is_marker or version.key.startswith(own):
            others += 1
        else:
            recordings, octets = recordings + 1, octets + version.size
    return Contents(recordings, octets, others)


def empty(store: Store, last: str, tick: Callable[[int], None]) -> None:
    """Delete everything, the remembered thing `last` at the end; `tick` gets the count of each batch.

    Raises StoreError that names what stayed; what was deleted until then is gone.
    """
    kept = OPERATOR_PREFIX + last
    while _pass(store, (version for version in store.list_versions() if version.key != kept), tick):
        pass  # until a listing finds nothing: an upload may have ended meanwhile
    for upload in store.list_uploads():
        store.abort_upload(upload.key, upload.upload_id)
    _pass(store, store.list_versions(), tick)


def _pass(store: Store, versions: Iterable[ObjectVersion], tick: Callable[[int], None]) -> int:
    deleted = 0
    for batch in _batches(versions):
        store.delete_versions(batch)
        deleted += len(batch)
        tick(len(batch))
    return deleted


def _batches(versions: Iterable[ObjectVersion]) -> Iterator[list[ObjectVersion]]:
    queue = iter(versions)
    while batch := list(islice(queue, BATCH)):
        yield batch
