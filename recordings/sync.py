"""Bringing what 100ms lists into the database: every recording asset, a batch at a time.

Owns the walk: newest first, batches, the rule by which `since` ends it, and the count of what was met. Does not know
how a row is written (`recordings.catalog`) nor how a path is judged (`recordings.catalog_entries`). Memory is that of
one batch, however many there are; a run that was cut short is completed by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol

from recordings.catalog import Written
from recordings.catalog_entries import CatalogEntry, Standing, entry_of
from recordings.errors import RecordingsError
from recordings.hms_models import RecordingAsset
from recordings.hms_wire import PAGE
from recordings.paths import Home
from recordings.shown import counted

BATCH: Final = 5 * PAGE
"""Rows a transaction: five pages of 100ms' list."""
EXAMPLES: Final = 20
"""How many unknown paths are shown; they are all counted, and all in the database."""


class Writes(Protocol):
    """The part of the catalog that is written to."""

    def upsert(self, entries: Sequence[CatalogEntry]) -> Written:
        """Add or change rows."""


@dataclass
class Tally:
    """What was met and written: assets read, by whose storage they are in, and rows."""

    read: int = 0
    older: int = 0
    standing: dict[Standing, int] = field(default_factory=lambda: dict.fromkeys(Standing, 0))
    written: Written = field(default_factory=Written)
    unknown: list[str] = field(default_factory=list)


def sync(
    assets: Iterable[RecordingAsset],
    home: Home,
    catalog: Writes,
    *,
    since: datetime | None = None,
    tick: Callable[[Tally], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Tally:
    """Write a row for each of `assets`, which come newest first; `tick` is called after each batch.

    With `since` (aware) older ones are left out, and a whole page of them in a row is the end. One with no time is
    never older. A RecordingsError gets a note of how far it came: what was written stays.
    """
    tally = Tally()
    batch: list[CatalogEntry] = []
    older = 0
    asked = now()

    def flush() -> None:
        tally.written += catalog.upsert(batch)
        batch.clear()
        tick(tally)

    try:
        for number, asset in enumerate(assets, 1):
            older = older + 1 if since and asset.created_at and asset.created_at < since else 0
            if older:
                tally.older += 1
                if older >= PAGE:
                    break
            else:
                batch.append(_entry(asset, home, asked, tally))
            if len(batch) >= BATCH:
                flush()
            if number % PAGE == 0:  # the next asset is of another page, which is asked for now
                asked = now()
        if batch:
            flush()
    except RecordingsError as error:
        done = counted(tally.read - len(batch), "recording")
        error.add_note(f"{done} went into the database: run the command again for the rest")
        raise
    return tally


def _entry(asset: RecordingAsset, home: Home, read_at: datetime, tally: Tally) -> CatalogEntry:
    entry, standing = entry_of(asset, home, read_at)
    tally.read += 1
    tally.standing[standing] += 1
    if standing is Standing.UNKNOWN and len(tally.unknown) < EXAMPLES:
        tally.unknown.append(f"{entry.asset_id}: {entry.file_path or 'no path'}")
    return entry
