"""`recordings test-recording` against the fake 100ms: recorded, delivered, proved; interrupted, refused, failed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.servers import Sandbox
from tests.functional.clients import control, eventually, hms
from tests.functional.stand import Stand, entered


@pytest.fixture(autouse=True)
def in_sandbox(sandbox: Sandbox) -> Iterator[None]:
    with entered(sandbox):
        yield


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with hms(sandbox) as client:
        yield client


@pytest.fixture(scope="module")
def stand(sandbox: Sandbox) -> Stand:
    with entered(sandbox):
        return Stand.build()


def room_of(sandbox: Sandbox, stand: Stand, *, room: dict[str, Any] | None = None, **upload: Any) -> str:
    """A room whose template uploads as the stand says, apart from `upload`; its id."""
    wanted = {
        "type": "s3",
        "location": stand.bucket,
        "prefix": "recordings",
        "options": {"region": "us-east-1"},
        "credentials": {"key": stand.raw["writerAccessKeyId"], "secretKey": stand.raw["writerSecretAccessKey"]},
    }
    settings = {"recording": {"upload": wanted | upload}}
    template = control(sandbox, "hms", "POST", "seed", {"templates": [{"settings": settings}]})["templates"][0]
    made = control(sandbox, "hms", "POST", "seed", {"rooms": [{"template_id": template, **(room or {})}]})
    return str(made["rooms"][0])


def recorded(api: httpx.Client, room: str) -> list[dict[str, Any]]:
    """Every recording of a room."""
    return list(api.get("/recordings", params={"room_id": room}).json()["data"])


def test_recording_is_made_delivered_and_proved(sandbox: Sandbox, stand: Stand, api: httpx.Client) -> None:
    """One recording, stopped again; the SHA-256 is that of the object at the path that 100ms names."""
    room = room_of(sandbox, stand)
    result = stand.recordings("test-recording", "--room", room, "--keep", "1s", "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert [recording["status"] for recording in recorded(api, room)] == ["completed"]
    assert said["path"].startswith(f"s3://{stand.bucket}/recordings/beam/{room}/")
    key = said["path"].removeprefix(f"s3://{stand.bucket}/")
    body = stand.s3.get_object(Bucket=stand.bucket, Key=key)["Body"].read()
    assert (said["size"], said["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert [(check["id"], check["status"]) for check in said["checks"]] == [
        (id_, "passed") for id_ in ("asset", "path", "object", "size", "download", "range")
    ]
    assert "X-Amz-Signature" not in result.output


def test_unfinished_recording_is_taken_up_not_repeated(sandbox: Sandbox, stand: Stand, api: httpx.Client) -> None:
    """--no-wait ends with 4 and says when to come back; the next run, with or without --resume, starts nothing."""
    room = room_of(sandbox, stand)
    control(sandbox, "hms", "POST", "options", {"asset_delay": 6.0})  # the next run looks while it is not over
    try:
        first = stand.recordings("test-recording", "--room", room, "--keep", "0s", "--no-wait", "--json")
    finally:
        control(sandbox, "hms", "POST", "options", {"asset_delay": 0.5})
    assert first.exit_code == 4
    error = json.loads(first.stdout)["error"]
    assert error["type"] == "NotDueError"
    assert error["until"] > "2026"
    recording = recorded(api, room)[0]["id"]
    assert f"--room {room} --resume {recording}" in first.stderr
    again = stand.recordings("test-recording", "--room", room)
    assert again.exit_code == 0, again.output
    assert f"taking up recording {recording}" in again.stderr
    resumed = stand.recordings("test-recording", "--room", room, "--resume", recording)
    assert resumed.exit_code == 0
    assert len(recorded(api, room)) == 1


def test_somebody_elses_recording_is_left_alone(sandbox: Sandbox, stand: Stand, api: httpx.Client) -> None:
    """100ms would stop all recordings of the room: it is refused, and theirs goes on. --resume takes it up."""
    room = room_of(sandbox, stand)
    started = api.post(f"/recordings/room/{room}/start", json={}).json()["id"]
    result = stand.recordings("test-recording", "--room", room)
    assert result.exit_code == 2
    assert f"--resume {started}" in result.stderr
    eventually(lambda: recorded(api, room)[0]["status"] == "running")
    assert stand.recordings("test-recording", "--room", room, "--resume", started, "--keep", "0s").exit_code == 0
    assert len(recorded(api, room)) == 1


@pytest.mark.parametrize(
    ("upload", "named"),
    [
        ({"location": "another-bucket"}, "location"),
        ({"credentials": {"key": "AKIAOLD", "secretKey": "x"}}, "credentials"),
    ],
)
def test_template_with_other_storage_stops_before_the_start(
    sandbox: Sandbox, stand: Stand, api: httpx.Client, upload: dict[str, Any], named: str
) -> None:
    """Nobody waits 20 minutes to learn it: exit 1, the property and the command named, nothing recorded."""
    room = room_of(sandbox, stand, **upload)
    result = stand.recordings("test-recording", "--room", room)
    assert result.exit_code == 1
    assert named in result.stderr
    assert "`recordings register`" in result.stderr
    assert recorded(api, room) == []


def test_room_with_storage_of_its_own_stops_before_the_start(sandbox: Sandbox, stand: Stand, api: httpx.Client) -> None:
    """A room's own storage wins over its template's."""
    own = {"type": "s3", "location": "theirs", "prefix": "x", "credentials": {"key": "k", "secret": "s"}}
    room = room_of(sandbox, stand, room={"recording_info": {"enabled": True, "upload_info": own}})
    result = stand.recordings("test-recording", "--room", room)
    assert result.exit_code == 1
    assert "storage of its own (theirs)" in result.stderr
    assert recorded(api, room) == []


def test_refused_upload_ends_with_a_reason(sandbox: Sandbox) -> None:
    """The key that 100ms has is inactive: 100ms fails, and the message says what to run."""
    stand = Stand.build()
    room = room_of(sandbox, stand)
    stand.deactivate("writer")
    result = stand.recordings("test-recording", "--room", room, "--keep", "0s")
    assert result.exit_code == 1
    assert "failed: run `recordings verify`" in result.stderr


def test_dry_run_starts_nothing(sandbox: Sandbox, stand: Stand, api: httpx.Client) -> None:
    """The steps alone."""
    room = room_of(sandbox, stand)
    result = stand.recordings("test-recording", "--room", room, "--dry-run")
    assert result.exit_code == 0
    assert f"would: start a recording of room {room}" in result.stderr
    assert recorded(api, room) == []


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("--room", "65f000000000000000000000"), 3, "65f000000000000000000000"),
        (("--room", "x", "--resume", "65f000000000000000000000"), 3, "answered 404"),
        (("--room", "x", "--keep", "long"), 2, "30s, 15m, 1h, 7d"),
    ],
)
def test_bad_input_is_named(stand: Stand, arguments: tuple[str, ...], exit_code: int, said: str) -> None:
    """An unknown room or recording is 100ms' refusal, a bad duration bad usage."""
    result = stand.recordings("test-recording", *arguments)
    assert result.exit_code == exit_code
    assert said in result.stderr


def test_recording_of_another_room_is_not_resumed(sandbox: Sandbox, stand: Stand, api: httpx.Client) -> None:
    """--room and --resume must agree."""
    rooms = [room_of(sandbox, stand), room_of(sandbox, stand)]
    started = api.post(f"/recordings/room/{rooms[0]}/start", json={}).json()["id"]
    result = stand.recordings("test-recording", "--room", rooms[1], "--resume", started)
    assert result.exit_code == 2
    assert "correct --room" in result.stderr


def test_other_customer_stops_before_the_start(sandbox: Sandbox, stand: Stand, api: httpx.Client) -> None:
    """A workspace that is not the expected one is not recorded in."""
    room = room_of(sandbox, stand)
    result = stand.declared(expectedCustomer="somebody-else").recordings("test-recording", "--room", room)
    assert result.exit_code == 2
    assert "expectedCustomer" in result.stderr
    assert recorded(api, room) == []
