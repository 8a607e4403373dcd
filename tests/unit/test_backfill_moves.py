"""What is moved, in which order, and to which key; what is not, and why."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.backfill.moves import KEPT, Move, destination, find
from recordings.backfill.run import by_day, steps
from recordings.errors import UsageError
from recordings.hms_models import RecordingAsset
from recordings.outputs import StorageProvider
from recordings.paths import Home

HOME = Home(StorageProvider.S3, "ours", "recordings/")
NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
ROOM = "65f0c2d8e1a2b3c4d5e6f708"
CUSTOMER = "627cdddff2e4e30487862ad1"
DOCUMENTED = [
    f"beam/{ROOM}/20260801/Rec-{ROOM}-1785542400123.mp4",
    f"{ROOM}/20260801/session1/Rec-session1-1785542400.mp4",
    f"{ROOM}/20260801/session1/peer1/stream1/track1.webm",
    f"hls/{ROOM}/20260801/1785542400/file-recording/Rec-{ROOM}-1785542400-720p.mp4",
    f"hls/{ROOM}/20260801/1785542400/vod/Rec-{ROOM}-1785542400.zip",
    f"chat/{ROOM}/20260801/Rec-{ROOM}-1785542400.csv",
]


def asset(
    id_: str = "a", key: str = DOCUMENTED[0], *, bucket: str = "hms-own", days: float = 1, **more: object
) -> RecordingAsset:
    given: dict[str, object] = {
        "id": id_,
        "type": "room-composite",
        "status": "completed",
        "path": f"s3://{bucket}/{key}",
    }
    given |= {"room_id": ROOM, "created_at": NOW - timedelta(days=days), "size": 100}
    return RecordingAsset.model_validate(given | more)


@pytest.mark.parametrize("rest", DOCUMENTED)
@pytest.mark.parametrize("before", ["", f"{CUSTOMER}/", "eu/hms/", f"{CUSTOMER}//"])
def test_the_documented_path_lies_under_our_prefix(rest: str, before: str) -> None:
    """Whatever prefix 100ms has in its own storage, it is left there."""
    assert destination(before + rest, HOME, ROOM) == f"recordings/{rest}"


def test_a_path_of_no_documented_form_keeps_its_key() -> None:
    """Two of them never meet under one key."""
    assert destination(f"{CUSTOMER}/transcripts/x.srt", HOME, ROOM) == f"recordings/{CUSTOMER}/transcripts/x.srt"


@given(st.text(min_size=1, max_size=60))
def test_no_path_leads_out_of_the_prefix(key: str) -> None:
    """A path is refused, or its key lies under the prefix with no step up in it."""
    try:
        found = destination(key, HOME, None)
    except UsageError:
        return
    assert found.startswith("recordings/")
    assert ".." not in found.split("/")


def test_what_ends_first_comes_first() -> None:
    """Soonest end first; what says no time at all might end at once."""
    found = find([asset("new", days=1), asset("old", days=14), asset("none", created_at=None)], HOME, NOW)
    assert [move.asset.id for move in found.moves] == ["none", "old", "new"]
    assert found.moves[1].last_day == date(2026, 8, 21)


def test_only_what_is_in_100ms_storage_is_moved() -> None:
    """Not what lies in our bucket, in another of the workspace, what failed, or what 100ms has deleted."""
    assets = [
        asset("ours", f"recordings/{DOCUMENTED[0]}", bucket="ours"),
        asset("dev", bucket="other-stack"),
        asset("failed", status="failed"),
        asset("nowhere", path=""),
        asset("late", days=KEPT.days + 2),
        asset("just", days=KEPT.days + 0.5),
        asset("move"),
    ]
    found = find(assets, HOME, NOW)
    found.leave({"other-stack"})
    assert [move.asset.id for move in found.moves] == ["just", "move"]
    assert (found.ours, found.elsewhere, found.deleted) == (1, 1, 1)


def test_the_walk_ends_after_a_page_that_is_deleted() -> None:
    """The list of years is not read; one old recording among new ones does not end it."""
    seen = iter([asset("a"), asset("old", days=30), asset("b"), *[asset("old", days=30)] * 300, asset("never")])
    assert [move.asset.id for move in find(seen, HOME, NOW).moves] == ["a", "b"]
    assert len(list(seen)) == 201


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (f"hls/{ROOM}/20260801/1785542400/vod/master.m3u8", "segments"),
        ("../../etc/passwd", "'..'"),
        ("a/%2e%2e/b.mp4", "percent-encoded"),
        ("a" * 1030, "1024 bytes"),
    ],
)
def test_what_cannot_be_moved_is_told_with_its_last_day(key: str, reason: str) -> None:
    """It is no reason to leave the others."""
    found = find([asset("bad", key), asset("good")], HOME, NOW)
    assert [move.asset.id for move in found.moves] == ["good"]
    assert found.unmovable[0].asset_id == "bad"
    assert reason in found.unmovable[0].reason
    assert found.unmovable[0].last_day == date(2026, 9, 3)


def test_a_plan_names_recording_size_day_and_place() -> None:
    """One step for each, in order."""
    moves = find([asset("x")], HOME, NOW).moves
    titles = [step.title for step in steps(moves, HOME, lambda _: None).steps]
    assert titles == [f"move recording x (100 B, at 100ms until 2026-09-03) to s3://ours/recordings/{DOCUMENTED[0]}"]


def test_days_count_recordings_and_bytes() -> None:
    """By the day on which 100ms deletes them."""
    moves = find([asset("a", days=14), asset("b", days=1), asset("c", days=1)], HOME, NOW).moves
    days = [(day.days_left, day.count, day.size) for day in by_day(moves, NOW.date())]
    assert days == [(1, 1, 100), (14, 2, 200)]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.mp4", "video/mp4"), ("a.WEBM", "video/webm"), ("a.csv", "text/csv"), ("a.zip", "application/zip"),
     ("a.json", "application/json"), ("a.srt", "application/x-subrip"), ("a", "application/octet-stream")],
)  # fmt: skip
def test_an_object_says_what_it_is(name: str, kind: str) -> None:
    """By the end of its name, so that a browser plays it."""
    assert Move(asset(), f"recordings/{name}", None).content_type == kind
