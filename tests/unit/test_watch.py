"""The judgement of a watch, its metrics and its heartbeat; no service."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from pydantic import SecretStr

from recordings.errors import ConfigurationError
from recordings.hms_models import Recording, RecordingAsset
from recordings.paths import Home
from recordings.retry import Timing
from recordings.stores.base import ObjectInfo
from recordings.watch import ALARMS, Report, Seen, State, Watched, Window, judge
from recordings.watch_heartbeat import VARIABLE, heartbeat_url, ping
from recordings.watch_metrics import PREFIX, render, write_whole
from recordings.watch_reasons import UNKNOWN
from tests.unit.hms_fake import stack_outputs

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
OUTPUTS = stack_outputs()
HOME = Home.of(OUTPUTS)
WINDOW = Window(NOW, NOW - timedelta(days=1))
PLACE = f"s3://{OUTPUTS.bucket_name}/{OUTPUTS.path_prefix}"
MP4 = f"{PLACE}beam/r/20260820/Rec-r-1.mp4"


def ago(**how: float) -> datetime:
    return NOW - timedelta(**how)


def recording(status: str, ended: datetime | None = None, **fields: Any) -> Recording:
    made = {"id": "j", "room_id": "r", "status": status, "created_at": ago(hours=2), "stopped_at": ended, **fields}
    return Recording.model_validate(made)


def asset(path: str = MP4, **fields: Any) -> RecordingAsset:
    made = {"id": "a", "type": "room-composite", "status": "completed", "path": path, "size": 10, "room_id": "r"}
    return RecordingAsset.model_validate({**made, "created_at": ago(hours=1), **fields})


def info(size: int = 10) -> ObjectInfo:
    return ObjectInfo("k", size, "e")


def states(seen: Seen, window: Window = WINDOW) -> list[State]:
    return [one.state for one in judge(seen, window, HOME).watched]


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Seen([recording("completed")], [asset(job_id="j")], objects={"a": info()}), [State.OK]),
        (Seen([], [asset()], objects={"a": None}), [State.MISSING]),
        (Seen([], [asset()], objects={"a": info(9)}), [State.MISSING]),
        (Seen([], [asset(size=None)], objects={"a": info(9)}), [State.OK]),
        (Seen([], [asset(f"{PLACE}hls/r/20260820/1/vod/x.m3u8")], objects={"a": info(9)}), [State.OK]),
        (Seen([], [asset("s3://100ms/x.mp4")]), [State.MISSING]),
        (Seen([], [asset("s3://100ms/x.mp4")], objects={"a": info()}), [State.OK]),
        (Seen([], [asset("s3://100ms/x.mp4")], objects={"a": info(9)}), [State.MISSING]),
        (Seen([], [asset()], objects={"a": None}, erased=frozenset({"a"})), [State.OK]),
        (Seen([], [asset(status="failed", path="")]), [State.FAILED]),
        (Seen([], [asset("s3://100ms/x.mp4")], others=frozenset({"r"})), []),
        (Seen([], [asset()], objects={"a": info()}, others=frozenset({"r"})), [State.OK]),
        (Seen([recording("post_processing", ago(minutes=45))], []), [State.ON_ITS_WAY]),
        (Seen([recording("post_processing", ago(minutes=46))], []), [State.LATE]),
        (Seen([recording("completed", ago(minutes=46))], []), [State.LATE]),
        (Seen([recording("stopping", updated_at=ago(minutes=1))], []), [State.ON_ITS_WAY]),
        (Seen([recording("stopping", updated_at=ago(minutes=50))], []), [State.LATE]),
        (Seen([recording("failed", ago(minutes=1))], []), [State.FAILED]),
        (Seen([recording("running")], []), []),
        (Seen([recording("starting", created_at=ago(minutes=1))], []), []),
        (Seen([recording("starting")], []), [State.LATE]),
        (Seen([recording("failed", ago(days=2), created_at=ago(days=2))], []), []),
    ],
)
def test_each_recording_has_its_state(seen: Seen, expected: list[State]) -> None:
    """Judged by the object in the bucket and by the time since the end."""
    assert states(seen) == expected


def test_limits_of_time_can_be_moved() -> None:
    """`--late`, and the lifecycle of the bucket, which deletes on purpose."""
    waiting = Seen([recording("completed", ago(minutes=46))], [])
    assert states(waiting, Window(NOW, WINDOW.since, timedelta(hours=1))) == [State.ON_ITS_WAY]
    for days, state in ((3, State.OK), (4, State.MISSING), (None, State.MISSING)):
        gone = Seen([], [asset(created_at=ago(days=3))], objects={"a": None}, keeps_days=days)
        assert states(gone, Window(NOW, ago(days=9))) == [state]


def test_reason_comes_from_job_or_session() -> None:
    """The error type with its meaning, else that nobody told it."""
    for ids, reason in (({"job_id": "j"}, "UPLOAD_ERROR"), ({"session_id": "s"}, "INPUT_ERROR"), ({}, UNKNOWN)):
        seen = Seen([], [asset(status="failed", **ids)], {"j": "UPLOAD_ERROR", "s": "INPUT_ERROR"})
        (one,) = judge(seen, WINDOW, HOME).watched
        assert one.reason == reason
        assert one.detail.startswith(reason)


def test_alarms_are_the_oldest_first() -> None:
    """Who looks, looks at these in this order; a delivery is timed from the end of its recording."""
    job = recording("completed", ago(hours=1, minutes=20))
    seen = Seen(
        [job, recording("failed", ago(hours=3), id="f")],
        [asset(job_id="j"), asset(id="b", status="failed")],
        objects={"a": info()},
    )
    report = judge(seen, WINDOW, HOME)
    assert [one.id for one in report.alarms] == ["f", "b"]
    assert [one.delivery_seconds for one in report.watched if one.id == "a"] == [1200.0]


WATCHED = st.builds(
    Watched,
    st.text(max_size=5),
    st.sampled_from(State),
    st.just(""),
    at=st.none() | st.datetimes(datetime(2026, 8, 1), datetime(2026, 8, 19), timezones=st.just(UTC)),
    reason=st.text(max_size=5),
    delivery_seconds=st.none() | st.floats(0, 1e6),
)


@given(
    watched=st.lists(WATCHED, max_size=8),
    bucket=st.text(min_size=3, max_size=9),
)
def test_metrics_are_openmetrics(watched: list[Watched], bucket: str) -> None:
    """The official parser reads what was counted, whatever a bucket or a reason is called; it ends with `# EOF`."""
    report = Report(NOW, WINDOW.since, watched, running=2)
    text = render(report, WINDOW, OUTPUTS.model_copy(update={"bucket_name": bucket}))
    assert text.endswith("\n# EOF\n")
    parse: Any = text_string_to_metric_families
    samples = [sample for family in parse(text) for sample in family.samples]
    assert {sample.labels["bucket"] for sample in samples} == {bucket}
    counted = {s.labels["state"]: s.value for s in samples if s.name == f"{PREFIX}recordings"}
    assert counted == {state.value.replace(" ", "_"): report.counts[state] for state in State}
    failed = sum(sample.value for sample in samples if sample.name == f"{PREFIX}failures")
    assert failed == report.counts[State.FAILED]
    last = [sample.value for sample in samples if sample.name == f"{PREFIX}last_run_timestamp_seconds"]
    assert last == [NOW.timestamp()]
    assert len(report.alarms) == sum(report.counts[state] for state in ALARMS)


def test_file_is_replaced_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scraper never sees a half; a disk that is full leaves the old one, and nothing beside it."""
    file = tmp_path / "recordings.prom"
    write_whole(file, "old\n")
    assert file.stat().st_mode & 0o777 == 0o644

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigurationError, match="No space left"):
        write_whole(file, "new\n")
    assert [path.name for path in tmp_path.iterdir()] == ["recordings.prom"]
    assert file.read_text() == "old\n"


URL = SecretStr("https://hc.example/secret-id")


def pinged(answer: Callable[[httpx.Request], httpx.Response]) -> tuple[str | None, int]:
    """What a ping comes to, and how often it was tried."""
    asked: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return answer(request)

    with httpx.Client(transport=httpx.MockTransport(handle)) as http:
        return ping(http, URL, Timing(sleep=lambda _: None)), len(asked)


def broken(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("secret-id")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda _: httpx.Response(200), (None, 1)),
        (lambda _: httpx.Response(404), ("it answered 404", 1)),
        (lambda _: httpx.Response(503), ("it answered 503", 4)),
        (broken, ("ConnectError", 4)),
    ],
)
def test_heartbeat_is_tried_and_its_url_never_shown(answer: Any, expected: tuple[str | None, int]) -> None:
    """What will not heal is not tried again."""
    assert pinged(answer) == expected


@pytest.mark.parametrize("text", ["canary", "ftp://canary/x", "https://", "http://canary:x/"])
def test_heartbeat_that_is_no_url_is_refused_unseen(text: str) -> None:
    """It may be a secret."""
    with pytest.raises(ConfigurationError, match="legal is") as caught:
        heartbeat_url({VARIABLE: text})
    assert "canary" not in str(caught.value)
    assert heartbeat_url({}) is None
