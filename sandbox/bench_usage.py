"""How long `recordings usage` takes to count a million objects, and how much memory: a part of `make bench`.

The listing is generated, so that neither a server nor its answers are measured; each object lies in a room of its own
and has a row of its own, which is the most that a count has to keep apart. It runs in a process of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from recordings.catalog_entries import CatalogEntry
from recordings.outputs import StorageProvider
from recordings.paths import Home
from recordings.stores.base import Guards, LifecycleRule, ObjectVersion
from recordings.usage.count import count
from sandbox import bench_process

OBJECTS: Final = 1_000_000
HOME: Final = Home(StorageProvider.S3, "bench-recordings", "recordings/")
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_RULES: Final = (LifecycleRule("recordings/", expires_days=365), LifecycleRule("", old_versions_days=30))


def figures() -> list[tuple[str, str]]:
    """Rows for `make bench`: what was measured, and the figure. Raises SystemExit if the count fails."""
    return [_measured(OBJECTS // 10), _measured(OBJECTS)]


def _measured(objects: int) -> tuple[str, str]:
    done = bench_process.run(bench_process.child("sandbox.bench_usage", str(objects)))
    return f"`recordings usage`, {objects:,} objects", f"{done.seconds:.1f} s, {done.mebibytes:.0f} MiB"


def _key(number: int) -> str:
    room = f"{number:024x}"
    return f"{HOME.prefix}beam/{room}/20260101/Rec-{room}-{1767225600000 + number * 30_000}.mp4"


def _listing(objects: int) -> Iterator[ObjectVersion]:
    for number in range(objects):
        made = _START + timedelta(seconds=30 * number)
        yield ObjectVersion(_key(number), str(number), True, False, 200_000_000, made, "STANDARD")


def _rows(objects: int) -> Iterator[CatalogEntry]:
    for number in range(objects):
        yield CatalogEntry(str(number), "s3", "room-composite", file_path=HOME.path(_key(number)), duration=1800.0)


def main() -> None:
    """Count as many objects as the command line says."""
    objects = int(sys.argv[1])
    guards = Guards(refuses_public_access=True, keeps_versions=True, lifecycle=_RULES)
    used = count(HOME, _listing(objects), _rows(objects), guards)
    if (used.totals.objects, used.totals.timed, used.room_count) != (objects, objects, objects):
        sys.exit("the count is wrong")


if __name__ == "__main__":
    main()
