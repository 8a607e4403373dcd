"""Tombstones: which recordings were erased and must never come back.

Owns asking. The rule itself, what a tombstone covers, is one function in the database (`is_erased`, in `migrations/`),
and a trigger there keeps every row out that it covers, whoever writes: an upsert of an erased recording gives no row
and no error. So whoever only writes rows (sync, webhook) need not ask; whoever also reads the bucket or copies into it
(reconcile, backfill) asks here.

A copy that is under way while somebody erases has to ask twice: before it begins, and after it has completed its
upload; if the second answer is yes, it removes what it wrote. An erasure leaves its tombstones before it looks for
objects, so one of the two always sees the other.

Needs the extra `db`, and the right to use the schema `recordings_internal` (the table's owner has it).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from recordings.catalog_entries import CatalogEntry
from recordings.database import mapped

_ASK: Final = (
    "select asset_id from unnest(%(asset_id)s::text[], %(job_id)s::text[], %(session_id)s::text[], "
    "%(room_id)s::text[], %(recorded_at)s::timestamptz[]) "
    "as given (asset_id, job_id, session_id, room_id, recorded_at) "
    "where recordings_internal.is_erased(asset_id, job_id, session_id, room_id, recorded_at)"
)
_ASKED: Final = ("asset_id", "job_id", "session_id", "room_id", "recorded_at")


class Tombstones:
    """Over one connection, which is to commit by itself (`recordings.database.connect`)."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def erased(self, entries: Sequence[CatalogEntry]) -> frozenset[str]:
        """The asset ids of those of `entries` that were erased: by their own id, recording, session or room.

        A room's tombstone covers what was recorded until it was left, and what says no time at all. Raises
        DatabaseError; where `recordings migrate` has not been run, it says so.
        """
        if not entries:
            return frozenset()
        given = {name: [getattr(entry, name) for entry in entries] for name in _ASKED}
        with mapped():
            found = self._connection.execute(_ASK.encode(), given).fetchall()
        return frozenset(asset_id for (asset_id,) in found)
