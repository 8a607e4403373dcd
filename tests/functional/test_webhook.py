"""Webhooks over the sandbox: a real event of the fake 100ms becomes a row; forged, replayed and foreign ones do not."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import pytest

from recordings.webhook import PATH
from sandbox.hms.state import new_id
from sandbox.servers import Sandbox
from tests.functional.clients import control
from tests.functional.databases import rows
from tests.functional.stand import entered
from tests.functional.webhook_stand import SECRET, Post, application, event, posting, seed, stored


@pytest.fixture
def post(sandbox: Sandbox, database: str) -> Iterator[Post]:
    """See `posting`."""
    with posting(sandbox, database) as send:
        yield send


def test_row_holds_what_the_api_says(sandbox: Sandbox, database: str, post: Post) -> None:
    """Whatever the event claims about path and size, the row is 100ms' own answer."""
    data = seed(sandbox, size=4711)
    lies = {"recording_path": "s3://evil/x.mp4", "size": 1, "recording_presigned_url": "https://evil/?Signature=x"}
    assert post(event(data | lies)).json() == {"result": "done"}
    assert stored(database) == [(data["recording_id"], "s3", "completed", 4711)]
    assert "evil" not in str(rows(database, "select * from meeting_recordings"))


@pytest.mark.parametrize("secret", ["", "wrong", SECRET + "x", SECRET[:-1], SECRET.upper(), "é" * 25])
def test_forged_event_changes_nothing(sandbox: Sandbox, database: str, post: Post, secret: str) -> None:
    """401 before anything is read, and no row."""
    assert post(event(seed(sandbox)), secret=secret).status_code == 401
    assert stored(database) == []


def test_event_of_an_erased_recording_writes_no_row(sandbox: Sandbox, database: str, post: Post) -> None:
    """Taken as done, so that 100ms does not send it again for ever; no row, however often it comes."""
    data = seed(sandbox)
    query = "insert into recordings_internal.tombstones (kind, id) values ('session', %s)"
    rows(database, query, data["session_id"])
    for _ in range(2):
        assert post(event(data)).status_code == 200
    assert stored(database) == []


def test_every_recording_of_an_hls_event_is_found(sandbox: Sandbox, database: str, post: Post) -> None:
    """Single files are named by their asset ids; what no id names is found by the session."""
    session = {"room_id": new_id(), "session_id": new_id()}
    ids = {seed(sandbox, **session)["recording_id"] for _ in range(6)}
    files = [{"asset_id": asset_id, "recording_path": "s3://x/y"} for asset_id in ids]
    assert post(event(session | {"recording_single_files": files}, "hls.recording.success")).status_code == 200
    assert {row[0] for row in stored(database)} == ids
    rows(database, "delete from meeting_recordings")
    assert post(event(session, "recording.success")).status_code == 200
    assert {row[0] for row in stored(database)} == ids


def test_chat_of_an_event_is_found_too(sandbox: Sandbox, database: str, post: Post) -> None:
    """100ms names its path alone: the session is listed, though the recording's own id would have been enough."""
    data = seed(sandbox)
    chat = seed(sandbox, room_id=data["room_id"], session_id=data["session_id"], type="chat")
    assert post(event(data | {"chat_recording_path": "s3://x/chat.csv"})).status_code == 200
    assert {row[0] for row in stored(database)} == {data["recording_id"], chat["recording_id"]}


def test_events_of_others_change_nothing(
    sandbox: Sandbox, database: str, post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    """Another workspace's ids, another customer, and another stack's recording in the same workspace."""
    nobody = {"recording_id": new_id(), "room_id": new_id(), "session_id": new_id()}
    assert post(event(nobody)).status_code == 200
    mine = event(seed(sandbox))
    assert post(mine, expectedCustomer="another").status_code == 200
    failed = event(nobody | {"error_type": "UPLOAD_ERROR"}, "beam.failure")
    assert post(failed, expectedCustomer="another").status_code == 200
    assert "recording failed" not in caplog.text
    room = sandbox.env["HMS_ROOM_ID"]
    theirs = event(seed(sandbox, room_id=room, path="s3://their-bucket/recordings/x.mp4"))
    assert post(theirs, templateIds=["a-template-of-ours"]).status_code == 200
    assert stored(database) == []
    assert post(theirs, templateIds=[sandbox.env["HMS_TEMPLATE_ID"]]).status_code == 200
    assert [row[1] for row in stored(database)] == ["100ms"]


@pytest.mark.parametrize(
    ("kind", "error", "advice"),
    [
        ("beam.failure", "UPLOAD_ERROR", "the upload to the bucket was refused; run `recordings verify`"),
        ("hls.failure", "UPLOAD_ERROR", "the upload to the bucket was refused; run `recordings verify`"),
        ("recording.failed", "CLOUD_ACCESS_ERROR", "100ms cannot reach the bucket; run `recordings verify`"),
    ],
)
def test_failure_is_told_clearly(
    sandbox: Sandbox, post: Post, caplog: pytest.LogCaptureFixture, kind: str, error: str, advice: str
) -> None:
    """One line with error, room and next act; no second line can be smuggled in, and no presigned URL gets out."""
    data = seed(sandbox, status="failed")
    message = "PUT https://bucket/key?X-Amz-Signature=canary5ecret\nERROR forged line"
    with caplog.at_level(logging.INFO):
        answer = post(event(data | {"error_type": error, "error_message": message}, kind))
    assert answer.status_code == 200
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert error in line
    assert data["room_id"] in line
    assert advice in line
    assert "\n" not in line
    assert "canary5ecret" not in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("fault", ["500", "reset"])
def test_api_that_does_not_answer_means_send_again(sandbox: Sandbox, database: str, post: Post, fault: str) -> None:
    """503, and the row comes with the next delivery."""
    data = seed(sandbox)
    control(sandbox, "hms", "POST", "faults", {"match": "GET /v2/recording-assets/.*", "fault": fault, "times": 2})
    assert post(event(data)).status_code == 503
    assert stored(database) == []
    assert post(event(data)).status_code == 200
    assert len(stored(database)) == 1


def test_database_that_is_down_means_send_again(sandbox: Sandbox, database: str, post: Post) -> None:
    """503 within seconds, no secret in the answer; once it is back the same event is taken."""
    data, name = seed(sandbox), database.rpartition("/")[2]
    admin = sandbox.env["DATABASE_URL"]
    rows(admin, f"alter database {name} rename to {name}_away")
    try:
        answer = post(event(data))
    finally:
        rows(admin, f"alter database {name}_away rename to {name}")
    assert (answer.status_code, answer.json()) == (503, {"result": "try again"})
    assert post(event(data)).status_code == 200
    assert len(stored(database)) == 1


def test_table_that_is_missing_means_send_again(
    sandbox: Sandbox, empty_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """503, and the log says which command was forgotten."""
    data = seed(sandbox)

    async def send() -> int:
        async with application(sandbox, empty_database) as client:
            answer = await client.post(PATH, json=event(data), headers={"X-Webhook-Secret": SECRET})
            return answer.status_code

    with entered(sandbox):
        assert asyncio.run(send()) == 503
    assert "run `recordings migrate` first" in caplog.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b"[" * 100_000, 400),
        (b'{"type": 1}', 400),
        (b'{"type": "beam.failure", "data": []}', 400),
        (b'{"type": "peer.join.success", "data": {}}', 200),
        (b'{"type": "beam.failure", "data": {}}', 200),
        (json.dumps({"type": "beam.recording.success", "data": {"recording_id": "../../rooms"}}).encode(), 200),
        (b'{"type": "' + b"x" * 300_000 + b'"}', 413),
    ],
)
def test_body_that_is_no_event_is_never_an_error_of_ours(
    sandbox: Sandbox, database: str, body: bytes, status: int
) -> None:
    """Bad input is 4xx, foreign kinds are taken as read; nothing is written."""

    async def send() -> int:
        async with application(sandbox, database) as client:
            answer = await client.post(PATH, content=body, headers={"X-Webhook-Secret": SECRET})
            return answer.status_code

    with entered(sandbox):
        assert asyncio.run(send()) == status
    assert stored(database) == []
