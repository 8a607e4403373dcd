"""Every documented path is understood, and nothing leads out of our bucket and prefix."""

from __future__ import annotations

import posixpath
import unicodedata
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recordings.errors import UsageError
from recordings.outputs import StorageProvider
from recordings.paths import Home, Location, RecordingKind, parse
from tests.unit.s3_wire import outputs

HOME = Home(StorageProvider.S3, "bucket", "recordings/")
ROOM, SESSION, DAY, EPOCH = "65a0f1e2c3b4a59687d8e9f0", "65b1a2", "20260115", "1768471200123"
START = datetime(2026, 1, 15, 10, 0, 0, 123000, tzinfo=UTC)
MIDNIGHT = datetime(2026, 1, 15, tzinfo=UTC)
HLS = f"hls/{ROOM}/{DAY}/{EPOCH}"

DOCUMENTED: list[tuple[str, RecordingKind, dict[str, Any]]] = [
    (f"beam/{ROOM}/{DAY}/Rec-{ROOM}-{EPOCH}.mp4", RecordingKind.COMPOSITE, {"extension": "mp4", "time": START}),
    (f"beam/{ROOM}/{DAY}/Rec-{ROOM}-{EPOCH}.txt", RecordingKind.COMPOSITE, {"extension": "txt", "time": START}),
    (f"beam/{ROOM}/{DAY}/transcript.srt", RecordingKind.COMPOSITE, {"extension": "srt", "time": MIDNIGHT}),
    (f"beam/{ROOM}/{DAY}/summary.json", RecordingKind.COMPOSITE, {"extension": "json", "time": MIDNIGHT}),
    (
        f"{ROOM}/{DAY}/{SESSION}/Rec-{SESSION}-1768471200.mp4",
        RecordingKind.COMPOSITE_LEGACY,
        {"session_id": SESSION, "extension": "mp4", "time": START.replace(microsecond=0)},
    ),
    (
        f"{ROOM}/2026-01-15/{SESSION}/peer/stream/track.webm",
        RecordingKind.TRACK,
        {
            "session_id": SESSION,
            "peer_id": "peer",
            "stream_id": "stream",
            "track_id": "track",
            "extension": "webm",
            "time": MIDNIGHT,
        },
    ),
    (
        f"{HLS}/file-recording/Rec-{ROOM}-{EPOCH}-1080p.mp4",
        RecordingKind.HLS_LAYER,
        {"layer": "1080p", "extension": "mp4", "time": START},
    ),
    (f"{HLS}/vod/Rec-{ROOM}-{EPOCH}.zip", RecordingKind.HLS_VOD, {"extension": "zip", "time": START}),
    (f"{HLS}/vod/720p/master.m3u8", RecordingKind.HLS_VOD, {"extension": "m3u8", "time": START}),
    (f"chat/{ROOM}/{DAY}/Rec-{ROOM}-{EPOCH}.csv", RecordingKind.CHAT, {"extension": "csv", "time": START}),
]


@pytest.mark.parametrize("prefix", ["", "recordings/", "a/b/beam/"])
@pytest.mark.parametrize("scheme", ["s3", "gs"])
@pytest.mark.parametrize(
    ("rest", "kind", "parts"), DOCUMENTED, ids=[f"{d[1].value}-{i}" for i, d in enumerate(DOCUMENTED)]
)
def test_documented_form_is_taken_apart(
    prefix: str, scheme: str, rest: str, kind: RecordingKind, parts: dict[str, Any]
) -> None:
    """Each form of the table, with any prefix, on S3 and on Google: kind, ids, time, extension."""
    provider = {"s3": StorageProvider.S3, "gs": StorageProvider.GCS}[scheme]
    home = Home(provider, "bucket", prefix)
    found = home.own(f"{scheme}://bucket/{prefix}{rest}")
    expected = {
        "room_id": ROOM,
        "session_id": None,
        "peer_id": None,
        "stream_id": None,
        "track_id": None,
        "layer": None,
    }
    assert (found.provider, found.bucket, found.key, found.kind) == (provider, "bucket", prefix + rest, kind)
    assert {name: getattr(found, name) for name in (expected | parts)} == expected | parts
    assert home.own(prefix + rest) == found


@pytest.mark.parametrize(("rest", "kind", "parts"), DOCUMENTED[:1])
def test_prefix_that_was_registered_with_a_slash_may_double_it(
    rest: str, kind: RecordingKind, parts: dict[str, Any]
) -> None:
    """The key stays as it is in the bucket; only the reading forgives."""
    found = HOME.own(f"s3://bucket/recordings//{rest}")
    assert (found.key, found.kind, found.time) == (f"recordings//{rest}", kind, parts["time"])


@pytest.mark.parametrize(
    "rest",
    ["x.mp4", "noextension", ".hidden", f"beam/{ROOM}/notaday/Rec-{ROOM}-{EPOCH}.mp4", "beam/a/b/c/d/e/f.mp4"],
)
def test_undocumented_form_is_kept_as_unknown(rest: str) -> None:
    """What lies under our prefix is ours, whatever it is called."""
    found = HOME.own(f"recordings/{rest}")
    assert (found.kind, found.room_id, found.time) == (RecordingKind.UNKNOWN, None, None)
    assert found.extension == ("mp4" if rest.endswith("mp4") else "")


@pytest.mark.parametrize(
    ("file", "day", "time"),
    [
        (f"Rec-{ROOM}-99999999999999999999.mp4", DAY, None),
        (f"Rec-other-{EPOCH}.mp4", DAY, MIDNIGHT),
        (f"Rec-{ROOM}-12.mp4", DAY, MIDNIGHT),
        ("x.mp4", "20261399", None),
    ],
)
def test_time_that_is_none_is_not_invented(file: str, day: str, time: datetime | None) -> None:
    """An epoch out of range, another room's name, a day that does not exist."""
    assert HOME.own(f"recordings/beam/{ROOM}/{day}/{file}").time == time


FOREIGN = [
    "s3://other/recordings/x.mp4",
    "gs://bucket/recordings/x.mp4",
    "oss://bucket/recordings/x.mp4",
    "S3://bucket/recordings/x.mp4",
    "https://bucket/recordings/x.mp4",
    "s3://bucket/elsewhere/x.mp4",
    "s3://bucket/recordings",
    "s3://bucket.s3.amazonaws.com/recordings/x.mp4",
    "s3://user@bucket/recordings/x.mp4",
    "s3://bucket:443/recordings/x.mp4",
    "elsewhere/x.mp4",
    ".recordings/memory",
]
MALFORMED = [
    "",
    "s3://",
    "s3:///recordings/x.mp4",
    "s3://bucket",
    "s3://bucket/",
    "s3://bucket//recordings/x.mp4",
    "/recordings/x.mp4",
    "recordings/../secret",
    "recordings/a/../../x",
    "recordings/..",
    "recordings/./x",
    "..",
    "recordings/%2e%2e/x",
    "recordings/%2E./x",
    "recordings/%252e%252e/x",
    "recordings/%2f..%2fx",
    "recordings/..%5cx",
    "recordings/..\\x",
    "recordings\\x",
    "recordings/x\x00.mp4",
    "recordings/x%00.mp4",
    "recordings/x\n.mp4",
    "recordings/x\x7f",
    "recordings/x\u2028y",
    "recordings/\uff0e\uff0e/x",
    "recordings/\u2025/x",
    "recordings/a\uff0f..\uff0fb",
    "recordings/\uff3c",
    "recordings/\ud800",
]


@pytest.mark.parametrize("path", FOREIGN)
def test_foreign_path_is_refused(path: str) -> None:
    """Another scheme, bucket or prefix, and the operator's own place; the message says what is ours."""
    with pytest.raises(UsageError, match=r"not under s3://bucket/recordings/"):
        HOME.own(path)


@pytest.mark.parametrize("path", MALFORMED, ids=ascii)
def test_malformed_path_is_refused(path: str) -> None:
    """Traversal in every spelling, absolute, empty, control characters, backslashes."""
    with pytest.raises(UsageError, match="legal is"):
        HOME.own(path)


def test_operators_place_is_no_recording_even_without_a_prefix() -> None:
    """With an empty prefix the whole bucket is ours, but not what commands remember there."""
    with pytest.raises(UsageError, match="not under"):
        Home(StorageProvider.S3, "bucket", "").own(".recordings/registration")


SEGMENTS = st.sampled_from(
    [
        "recordings",
        "..",
        ".",
        "",
        "%2e%2e",
        "%2e",
        "..%2f",
        "%252e",
        "a",
        "\uff0e\uff0e",
        "\\",
        "x\x00",
        "é",
        "...",
        "%",
    ]
)


@given(path=st.one_of(st.lists(SEGMENTS, max_size=8).map("/".join), st.text(max_size=60)), scheme=st.booleans())
@example(path="recordings/x", scheme=True)
def test_accepted_key_stays_under_the_prefix_however_it_is_decoded(path: str, scheme: bool) -> None:
    """Decode it, normalise it, resolve it: what `own` lets through is still under the prefix."""
    try:
        key = HOME.own(f"s3://bucket/{path}" if scheme else path).key
    except UsageError:
        return
    assert key == path
    for once in (key, unquote(key), unquote(unquote(key)), unicodedata.normalize("NFKC", key)):
        assert posixpath.normpath(once.replace("\\", "/")).startswith("recordings")
        assert ".." not in once.split("/")
        assert "\x00" not in once


@given(
    room=st.from_regex(r"[a-f0-9]{24}", fullmatch=True),
    started=st.datetimes(datetime(2020, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)),
    prefix=st.sampled_from(["", "recordings/", "a/b/"]),
)
def test_composite_key_is_read_back(room: str, started: datetime, prefix: str) -> None:
    """What the builder makes, the parser understands: room and start to the millisecond."""
    home = Home(StorageProvider.S3, "bucket", prefix)
    found = home.own(home.path(home.composite_key(room, started)))
    assert (found.kind, found.room_id, found.extension) == (RecordingKind.COMPOSITE, room, "mp4")
    assert found.time is not None
    assert abs((found.time - started).total_seconds()) < 0.0011


def test_location_shows_as_it_was_written() -> None:
    """parse and str are each other's inverse."""
    assert parse("gs://b/k/x y.mp4") == Location("gs", "b", "k/x y.mp4")
    assert str(parse("gs://b/k/x y.mp4")) == "gs://b/k/x y.mp4"


def test_home_is_what_the_outputs_declare() -> None:
    """Provider, bucket and prefix of the stack."""
    assert Home.of(outputs()) == HOME
    assert HOME.scheme == "s3"
