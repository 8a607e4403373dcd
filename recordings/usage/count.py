"""Counting what lies in the bucket: every version once, by month, room, kind and storage class.

Owns the walk and what each version is counted as. The listing is read once and kept nowhere, so memory is flat however
many objects there are (`recordings.usage.spool` holds the sums). Hours come from rows, or from 100ms' list.

A recording counts for the month in which it was made, as its path says, else for that of its upload.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, TypeVar

from recordings.catalog_entries import CatalogEntry
from recordings.errors import UsageError
from recordings.paths import Home, RecordingKind, RecordingPath
from recordings.policies import OPERATOR_PREFIX
from recordings.stores.base import Guards, ObjectVersion
from recordings.usage.retention import Retention
from recordings.usage.spool import DIMENSIONS, Known, Spool, Sum

_BATCH: Final = 1000
NO_ROOM: Final = "-"
"""The room of what names none."""
OTHER: Final = "other"
"""The kind of what has no documented form and no row."""
DEFAULT_CLASS: Final = "STANDARD"
"""Where a listing leaves the class out."""

T = TypeVar("T")


@dataclass
class Totals:
    """Everything at once; `seconds` of recordings whose length is known, which are `timed`."""

    objects: int = 0
    bytes: int = 0
    old_versions: int = 0
    old_bytes: int = 0
    markers: int = 0
    seconds: float = 0.0
    timed: int = 0


@dataclass
class Usage:
    """What was counted. Sums are sorted; `rooms` and `groups` are the largest only, of `room_count`, `group_count`."""

    totals: Totals
    months: list[Sum]
    kinds: list[Sum]
    classes: list[Sum]
    rooms: list[Sum]
    room_count: int
    groups: list[Sum]
    group_count: int
    months_by_kind: list[Sum]
    retention: Retention
    uploads: int = 0

    @property
    def stored(self) -> dict[str, int]:
        """Bytes by storage class, old versions included."""
        return {group.names[0]: group.bytes for group in self.classes}


@dataclass
class Counter:
    """Counts versions of one bucket as they come."""

    home: Home
    spool: Spool
    retention: Retention
    totals: Totals = field(default_factory=Totals)

    def take(self, versions: Sequence[ObjectVersion]) -> None:
        """Count a batch."""
        places = {version: f"{self.home.bucket}/{version.key}" for version in versions}
        known = self.spool.known(list(places.values()))
        sums: dict[tuple[str, ...], Sum] = {}
        for version, place in places.items():
            self.retention.add(version)
            if version.is_marker:
                self.totals.markers += 1
                continue
            found = known.get(place)
            names = self._names(version, found)
            seconds = self._count(version, found)
            before = sums.get(names, Sum(names, 0, 0, 0, 0.0))
            current = int(version.is_latest)
            sums[names] = Sum(
                names,
                before.objects + current,
                before.old + 1 - current,
                before.bytes + version.size,
                before.seconds + seconds,
            )
        self.spool.add(sums.values())

    def _count(self, version: ObjectVersion, found: Known | None) -> float:
        """Into the totals; gives the seconds that count for it, which are those of the current version."""
        if not version.is_latest:
            self.totals.old_versions += 1
            self.totals.old_bytes += version.size
            return 0.0
        self.totals.objects += 1
        self.totals.bytes += version.size
        if found is None or found.seconds is None:
            return 0.0
        self.totals.timed += 1
        self.totals.seconds += found.seconds
        return found.seconds

    def _names(self, version: ObjectVersion, found: Known | None) -> tuple[str, ...]:
        path = self._path(version.key)
        kind = path.kind.value if path and path.kind is not RecordingKind.UNKNOWN else None
        moment = (path.time if path else None) or version.last_modified
        return (
            f"{moment:%Y-%m}",
            (path.room_id if path else None) or (found.room if found else None) or NO_ROOM,
            kind or (found.type if found else None) or OTHER,
            version.storage_class or DEFAULT_CLASS,
        )

    def _path(self, key: str) -> RecordingPath | None:
        try:
            return self.home.own(key)
        except UsageError:
            return None


def count(
    home: Home,
    versions: Iterable[ObjectVersion],
    entries: Iterable[CatalogEntry],
    guards: Guards,
    *,
    largest: int | None = 20,
    tick: Callable[[Totals], None] = lambda _: None,
) -> Usage:
    """Count `versions`, which are of the bucket of `home`; `entries` say how long recordings are.

    `largest` is how many rooms and groups are given, None: all. Raises what listing and reading raise.
    """
    with Spool() as spool:
        for batch in _batches(entries):
            spool.know(known for entry in batch if (known := _known(entry, home)))
        counter = Counter(home, spool, Retention(guards))
        for versions_batch in _batches(versions):
            counter.take([version for version in versions_batch if not version.key.startswith(OPERATOR_PREFIX)])
            tick(counter.totals)
        return Usage(
            totals=counter.totals,
            months=spool.by("month"),
            kinds=spool.by("kind"),
            classes=spool.by("class"),
            rooms=spool.by("room", limit=-1 if largest is None else largest),
            room_count=spool.count("room"),
            groups=spool.by(*DIMENSIONS, limit=-1 if largest is None else largest),
            group_count=spool.count(*DIMENSIONS),
            months_by_kind=spool.by("month", "kind"),
            retention=counter.retention,
        )


def _known(entry: CatalogEntry, home: Home) -> Known | None:
    if not entry.file_path:
        return None
    try:
        path = home.own(entry.file_path)
    except UsageError:
        return None
    length = entry.duration if entry.duration is not None and 0 <= entry.duration < 1e9 else None
    return Known(f"{path.bucket}/{path.key}", length, entry.type, entry.room_id)


def _batches(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def as_json(sums: Iterable[Sum], dimensions: Sequence[str]) -> list[Mapping[str, object]]:
    """Sums as JSON: their names, objects, old versions, bytes of both, hours."""
    return [
        dict(zip(dimensions, s.names, strict=True))
        | {"objects": s.objects, "oldVersions": s.old, "bytes": s.bytes, "hours": hours(s)}
        for s in sums
    ]


def hours(group: Sum) -> float:
    """Hours, to three places."""
    return round(group.seconds / 3600, 3)
