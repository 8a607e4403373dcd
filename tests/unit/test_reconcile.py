"""Reconciliation against a model of it in sets, and its memory; no service."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from recordings.catalog_entries import CatalogEntry
from recordings.hms_models import RecordingAsset
from recordings.outputs import StorageProvider
from recordings.paths import Home
from recordings.reconcile import Gap, reconcile
from recordings.stores.base import ObjectInfo
from recordings.sync import BATCH

FORMER = Home(StorageProvider.S3, "former", "old/")
HOME = Home(StorageProvider.S3, "bucket", "recordings/", (FORMER,))
NOW = datetime(2026, 8, 2, tzinfo=UTC)
OLD = NOW - timedelta(days=9)


@dataclass
class Table:
    """The catalog in a dict; `dry` keeps it as it is."""

    rows: dict[str, CatalogEntry] = field(default_factory=dict)
    dry: bool = True
    tombstones: set[str] = field(default_factory=set)

    def write(self, entries: Sequence[CatalogEntry]) -> list[tuple[str, bool]]:
        touched = []
        for entry in entries:
            before = self.rows.get(entry.asset_id)
            if entry.asset_id in self.tombstones:
                continue
            if before is None or before.file_path != entry.file_path:
                touched.append((entry.asset_id, before is None))
                if not self.dry:
                    self.rows[entry.asset_id] = entry
        return touched

    def scan(self) -> Iterator[CatalogEntry]:
        return iter(sorted(self.rows.values(), key=lambda entry: entry.asset_id))

    def erased(self, entries: Sequence[CatalogEntry]) -> frozenset[str]:
        return frozenset(entry.asset_id for entry in entries) & self.tombstones


def key(number: int) -> str:
    return f"beam/room/20260801/Rec-room-{1785542400000 + number}.mp4"


def asset(number: int) -> RecordingAsset:
    path = f"s3://bucket/recordings/{key(number)}" if number % 3 else f"s3://former/old/{key(number)}"
    return RecordingAsset(id=f"{number:06}", type="room-composite", status="completed", path=path)


def row(number: int) -> CatalogEntry:
    return CatalogEntry(f"{number:06}", "s3", file_path=asset(number).path, status="completed", synced_at=OLD)


def buckets(numbers: Sequence[int]) -> Callable[[Home], Iterator[ObjectInfo]]:
    """Lists those of the recordings that belong into each bucket."""

    def listed(home: Home) -> Iterator[ObjectInfo]:
        here = (number for number in numbers if (number % 3 == 0) == (home == FORMER))
        return (ObjectInfo(home.prefix + key(number), 1, "etag", last_modified=OLD) for number in here)

    return listed


NUMBERS = st.sets(st.integers(0, 12))


@given(listed=NUMBERS, stored=NUMBERS, known=NUMBERS, erased=NUMBERS, fix=st.booleans())
def test_every_gap_is_found_and_nothing_else(
    listed: set[int], stored: set[int], known: set[int], erased: set[int], fix: bool
) -> None:
    """For each of thirteen recordings, any of the three may lack it; fixing leaves only what rows cannot mend.

    One that was erased is never missing and never written: what is left of it is told as such.
    """
    rows = {f"{number:06}": row(number) for number in known}
    table = Table(rows, dry=not fix, tombstones={f"{number:06}" for number in erased})
    found = reconcile(HOME, map(asset, listed), buckets(sorted(stored)), table, now=lambda: NOW)
    expected = {
        Gap.NO_ROW: listed - known - erased,
        Gap.NO_OBJECT: listed - stored - erased,
        Gap.LOST: known - listed - stored - erased,
        Gap.NO_RECORDING: stored - listed - known,
    }
    expected_counts = {gap: len(numbers) for gap, numbers in expected.items()}
    expected_counts[Gap.ERASED] = len(known & erased) + len(stored & erased & (listed | known))
    assert {gap: count for gap, count in found.counts.items() if count} == {
        gap: count for gap, count in expected_counts.items() if count
    }
    assert (found.assets, found.objects) == (len(listed), len(stored))
    again = reconcile(HOME, map(asset, listed), buckets(sorted(stored)), table, now=lambda: NOW)
    assert again.counts[Gap.NO_ROW] == (0 if fix else len(listed - known - erased))


def test_what_the_operator_keeps_is_no_recording() -> None:
    """Remembered settings, folder markers and keys that no path can have make no error; the last are named."""
    home = Home(StorageProvider.S3, "bucket", "")
    keys = [".recordings/settings", "folder/", "a/../b.mp4", "plain.mp4"]
    objects = [ObjectInfo(name, 1, "etag", last_modified=OLD) for name in keys]
    found = reconcile(home, [], lambda _: iter(objects), Table(), now=lambda: NOW)
    assert found.examples[Gap.NO_RECORDING] == ["bucket/a/../b.mp4", "bucket/plain.mp4"]


def test_what_the_lifecycle_deleted_is_no_gap() -> None:
    """Older than what the bucket keeps, listed or in a row alone, it need not be there; an hour younger, it must."""
    limit = NOW - timedelta(days=3)
    old, young = (
        asset(number).model_copy(update={"created_at": limit + timedelta(hours=number)}) for number in (-2, 2)
    )
    rows = {"row": CatalogEntry("row", "s3", file_path=asset(4).path, synced_at=OLD, recorded_at=limit - timedelta(1))}
    found = reconcile(HOME, [young, old], buckets([]), Table(rows), now=lambda: NOW, kept_since=limit)
    assert [name.partition(":")[0] for name in found.examples[Gap.NO_OBJECT]] == [young.id]
    assert not found.counts[Gap.LOST]
    there = reconcile(HOME, [old], buckets([-2]), Table(), now=lambda: NOW, kept_since=limit)
    assert not there.counts[Gap.NO_RECORDING]


def test_row_that_came_meanwhile_is_no_gap() -> None:
    """A webhook wrote it after 100ms' list was read: neither expired nor alone."""
    late = [
        CatalogEntry("late-100ms", "100ms", file_path="s3://own/x.mp4", synced_at=NOW + timedelta(seconds=1)),
        CatalogEntry("late-ours", "s3", file_path=asset(1).path, synced_at=NOW + timedelta(seconds=1)),
    ]
    table = Table({entry.asset_id: entry for entry in late})
    assert not any(reconcile(HOME, [], buckets([]), table, now=lambda: NOW).counts.values())


def test_memory_is_flat() -> None:
    """Four times as many recordings, objects and rows need no more."""

    @dataclass
    class Many:
        count: int

        def write(self, entries: Sequence[CatalogEntry]) -> list[tuple[str, bool]]:
            return []

        def scan(self) -> Iterator[CatalogEntry]:
            return (row(number) for number in range(self.count))

        def erased(self, entries: Sequence[CatalogEntry]) -> frozenset[str]:
            return frozenset()

    def peak(count: int) -> int:
        tracemalloc.start()
        found = reconcile(HOME, map(asset, range(count)), buckets(range(count)), Many(count), now=lambda: NOW)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert not any(found.counts.values())
        return most

    peak(BATCH)
    assert peak(8 * BATCH) < 1.2 * peak(2 * BATCH)
