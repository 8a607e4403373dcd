"""A trial recording over a scripted 100ms: waiting, interruption, and every way in which delivery can be wrong."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx
import pytest

from recordings.errors import CheckFailedError, NotDueError
from recordings.hms import HmsClient
from recordings.hms_models import Recording
from recordings.trial import Proof, Trial
from recordings.verification import Status, http_client
from tests.unit.hms_fake import START, Clock, credentials
from tests.unit.s3_wire import Reply, Wire, outputs, store_on

ROOM = "room"
KEY = "recordings/beam/room/20260115/Rec-room-1768471200123.mp4"
BODY = b"a recording" * 200
FOUND = Reply(200, headers={"etag": '"e"', "content-length": str(len(BODY)), "content-type": "video/mp4"})
ASSET = {"id": "a", "type": "room-composite", "status": "completed", "path": f"s3://bucket/{KEY}", "size": len(BODY)}


@dataclass
class Script:
    """100ms with one recording that moves along `statuses` at each look; `asked` is what it was asked."""

    statuses: list[str]
    assets: list[dict[str, Any]] = field(default_factory=lambda: [ASSET])
    asked: list[str] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        what = f"{request.method} {request.url.path.removeprefix('/v2')}"
        self.asked.append(what)
        if what == "GET /recordings":
            return httpx.Response(200, json={"data": []})
        if what == "GET /recording-assets":
            return httpx.Response(200, json={"data": [{**asset, "job_id": "r"} for asset in self.assets]})
        if what == f"POST /recordings/room/{ROOM}/stop":
            return httpx.Response(200, json={"data": []})
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return httpx.Response(200, json={"id": "r", "room_id": ROOM, "status": status})


def sent(status: int, body: bytes) -> httpx.Response:
    """An answer whose body is still to be read, as from a network."""
    return httpx.Response(status, stream=httpx.ByteStream(body))


def whole_or_range(request: httpx.Request) -> httpx.Response:
    """A good bucket."""
    wanted = request.headers.get("range")
    if wanted is None:
        return sent(200, BODY)
    last = int(wanted.rpartition("-")[2])
    return sent(206, BODY[: last + 1])


@contextmanager
def trial_on(
    script: Script,
    clock: Clock | None = None,
    *,
    head: Reply = FOUND,
    respond: Callable[[httpx.Request], httpx.Response] = whole_or_range,
) -> Iterator[Trial]:
    """A trial over the script and a bucket that answers HEAD with `head` and downloads with `respond`."""
    timing = (clock or Clock()).timing()
    with (
        HmsClient(credentials(), transport=httpx.MockTransport(script), timing=timing) as hms,
        http_client(httpx.MockTransport(respond)) as http,
    ):
        yield Trial(outputs(), hms, store_on(Wire(head, head)), http, ROOM, timing=timing)


def completed() -> Recording:
    return Recording(id="r", room_id=ROOM, status="completed")


def prove(trial: Trial) -> Proof:
    return trial.prove(completed(), lambda _: None)


def test_recording_runs_for_as_long_as_asked_and_is_stopped() -> None:
    """Started, running, kept, stopped."""
    script, clock = Script(["starting", "starting", "running", "stopping"]), Clock()
    with trial_on(script, clock) as trial:
        recording = trial.record(timedelta(seconds=30), meeting_url="https://page.example")
    assert 30 in clock.slept
    assert recording.status == "stopping"
    assert script.asked.count(f"POST /recordings/room/{ROOM}/start") == 1
    assert script.asked.count(f"POST /recordings/room/{ROOM}/stop") == 1


def test_interrupted_recording_is_stopped() -> None:
    """Ctrl-C while it records: it does not go on for hours on somebody's bill."""
    script, clock = Script(["running"]), Clock()

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    with trial_on(script, clock) as trial:
        object.__setattr__(trial.timing, "sleep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            trial.record(timedelta(seconds=30), meeting_url=None)
    assert f"POST /recordings/room/{ROOM}/stop" in script.asked


def test_waiting_ends_with_delivery_and_ticks_at_each_look() -> None:
    """Looks come ever more seldom, at most every 15 seconds."""
    script, clock, seen = Script(["post_processing"] * 20 + ["completed"]), Clock(), list[str]()
    with trial_on(script, clock) as trial:
        waiting = Recording(id="r", room_id=ROOM, status="stopping")
        done = trial.wait(waiting, timedelta(minutes=45), lambda recording: seen.append(recording.status))
    assert done.status == "completed"
    assert (seen[-1], len(seen)) == ("completed", 21)
    assert clock.slept == sorted(clock.slept)
    assert max(clock.slept) == 15


@pytest.mark.parametrize("stopped_ago", [0, 1000, 5000])
def test_waiting_too_long_is_not_due_and_says_when_and_how(stopped_ago: int) -> None:
    """Twenty minutes after the stop, or in a minute if that is over; the command to come back with."""
    clock = Clock()
    with trial_on(Script(["post_processing"]), clock) as trial:
        stopped = {"status": "post_processing", "stopped_at": START - stopped_ago}
        recording = Recording.model_validate({"id": "r", "room_id": ROOM, **stopped})
        with pytest.raises(NotDueError, match="--room room --resume r") as caught:
            trial.wait(recording.model_copy(), timedelta(0))
    expected = max(START - stopped_ago + 1200, START + 60)
    assert caught.value.until.timestamp() == expected


def test_failed_recording_says_what_to_run() -> None:
    """100ms' failure is a failed check, with the fix."""
    with trial_on(Script(["failed"])) as trial, pytest.raises(CheckFailedError, match="recordings verify"):
        trial.wait(Recording(id="r", room_id=ROOM, status="stopping"), timedelta(minutes=1))


def test_good_delivery_is_proved() -> None:
    """Path, size and SHA-256 are told."""
    with trial_on(Script(["completed"])) as trial:
        proof = prove(trial)
    assert [check.status for check in proof.checks] == [Status.PASSED] * 6
    assert (proof.path, proof.size, proof.sha256) == (ASSET["path"], len(BODY), hashlib.sha256(BODY).hexdigest())


WRONG: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "no asset": ([], "asset", "none at all"),
    "chat alone": ([{**ASSET, "type": "chat"}], "asset", "chat"),
    "failed asset": ([{**ASSET, "status": "failed"}], "asset", "is failed"),
    "100ms' own storage": ([{**ASSET, "path": "s3://100ms-recordings/x/y.mp4"}], "path", "not under s3://bucket/"),
    "other prefix": ([{**ASSET, "path": "s3://bucket/elsewhere/y.mp4"}], "path", "not under"),
    "traversal": ([{**ASSET, "path": "s3://bucket/recordings/../y.mp4"}], "path", "'..' segment"),
    "no path": ([{**ASSET, "path": ""}], "path", "no key"),
    "other size": ([{**ASSET, "size": 1}], "size", f"1 byte, the bucket has {len(BODY):,}"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_delivery_fails_its_check(case: str) -> None:
    """Each with what was seen; what needs it is not run."""
    assets, failed, said = WRONG[case]
    with trial_on(Script(["completed"], assets)) as trial:
        checks = prove(trial).checks
    assert [check.id for check in checks if check.status is Status.FAILED] == [failed]
    assert said in next(check.detail for check in checks if check.id == failed)


def test_missing_object_fails_though_100ms_reports_success() -> None:
    """Recording "succeeded", bucket empty."""
    with trial_on(Script(["completed"]), head=Reply(404, code="NoSuchKey")) as trial:
        proof = prove(trial)
    assert [check.id for check in proof.checks if check.status is Status.FAILED] == ["object"]
    assert proof.sha256 is None


def test_asset_of_another_recording_is_not_taken() -> None:
    """A room has many; only this recording's counts."""
    script = Script(["completed"])

    def respond(request: httpx.Request) -> httpx.Response:
        answer = script(request)
        return httpx.Response(200, json=json.loads(answer.text.replace('"job_id":"r"', '"job_id":"other"')))

    timing = Clock().timing()
    with (
        HmsClient(credentials(), transport=httpx.MockTransport(respond), timing=timing) as hms,
        http_client(httpx.MockTransport(whole_or_range)) as http,
    ):
        trial = Trial(outputs(), hms, store_on(Wire()), http, ROOM, timing=timing)
        assert prove(trial).checks[0].status is Status.FAILED


def test_download_that_breaks_off_is_tried_again() -> None:
    """A reset in the middle is no verdict."""
    tries: list[int] = []

    def respond(request: httpx.Request) -> httpx.Response:
        tries.append(1)
        if len(tries) < 3:
            raise httpx.ReadError("reset")
        return whole_or_range(request)

    with trial_on(Script(["completed"]), respond=respond) as trial:
        assert all(check.status is Status.PASSED for check in prove(trial).checks)


@pytest.mark.parametrize(
    ("respond", "failed"),
    [
        (lambda _: httpx.Response(403), ["download", "range"]),
        (lambda _: sent(200, BODY), ["range"]),
        (lambda r: whole_or_range(r) if "range" in r.headers else sent(200, b"short"), ["download"]),
    ],
)
def test_download_that_is_refused_or_short_fails(
    respond: Callable[[httpx.Request], httpx.Response], failed: list[str]
) -> None:
    """Denied, Range ignored, bytes missing."""
    with trial_on(Script(["completed"]), respond=respond) as trial:
        proof = prove(trial)
    assert [check.id for check in proof.checks if check.status is Status.FAILED] == failed
    assert "X-Amz" not in str(proof)
