"""How long `recordings usage` takes to count a million objects, and how much memory: a part of `make bench`.

The listing is generated, so that neither a server nor its answers are measured; each object lies in a room of its own
and has a row of its own, which is the most that a count has to keep apart. A process of its own is measured by the
kernel's account of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from recordings.catalog_entries import CatalogEntry
from recordings.outputs import StorageProvider
from recordings.paths import Home
from recordings.stores.base import Guards, LifecycleRule, ObjectVersion
from recordings.usage.count import count

OBJECTS: Final = 1_000_000
HOME: Final = Home(StorageProvider.S3, "bench-recordings", "recordings/")
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_RULES: Final = (LifecycleRule("recordings/", expires_days=365), LifecycleRule("", old_versions_days=30))


def figures() -> list[tuple[str, str]]:
    """Rows for `make bench`: what was measured, and the figure. Raises SystemExit if the count fails."""
    return [_measured(OBJECTS // 10), _measured(OBJECTS)]


def _measured(objects: int) -> tuple[str, str]:
    begun = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "sandbox.bench_usage", str(objects)])  # noqa: S603
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"counting {objects:,} objects ended with {process.returncode}")
    mebibytes = used.ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return f"`recordings usage`, {objects:,} objects", f"{time.monotonic() - begun:.1f} s, {mebibytes:.0f} MiB"


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
