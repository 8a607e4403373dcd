"""What the database, the buckets and 100ms' list do not agree about.

Owns the walk through the three and the judgement what is missing where. What can be put right is a row: it is written
from what 100ms says, by the rule by which `recordings sync` writes. What is gone from a bucket or from 100ms cannot be
made again here, and nothing is ever deleted. Memory is flat: `recordings.reconcile_spool` holds the lists.

Recordings go on arriving meanwhile, so the order matters: 100ms' list first, then the buckets (what is listed was
uploaded before), then the database; and what is too new to be judged is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Final, Protocol, TypeVar

from recordings.catalog_entries import HMS, CatalogEntry, entry_of, storable
from recordings.errors import UsageError
from recordings.hms_models import RecordingAsset
from recordings.hms_wire import PAGE
from recordings.paths import Home, RecordingKind, RecordingPath
from recordings.policies import OPERATOR_PREFIX
from recordings.reconcile_spool import Found, Known, Spool
from recordings.stores.base import ObjectInfo

BATCH: Final = 5 * PAGE
"""Looked at together: five pages of 100ms' list."""
EXAMPLES: Final = 20
"""How many of each kind are named; all are counted."""
SETTLING: Final = timedelta(hours=1)
"""100ms lists a recording some time after it has uploaded it (15 to 20 minutes after the call, says its FAQ)."""

T = TypeVar("T")


class Gap(StrEnum):
    """What is missing where."""

    NO_ROW = "no row"
    OTHER_ROW = "row differs"
    NO_OBJECT = "no object"
    LOST = "row alone"
    EXPIRED = "expired"
    FOREIGN = "foreign row"
    NO_RECORDING = "object alone"
    ERASED = "erased, but there"


@dataclass(frozen=True)
class Meaning:
    """A gap in words: who has it (`yes`, `no`, `-` for: need not), and what to do about it."""

    database: str
    bucket: str
    hms: str
    remedy: str


MEANINGS: Final[dict[Gap, Meaning]] = {
    Gap.NO_ROW: Meaning("no", "-", "yes", "--fix adds the row"),
    Gap.OTHER_ROW: Meaning("differs", "-", "yes", "--fix writes what 100ms says"),
    Gap.NO_OBJECT: Meaning("yes", "no", "yes", "look for an old version in the bucket, and who deleted it"),
    Gap.LOST: Meaning("yes", "no", "no", "look for an old version in the bucket; else the row is all that is left"),
    Gap.EXPIRED: Meaning("yes", "-", "no", "100ms kept it in its own storage, and no longer lists it"),
    Gap.FOREIGN: Meaning("yes", "-", "-", "the row names a place outside of the stack's buckets: see who wrote it"),
    Gap.NO_RECORDING: Meaning("no", "yes", "no", "an object that 100ms never listed: see who put it there"),
    Gap.ERASED: Meaning("-", "-", "-", "its row or object came later, or stayed: run `recordings erase` again"),
}
FIXED: Final = frozenset({Gap.NO_ROW, Gap.OTHER_ROW})
"""What writing rows puts right."""


@dataclass
class Findings:
    """How many of each kind, and the first of them by asset id or path; how much was looked at."""

    counts: dict[Gap, int] = field(default_factory=lambda: dict.fromkeys(Gap, 0))
    examples: dict[Gap, list[str]] = field(default_factory=lambda: {gap: [] for gap in Gap})
    assets: int = 0
    objects: int = 0
    rows: int = 0

    def add(self, gap: Gap, name: str) -> None:
        """Count one."""
        self.counts[gap] += 1
        if len(self.examples[gap]) < EXAMPLES:
            self.examples[gap].append(name)


class Rows(Protocol):
    """The part of the catalog that is used; a dry-run catalog says what it would write."""

    def write(self, entries: Sequence[CatalogEntry]) -> list[tuple[str, bool]]:
        """Add or change rows; gives those touched, and whether each was added."""

    def scan(self) -> Iterator[CatalogEntry]:
        """Every row."""

    def erased(self, entries: Sequence[CatalogEntry]) -> frozenset[str]:
        """The asset ids of those that `recordings erase` erased."""


@dataclass(frozen=True)
class _Scope:
    """Where recordings lie, when the walk began, and what is older than what the bucket keeps."""

    home: Home
    began: datetime
    kept_since: datetime | None


def reconcile(
    home: Home,
    assets: Iterable[RecordingAsset],
    objects: Callable[[Home], Iterator[ObjectInfo]],
    rows: Rows,
    *,
    tick: Callable[[Findings], None] = lambda _: None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    kept_since: datetime | None = None,
) -> Findings:
    """Compare the three. `objects` lists what lies under a home's prefix; `rows` decides whether gaps are closed.

    What was recorded before `kept_since` (aware) need not have an object: the bucket's lifecycle deletes it.
    """
    found, began = Findings(), now()
    scope = _Scope(home, began, kept_since)
    with Spool() as spool:
        for batch in _batches(assets):
            entries = [entry_of(asset, home, began)[0] for asset in batch]
            gone = rows.erased(entries)
            spool.add(_known(entry, scope, listed=True, erased=entry.asset_id in gone) for entry in entries)
            for asset_id, added in rows.write(entries):
                found.add(Gap.NO_ROW if added else Gap.OTHER_ROW, asset_id)
            found.assets += len(batch)
            tick(found)
        for place in (home, *home.former):
            for infos in _batches(objects(place)):
                spool.add_objects(_objects(place, infos, began - SETTLING))
                found.objects += len(infos)
                tick(found)
        for batch_of_rows in _batches(rows.scan()):
            _look_at_rows(batch_of_rows, rows, scope, spool, found)
        for asset_id, where, listed in spool.without_object():
            found.add(Gap.NO_OBJECT if listed else Gap.LOST, f"{asset_id}: {where}")
        for path in spool.erased_objects():
            found.add(Gap.ERASED, path)
        for paths in _batches(spool.without_recording()):
            gone = rows.erased([_of_object(path, home) for path in paths])
            for path in paths:
                found.add(Gap.ERASED if storable(path) in gone else Gap.NO_RECORDING, path)
    return found


def _look_at_rows(batch: Sequence[CatalogEntry], rows: Rows, scope: _Scope, spool: Spool, found: Findings) -> None:
    found.rows += len(batch)
    gone = rows.erased(batch)
    for row in batch:
        if row.asset_id in gone:
            found.add(Gap.ERASED, f"{row.asset_id}: its row")
            spool.add([_known(row, scope, listed=False, erased=True)])
        else:
            _look_at(row, scope, spool, found)


def _look_at(row: CatalogEntry, scope: _Scope, spool: Spool, found: Findings) -> None:
    """Judge a row by itself; whether its object is there, the spool will say."""
    if row.storage_provider == HMS:
        came_since = row.synced_at is not None and row.synced_at >= scope.began
        if not came_since and not spool.lists(row.asset_id):
            found.add(Gap.EXPIRED, row.asset_id)
        return
    known = _known(row, scope, listed=False)
    if known.place is None and spool.places(row.asset_id):
        return  # a row that differs: what 100ms says is in our bucket
    if known.place is None:
        found.add(Gap.FOREIGN, f"{row.asset_id}: {row.file_path or 'no path'}")
    elif row.synced_at is None or row.synced_at < scope.began or spool.lists(row.asset_id):
        spool.add([known])


def _of_object(place: str, home: Home) -> CatalogEntry:
    """What an object's own path says of its recording; the place stands for the id that nobody knows."""
    try:
        path = home.source(f"{home.scheme}://{place}")
    except UsageError:
        return CatalogEntry(storable(place), home.provider.value)
    return CatalogEntry(
        storable(place),
        home.provider.value,
        room_id=path.room_id,
        session_id=path.session_id,
        recorded_at=path.time,
    )


def _known(entry: CatalogEntry, scope: _Scope, *, listed: bool, erased: bool = False) -> Known:
    place = folder = None
    if entry.storage_provider != HMS and entry.file_path:
        try:
            path = scope.home.source(entry.file_path)
        except UsageError:
            path = None
        if path is not None:
            place, folder = f"{path.bucket}/{path.key}", _folder(path)
    kept_since, recorded_at = scope.kept_since, entry.recorded_at
    is_over = kept_since is not None and recorded_at is not None and recorded_at < kept_since
    return Known(entry.asset_id, place, folder, listed, entry.status == "failed" or is_over, erased)


def _objects(home: Home, infos: Sequence[ObjectInfo], settled: datetime) -> Iterator[Found]:
    for info in infos:
        if info.key.startswith(OPERATOR_PREFIX) or info.key.endswith("/"):
            continue
        try:
            folder = _folder(home.own(info.key))
        except UsageError:  # a key that no recording has
            folder = None
        fresh = info.last_modified is not None and info.last_modified >= settled
        yield Found(f"{home.bucket}/{info.key}", folder, fresh)


def _folder(path: RecordingPath) -> str | None:
    """An unzipped HLS recording is a playlist and its segments: one folder, of which 100ms lists the playlist."""
    if path.kind is not RecordingKind.HLS_VOD:
        return None
    return f"{path.bucket}/{path.key.rpartition('/vod/')[0]}/vod/"


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, BATCH)):
        yield batch
