"""The walk of `sync` without 100ms and database: order of events, batches, memory."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.catalog import Written
from recordings.catalog_entries import CatalogEntry
from recordings.errors import HmsUnreachableError
from recordings.hms_models import RecordingAsset
from recordings.hms_wire import PAGE
from recordings.outputs import StorageProvider
from recordings.paths import Home
from recordings.sync import BATCH, sync

HOME = Home(StorageProvider.S3, "bucket", "recordings/")
NOW = datetime(2026, 8, 2, tzinfo=UTC)


@dataclass
class Table:
    """Stands for the catalog: counts, and keeps no row."""

    batches: list[int] = field(default_factory=list)

    def upsert(self, entries: Sequence[CatalogEntry]) -> Written:
        self.batches.append(len(entries))
        return Written(added=len(entries))


def assets(count: int, age: timedelta = timedelta(0)) -> Iterator[RecordingAsset]:
    for number in range(count):
        path = f"s3://bucket/recordings/beam/room/20260801/Rec-room-{number:013}.mp4"
        made = NOW - age
        yield RecordingAsset(id=f"{number:024}", type="room-composite", status="completed", path=path, created_at=made)


def peak(count: int) -> int:
    """The most memory that a walk over so many needs, in bytes."""
    tracemalloc.start()
    sync(assets(count), HOME, Table())
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_memory_is_flat() -> None:
    """Ten times as many recordings need no more."""
    peak(BATCH)
    assert peak(20 * BATCH) < 1.2 * peak(2 * BATCH)


@given(count=st.integers(0, 3 * BATCH + 1))
def test_every_recording_is_written_in_batches(count: int) -> None:
    """None is lost at the seams, and no batch is empty."""
    table = Table()
    tally = sync(assets(count), HOME, table)
    assert (tally.read, tally.written.added, sum(table.batches)) == (count, count, count)
    assert all(0 < size <= BATCH for size in table.batches)


@given(ages=st.lists(st.integers(0, 9), max_size=60), days=st.integers(1, 9))
def test_since_takes_exactly_the_younger_ones(ages: list[int], days: int) -> None:
    """In whatever order they come, as long as no whole page in a row is older."""
    listed = [asset for age in ages for asset in assets(1, timedelta(days=age))]
    tally = sync(listed, HOME, Table(), since=NOW - timedelta(days=days))
    assert tally.read == sum(age <= days for age in ages)


def test_since_ends_the_walk_and_asks_for_no_further_page() -> None:
    """A whole page of older ones in a row is the end; one with no time is never older."""
    asked = 0

    def listed() -> Iterator[RecordingAsset]:
        nonlocal asked
        timeless = RecordingAsset(id="x", type="chat", status="completed")
        for asset in [*assets(3), *assets(PAGE - 1, timedelta(days=9)), timeless, *assets(900, timedelta(days=9))]:
            asked += 1
            yield asset

    tally = sync(listed(), HOME, Table(), since=NOW - timedelta(days=1))
    assert (tally.read, asked) == (4, 3 + PAGE - 1 + 1 + PAGE)


def test_time_of_a_row_is_never_after_100ms_was_asked() -> None:
    """A page is asked for when its first recording is taken: rows of it must not claim to be newer than that."""
    clock = iter(range(10**6))
    fetched: list[int] = []
    claimed: list[datetime] = []

    def now() -> datetime:
        return NOW + timedelta(seconds=next(clock))

    def pages() -> Iterator[RecordingAsset]:
        for number, asset in enumerate(assets(5 * PAGE)):
            if number % PAGE == 0:
                fetched.append(next(clock))
            yield asset

    class Claims(Table):
        def upsert(self, entries: Sequence[CatalogEntry]) -> Written:
            claimed.extend(entry.synced_at for entry in entries if entry.synced_at)
            return super().upsert(entries)

    sync(pages(), HOME, Claims(), now=now)
    for number, at in enumerate(claimed):
        assert at < NOW + timedelta(seconds=fetched[number // PAGE])


def test_failure_says_how_far_it_came() -> None:
    """Whole batches are in the database; the note says so."""

    def broken() -> Iterator[RecordingAsset]:
        yield from assets(BATCH + 7)
        raise HmsUnreachableError("100ms is away")

    with pytest.raises(HmsUnreachableError) as caught:
        sync(broken(), HOME, Table())
    told = f"{BATCH:,} recordings went into the database: run the command again for the rest"
    assert caught.value.__notes__ == [told]
