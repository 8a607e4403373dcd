"""A path of a recording comes from outside: none leads out of our bucket and prefix, in whatever spelling."""

from __future__ import annotations

import posixpath
import random
import unicodedata
from datetime import UTC, datetime
from urllib.parse import unquote

import pytest

from recordings.catalog_entries import Standing, entry_of
from recordings.downloads import Downloads
from recordings.errors import UsageError
from recordings.hms_models import RecordingAsset
from tests.faults.trials import Trials
from tests.unit.hms_fake import stack_outputs

DOTS = (
    "..",
    ".",
    "%2e%2e",
    "%2E.",
    "%252e%252e",
    "\u2024\u2024",
    "\uff0e\uff0e",
    "..\\",
    "..%5c",
    "%2f..",
    "..%00",
    "\0",
)
ABSOLUTE = ("/", "//", "%2f", "\\", "%5C", "\uff0f")
HOSTS = (
    "s3://our-bucket",
    "S3://our-bucket",
    "s3://other-bucket",
    "gs://our-bucket",
    "file://",
    "https://x@our-bucket",
)


def hostile(rng: random.Random) -> str:
    """A path with at least one thing in it that must be refused."""
    room = "65a0f1e2c3b4a59687d8e9f0"
    parts = ["recordings", "beam", room, "20260115", f"Rec-{room}-1768471200123.mp4"]
    trick = rng.randrange(4)
    host = "s3://our-bucket"
    if trick == 0:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(DOTS))
    elif trick == 1:
        parts[0] = rng.choice(ABSOLUTE) + parts[0]
    elif trick == 2:
        host = rng.choice(HOSTS[2:])
    else:
        parts[rng.randrange(len(parts))] += rng.choice(
            ["\0", "\n", "\r\nx: y", "\x1b[2J", "\u2028", "/../..", "/%2e%2e/"]
        )
    return f"{host}/{'/'.join(parts)}"


def test_hostile_path_is_neither_followed_nor_signed(trials: Trials) -> None:
    """Refused by name before anything is signed; as a row it stands for nothing of ours, and is kept as it came."""
    downloads = Downloads(stack_outputs())
    for rng in trials.of("path traversal in recording_path", 60):
        path = hostile(rng)
        assert not _is_inside(path)
        with pytest.raises(UsageError):
            downloads.sign(path)
        asset = RecordingAsset(id="a", type="room-composite", status="completed", path=path)
        entry, standing = entry_of(asset, downloads.home, datetime(2026, 8, 2, tzinfo=UTC))
        assert standing is not Standing.OURS
        assert entry.storage_provider == "100ms"


def _is_inside(path: str) -> bool:
    """Whether a plain reader, after every decoding, would find it in the prefix: an opinion of the test's own."""
    text = unicodedata.normalize("NFKC", unquote(unquote(path)))
    if not path.startswith("s3://our-bucket/recordings/") or not text.isprintable() or "\\" in text:
        return False
    key = text.removeprefix("s3://our-bucket/")
    return posixpath.normpath(key) == key
