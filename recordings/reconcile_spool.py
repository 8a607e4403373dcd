"""Where a reconciliation keeps what it has read: a temporary SQLite file that is gone when it is closed.

Owns the joins between what 100ms, the bucket and the database hold. Three lists of a million entries each do not fit
into memory, and they come in three orders; SQLite's B-trees bring them together with a cache of a few megabytes.
Knows no service and decides nothing (`recordings.reconcile` does).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from recordings.spool import SpoolFile

_SCHEMA: Final = """
create table known (
  asset_id text primary key, place text, folder text, listed int, failed int, erased int
) without rowid;
create index known_by_place on known (place);
create index known_by_folder on known (folder);
create table objects (place text primary key, folder text, fresh int) without rowid;
"""


@dataclass(frozen=True)
class Known:
    """A recording that 100ms lists (`listed`) or that the database alone has.

    `place` is its path in a bucket of ours, None elsewhere; `folder` the part that HLS recordings share. One that was
    `erased` need not have an object, and must have none.
    """

    asset_id: str
    place: str | None
    folder: str | None
    listed: bool
    failed: bool = False
    erased: bool = False


@dataclass(frozen=True)
class Found:
    """An object in a bucket of ours; `fresh`: so new that 100ms need not list it yet."""

    place: str
    folder: str | None
    fresh: bool


class Spool(SpoolFile):
    """The file; use it as a context manager."""

    def __init__(self) -> None:
        super().__init__(_SCHEMA)

    def add(self, known: Iterable[Known]) -> None:
        """Keep recordings. Of one that is there already, a place is taken if it had none."""
        self._file.executemany(
            "insert into known values (?, ?, ?, ?, ?, ?) on conflict (asset_id) do update "
            "set place = excluded.place, folder = excluded.folder where place is null",
            ((k.asset_id, k.place, k.folder, k.listed, k.failed, k.erased) for k in known),
        )

    def add_objects(self, objects: Iterable[Found]) -> None:
        """Keep objects of our buckets."""
        rows = ((o.place, o.folder, o.fresh) for o in objects)
        self._file.executemany("insert or ignore into objects values (?, ?, ?)", rows)

    def lists(self, asset_id: str) -> bool:
        """Whether 100ms lists this recording."""
        return self._has("select 1 from known where asset_id = ? and listed", asset_id)

    def places(self, asset_id: str) -> bool:
        """Whether it lies in a bucket of ours, as far as is known."""
        return self._has("select 1 from known where asset_id = ? and place is not null", asset_id)

    def without_object(self) -> Iterator[tuple[str, str, bool]]:
        """Recordings that should lie in a bucket of ours and do not: id, place, and whether 100ms lists them."""
        query = (
            "select asset_id, place, listed from known k where place is not null and not failed and not erased "
            "and not exists (select 1 from objects o where o.place = k.place) order by place"
        )
        return ((str(asset_id), str(place), bool(listed)) for asset_id, place, listed in self._each(query))

    def erased_objects(self) -> Iterator[str]:
        """Paths of objects whose recording was erased."""
        query = (
            "select place from objects o where exists (select 1 from known k where k.place = o.place and k.erased) "
            "or exists (select 1 from known k where k.folder = o.folder and k.erased) order by place"
        )
        return (str(place) for (place,) in self._each(query))

    def without_recording(self) -> Iterator[str]:
        """Paths of objects that belong to no recording: neither it nor a part of one."""
        query = (
            "select place from objects o where not fresh "
            "and not exists (select 1 from known k where k.place = o.place) "
            "and not exists (select 1 from known k where k.folder = o.folder) order by place"
        )
        return (str(place) for (place,) in self._each(query))

    def _has(self, query: str, parameter: str) -> bool:
        return self._file.execute(query, (parameter,)).fetchone() is not None

    def _each(self, query: str) -> Iterator[tuple[object, ...]]:
        with closing(self._file.execute(query)) as cursor:
            yield from cursor
