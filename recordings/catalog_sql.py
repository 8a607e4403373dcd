"""The statements over `public.meeting_recordings`, their parameters, and rows back to `CatalogEntry`.

Owns SQL and nothing else: `recordings.catalog` runs it. Every value goes as a parameter; the names of table and columns
are fixed, so no name comes from outside. The table may be the application's own, with columns of its own and fitting
types (`migrations/`): nothing here selects or writes a column that is not named.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from recordings.catalog_entries import HMS, CatalogEntry, storable
from recordings.errors import UsageError

COLUMNS: Final = tuple(field.name for field in fields(CatalogEntry))
_TYPES: Final[Mapping[str, str]] = {
    "size": "bigint",
    "duration": "double precision",
    "recorded_at": "timestamptz",
    "synced_at": "timestamptz",
}
_KEPT: Final = ("job_id", "room_id", "session_id", "size", "duration", "recorded_at")
"""Once known, never forgotten, should an answer leave them out."""
_MOVED: Final = f"(t.storage_provider <> '{HMS}' and excluded.storage_provider = '{HMS}')"
"""Brought into our bucket after 100ms had it: 100ms goes on naming the place from which it came."""
MOST: Final = 500
"""Rows a page at most."""


def _new(column: str) -> str:
    """What a column of a row that is there becomes."""
    if column in _KEPT:
        return f"coalesce(excluded.{column}, t.{column})"
    if column in ("file_path", "storage_provider"):
        return f"case when {_MOVED} then t.{column} else excluded.{column} end"
    return f"excluded.{column}"


def _upsert() -> str:
    content = [column for column in COLUMNS if column not in ("asset_id", "synced_at")]
    given = ", ".join(f"%({column})s::{_TYPES.get(column, 'text')}[]" for column in COLUMNS)
    values = ", ".join("least(synced_at, now())" if column == "synced_at" else column for column in COLUMNS)
    changes = ", ".join(f"{column} = {_new(column)}" for column in (*content, "synced_at"))
    before, after = ", ".join(f"t.{column}" for column in content), ", ".join(_new(column) for column in content)
    return (
        f"insert into public.meeting_recordings as t ({', '.join(COLUMNS)}) "  # noqa: S608 - names are our own
        f"select {values} from unnest({given}) as given ({', '.join(COLUMNS)}) "
        f"on conflict (asset_id) do update set {changes} "
        f"where ({before}) is distinct from ({after}) "
        "and (t.synced_at is null or excluded.synced_at >= t.synced_at) "
        "returning asset_id, (xmax = 0) as added"
    )


UPSERT: Final = _upsert()
"""Writes rows, a batch at a time; gives id and `added` of each that was added or changed, nothing for the others.

A row that 100ms was asked about later than these is left as it is. `now()` bounds what a fast clock claims.
"""


def readable(column: str) -> str:
    """A column to select, as Python can hold it: null for a time before the year 1, and 9000 for what is after it."""
    if _TYPES.get(column) != "timestamptz":
        return column
    first, last = "timestamptz '0001-01-03 00:00+00'", "timestamptz '9000-01-01 00:00+00'"
    return f"case when {column} >= {first} then least({column}, {last}) end"


_SELECT: Final = f"select {', '.join(map(readable, COLUMNS))} from public.meeting_recordings"  # noqa: S608 - our own names
FIND: Final = f"{_SELECT} where asset_id = any(%(asset_ids)s::text[])"
_TIME: Final = "coalesce(recorded_at, '-infinity')"
"""Spelled as the indexes have it, so that a page in the depth is found as quickly as the first."""
_ORDER: Final = f"order by {_TIME} desc, asset_id desc limit %(limit)s"
SCAN: Final = f"{_SELECT} where asset_id > %(after)s order by asset_id limit %(limit)s"


def upsert_parameters(entries: Sequence[CatalogEntry]) -> dict[str, list[Any]]:
    """A list for each column; of entries with one asset id the last counts."""
    latest = {entry.asset_id: entry for entry in entries}.values()
    return {column: [getattr(entry, column) for entry in latest] for column in COLUMNS}


def find_parameters(asset_ids: Sequence[str]) -> dict[str, list[str]]:
    """The parameters of `FIND`; an id that Postgres cannot hold is looked for as one that no row has."""
    return {"asset_ids": [storable(asset_id) for asset_id in asset_ids]}


def page_query(
    *, limit: int, after: str | None, room_id: str | None, session_id: str | None
) -> tuple[str, dict[str, Any]]:
    """A page of rows, newest first, after the row that the cursor `after` names.

    Raises UsageError for a limit outside of 1 to 500, and for a cursor that no page gave.
    """
    if not 1 <= limit <= MOST:
        raise UsageError(f"a page has 1 to {MOST} recordings, not {limit}")
    conditions = ["asset_id is not null"]
    parameters: dict[str, Any] = {"limit": limit + 1}
    for name, value in (("room_id", room_id), ("session_id", session_id)):
        if value is not None:
            conditions.append(f"{name} = %({name})s")
            parameters[name] = storable(value)
    if after is not None:
        cursor = Cursor.decode(after)
        parameters |= {"at": cursor.recorded_at, "id": cursor.asset_id}
        conditions.append(f"({_TIME}, asset_id) < (coalesce(%(at)s::timestamptz, '-infinity'), %(id)s)")
    return f"{_SELECT} where {' and '.join(conditions)} {_ORDER}", parameters


@dataclass(frozen=True)
class Cursor:
    """Where a page ended."""

    recorded_at: datetime | None
    asset_id: str

    def encode(self) -> str:
        """As it stands in a URL."""
        at = None if self.recorded_at is None else self.recorded_at.isoformat()
        return base64.urlsafe_b64encode(json.dumps([at, self.asset_id]).encode()).decode()

    @classmethod
    def decode(cls, text: str) -> Cursor:
        """The reverse of `encode`. Raises UsageError for any other text."""
        try:
            at, asset_id = json.loads(base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True))
            recorded_at = None if at is None else datetime.fromisoformat(at)
            aware = recorded_at is None or recorded_at.utcoffset() is not None
            if not isinstance(asset_id, str) or storable(asset_id) != asset_id or not aware:
                raise ValueError(text)
        except (ValueError, TypeError, binascii.Error, RecursionError):
            raise UsageError(f"{text[:40]!r} is no cursor: give the `next` of the page before") from None
        return cls(recorded_at, asset_id)


@dataclass(frozen=True)
class Page:
    """Rows, and the cursor of the page after them, None at the end."""

    entries: tuple[CatalogEntry, ...]
    next: str | None


def page_of(rows: Sequence[Sequence[Any]], limit: int) -> Page:
    """The page that `page_query` found; it asked for one row more, to know whether there is a next page."""
    entries = tuple(entry_of_row(row) for row in rows[:limit])
    more = len(rows) > limit
    return Page(entries, Cursor(entries[-1].recorded_at, entries[-1].asset_id).encode() if more else None)


def entry_of_row(row: Sequence[Any]) -> CatalogEntry:
    """A row as `COLUMNS` orders it; numbers of the application's own types become ours, what is no number None."""
    values = dict(zip(COLUMNS, row, strict=True))
    for name, kind in (("size", int), ("duration", float)):
        values[name] = kind(values[name]) if values[name] is not None and math.isfinite(values[name]) else None
    return CatalogEntry(**values)
