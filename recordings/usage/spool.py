"""Where a count keeps what it has read: a temporary SQLite file that is gone when it is closed.

Owns the join of objects with what rows or 100ms say of them, and the sums by month, room, kind and storage class. A
million meetings are a million rooms, which do not fit into memory; SQLite keeps them with a small cache.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from recordings.spool import SpoolFile

DIMENSIONS: Final = ("month", "room", "kind", "class")
_SCHEMA: Final = """
create table known (place text primary key, seconds real, type text, room text) without rowid;
create table sums (
  month text, room text, kind text, class text, objects int, old int, bytes int, seconds real,
  primary key (month, room, kind, class)
) without rowid;
"""


@dataclass(frozen=True)
class Known:
    """What is known of the recording at a place (`bucket/key`): length in seconds, type and room as 100ms says them."""

    place: str
    seconds: float | None
    type: str | None
    room: str | None


@dataclass(frozen=True)
class Sum:
    """A group: `names` in the order that was asked for, objects, old versions, bytes of both, seconds of objects."""

    names: tuple[str, ...]
    objects: int
    old: int
    bytes: int
    seconds: float


class Spool(SpoolFile):
    """The file; use it as a context manager."""

    def __init__(self) -> None:
        super().__init__(_SCHEMA)

    def know(self, known: Iterable[Known]) -> None:
        """Keep what is known of places; of two the later counts."""
        rows = ((k.place, k.seconds, k.type, k.room) for k in known)
        self._file.executemany("insert or replace into known values (?, ?, ?, ?)", rows)

    def known(self, places: Sequence[str]) -> dict[str, Known]:
        """What is known of each of `places`."""
        marks = ", ".join("?" * len(places))
        query = f"select place, seconds, type, room from known where place in ({marks})"  # noqa: S608 - marks alone
        return {place: Known(place, *rest) for place, *rest in self._file.execute(query, places)}

    def add(self, sums: Iterable[Sum]) -> None:
        """Add to the sums; `names` are those of all DIMENSIONS."""
        self._file.executemany(
            "insert into sums values (?, ?, ?, ?, ?, ?, ?, ?) on conflict do update set objects = objects + "
            "excluded.objects, old = old + excluded.old, bytes = bytes + excluded.bytes, "
            "seconds = seconds + excluded.seconds",
            ((*s.names, s.objects, s.old, s.bytes, s.seconds) for s in sums),
        )

    def by(self, *dimensions: str, limit: int | None = None) -> list[Sum]:
        """Sums by some of DIMENSIONS: in their order, or with `limit` the largest by bytes."""
        names = ", ".join(f'"{name}"' for name in dimensions if name in DIMENSIONS)
        order = names if limit is None else f"sum(bytes) desc, {names}"
        query = (
            f"select {names}, sum(objects), sum(old), sum(bytes), sum(seconds) from sums "  # noqa: S608 - names are our own
            f"group by {names} order by {order} limit {-1 if limit is None else int(limit)}"
        )
        with closing(self._file.execute(query)) as rows:
            return [Sum(tuple(row[:-4]), *row[-4:]) for row in rows]

    def count(self, *dimensions: str) -> int:
        """How many groups `by` would give without a limit."""
        names = ", ".join(f'"{name}"' for name in dimensions if name in DIMENSIONS)
        (found,) = self._file.execute(f"select count(*) from (select 1 from sums group by {names})").fetchone()  # noqa: S608
        return int(found)
