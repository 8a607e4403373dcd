"""The fake 100ms API over HTTPS: tokens, what a registered key does to a recording, webhooks, failing on demand."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

import av
import httpx
import pytest

from sandbox.servers import Sandbox
from tests.functional.clients import aws, browser, control, eventually, hms, management_token

MIB = 1024 * 1024


@pytest.fixture(scope="module", autouse=True)
def quick(sandbox: Sandbox) -> Iterator[None]:
    """Recordings arrive at once."""
    before = control(sandbox, "hms", "GET", "options")
    control(sandbox, "hms", "POST", "options", {"start_delay": 0.01, "asset_delay": 0.02})
    yield
    control(sandbox, "hms", "POST", "options", before)


@pytest.fixture
def api(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with hms(sandbox) as client:
        yield client


@pytest.fixture(scope="module")
def storage(sandbox: Sandbox) -> dict[str, Any]:
    """A bucket and a put-only key for it, as a template is given them."""
    name = f"recorded-{secrets.token_hex(4)}"
    aws("s3", sandbox).create_bucket(Bucket=name)
    iam = aws("iam", sandbox)
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{name}/recordings/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName=name, PolicyName="put", PolicyDocument=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {
        "type": "s3",
        "location": name,
        "prefix": "recordings/",
        "options": {"region": "us-east-1"},
        "credentials": {"key": key["AccessKeyId"], "secretKey": key["SecretAccessKey"]},
    }


def make_room(sandbox: Sandbox, upload: dict[str, Any] | None, **room: Any) -> str:
    """A room of a template of its own with this storage setting."""
    settings = {"region": "eu", "recording": None if upload is None else {"upload": upload}}
    template = control(sandbox, "hms", "POST", "seed", {"templates": [{"settings": settings}]})["templates"][0]
    made = control(sandbox, "hms", "POST", "seed", {"rooms": [{"template_id": template, **room}]})
    return str(made["rooms"][0])


def record(api: httpx.Client, room: str) -> dict[str, Any]:
    """Start, stop, wait; the recording when it has ended."""
    started = api.post(f"/recordings/room/{room}/start", json={})
    assert started.status_code == 200, started.text
    address = f"/recordings/{started.json()['id']}"
    eventually(lambda: api.get(address).json()["status"] == "running")
    stopped = api.post(f"/recordings/room/{room}/stop").json()
    assert [one["status"] for one in stopped["data"]] == ["stopping"]
    return dict(eventually(lambda: _ended(api.get(address).json())))


def _ended(recording: dict[str, Any]) -> dict[str, Any] | None:
    return recording if recording["status"] in ("completed", "failed") else None


def test_recording_arrives_with_the_registered_key_at_the_documented_path(
    sandbox: Sandbox, api: httpx.Client, storage: dict[str, Any]
) -> None:
    """A playable H.264 MP4 of several parts, under the registered prefix, listed with the path it lies at."""
    room = make_room(sandbox, storage)
    recording = record(api, room)
    asset, day = recording["recording_assets"][0], recording["started_at"][:10].replace("-", "")
    assert time.time() - datetime.fromisoformat(recording["started_at"]).timestamp() < 3600
    start = f"s3://{storage['location']}/recordings/beam/{room}/{day}/Rec-{room}-"
    assert asset["path"].startswith(start)
    assert (asset["type"], asset["status"]) == ("room-composite", "completed")
    key = asset["path"].removeprefix(f"s3://{storage['location']}/")
    stored = aws("s3", sandbox).get_object(Bucket=storage["location"], Key=key)
    content = stored["Body"].read()
    assert len(content) == asset["size"] > 5 * MIB
    assert (stored["ContentType"], stored["ETag"].strip('"')[-2:]) == ("video/mp4", "-2")
    with av.open(BytesIO(content), mode="r") as movie:
        assert movie.streams.video[0].codec_context.name == "h264"
        assert len(list(movie.decode(video=0))) == 75
    listed = api.get("/recording-assets", params={"room_id": room}).json()
    assert [one["id"] for one in listed["data"]] == [asset["id"]]


def test_presigned_url_of_a_put_only_key_is_refused(
    sandbox: Sandbox, api: httpx.Client, storage: dict[str, Any]
) -> None:
    """100ms signs with the registered key: what that may not read, its URL does not open."""
    asset = record(api, make_room(sandbox, storage))["recording_assets"][0]
    signed = api.get(f"/recording-assets/{asset['id']}/presigned-url", params={"presign_duration": "600"}).json()
    assert (signed["path"], signed["expiry"]) == (asset["path"], 600)
    with browser(sandbox) as anyone:
        assert anyone.get(signed["url"]).status_code == 403


def test_recording_without_storage_goes_to_100ms(sandbox: Sandbox, api: httpx.Client) -> None:
    """Its bucket is not the owner's, does not show among the owner's, and its presigned URL works."""
    recording = record(api, make_room(sandbox, None))
    asset = recording["recording_assets"][0]
    assert asset["path"].startswith("s3://100ms-own-")
    signed = api.get(f"/recording-assets/{asset['id']}/presigned-url").json()
    assert signed["expiry"] == 259_200
    with browser(sandbox) as anyone:
        assert len(anyone.get(signed["url"]).content) == asset["size"]
    assert not any(b["Name"].startswith("100ms-own") for b in aws("s3", sandbox).list_buckets()["Buckets"])


@pytest.mark.parametrize(
    "wrong",
    [
        {"options": {"region": "eu-west-1"}},
        {"options": {}},
        {"prefix": "elsewhere"},
        {"location": "no-such-bucket-anywhere"},
        {"credentials": {"key": "AKIAAAAAAAAAAAAAAAAA", "secretKey": "x"}},
        {"type": "oss"},
    ],
)
def test_refused_upload_fails_the_recording(
    sandbox: Sandbox, api: httpx.Client, storage: dict[str, Any], wrong: dict[str, Any]
) -> None:
    """Wrong region (or none: ap-south-1), prefix, bucket, key: no file, a failed asset that says so."""
    recording = record(api, make_room(sandbox, {**storage, **wrong}))
    assert recording["status"] == "failed"
    asset = recording["recording_assets"][0]
    assert (asset["status"], asset["size"]) == ("failed", 0)
    assert asset["error"] == "Failed to upload recordings. Check if upload config is correct."
    assert api.get(f"/recording-assets/{asset['id']}/presigned-url").status_code == 404


def test_room_with_its_own_storage_ignores_the_template(
    sandbox: Sandbox, api: httpx.Client, storage: dict[str, Any]
) -> None:
    """`recording_info` is atomic: its bucket is used, or 100ms' own if it names none."""
    credentials = {"key": storage["credentials"]["key"], "secret": storage["credentials"]["secretKey"]}
    own = {"enabled": True, "upload_info": {**storage, "prefix": "recordings/room", "credentials": credentials}}
    room = make_room(sandbox, {**storage, "location": "no-such-bucket-anywhere"}, recording_info=own)
    asset = record(api, room)["recording_assets"][0]
    assert asset["path"].startswith(f"s3://{storage['location']}/recordings/room/beam/")
    bare = make_room(sandbox, storage, recording_info={"enabled": True})
    assert record(api, bare)["recording_assets"][0]["path"].startswith("s3://100ms-own-")


@dataclass
class Receiver:
    """A webhook endpoint; answers the next requests with `answers`, then 200."""

    url: str
    answers: list[int] = field(default_factory=list)
    got: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def receiver(sandbox: Sandbox) -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            received.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(received.answers.pop(0) if received.answers else 200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received = Receiver(f"http://127.0.0.1:{server.server_port}/hook")
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        webhook = {"url": received.url, "headers": {"x-webhook-secret": "s3cret"}}
        options = {"webhook": webhook, "retry_delays": [0.05, 0.1]}
        before = control(sandbox, "hms", "GET", "options")
        control(sandbox, "hms", "POST", "options", options)
        yield received
        control(sandbox, "hms", "POST", "options", before)
        server.shutdown()
        thread.join()


def test_webhook_tells_where_the_recording_is(
    sandbox: Sandbox, api: httpx.Client, storage: dict[str, Any], receiver: Receiver
) -> None:
    """The envelope and data of `beam.recording.success`, with the owner's header, again after anything but 200."""
    receiver.answers = [500]
    room = make_room(sandbox, storage)
    recording = record(api, room)
    eventually(lambda: len(receiver.got) == 2)
    (headers, first), (_, second) = receiver.got
    assert first == second
    assert headers["x-webhook-secret"] == "s3cret"
    assert (first["type"], first["version"]) == ("beam.recording.success", "2.0")
    asset = recording["recording_assets"][0]
    told = {name: first["data"][name] for name in ("recording_path", "recording_id", "room_id", "size", "duration")}
    assert told == {
        "recording_path": asset["path"],
        "recording_id": asset["id"],
        "room_id": room,
        "size": asset["size"],
        "duration": 3,
    }


def test_webhook_tells_of_a_refused_upload_and_is_replayed(
    sandbox: Sandbox, api: httpx.Client, storage: dict[str, Any], receiver: Receiver
) -> None:
    """`beam.failure` with UPLOAD_ERROR; an event that never got through comes again on a replay, marked as such."""
    receiver.answers = [500, 500, 500]
    room = make_room(sandbox, {**storage, "prefix": "elsewhere"})
    record(api, room)
    eventually(lambda: len(receiver.got) == 3 and not receiver.answers)
    data = receiver.got[0][1]["data"]
    assert (receiver.got[0][1]["type"], data["error_type"]) == ("beam.failure", "UPLOAD_ERROR")
    started = api.post("/analytics/webhooks/replay", json={"room_id": room}).json()
    address = f"/analytics/webhooks/replay/{started['workflow_id']}"
    eventually(lambda: api.get(address).json()["status"] == "completed")
    assert receiver.got[3][1] == {**receiver.got[0][1], "is_replay": True}


def test_webhook_goes_to_the_loopback_interface_alone(
    sandbox: Sandbox, api: httpx.Client, storage: dict[str, Any], receiver: Receiver
) -> None:
    """A room's own webhook counts before the workspace's, and one that points outside is not called."""
    room = make_room(sandbox, storage, webhook={"url": "http://192.0.2.1/hook"})
    record(api, room)
    log = sandbox.dir / "logs" / "hms.log"
    eventually(lambda: "192.0.2.1 is not a loopback address" in log.read_text())
    assert receiver.got == []


def test_stop_before_the_recording_runs_fails_it(sandbox: Sandbox, api: httpx.Client) -> None:
    """A stop that comes too early ends in `failed`, as documented (BEAM_STOPPED), and leaves no asset."""
    before = control(sandbox, "hms", "GET", "options")
    control(sandbox, "hms", "POST", "options", {"start_delay": 30})
    room = make_room(sandbox, None)
    try:
        started = api.post(f"/recordings/room/{room}/start", json={}).json()
        assert api.post(f"/recordings/room/{room}/start", json={}).status_code == 409
        api.post(f"/recordings/room/{room}/stop")
    finally:
        control(sandbox, "hms", "POST", "options", before)
    ended = api.get(f"/recordings/{started['id']}").json()
    assert (ended["status"], ended["recording_assets"]) == ("failed", None)


@pytest.fixture
def faults(sandbox: Sandbox) -> Iterator[Any]:
    yield lambda *rules: control(sandbox, "hms", "POST", "faults", list(rules))
    control(sandbox, "hms", "DELETE", "faults")


def test_faults_hit_matching_requests_and_then_stop(sandbox: Sandbox, api: httpx.Client, faults: Any) -> None:
    """A status with Retry-After so many times, after so many that pass."""
    faults({"match": "GET /v2/rooms", "fault": "429", "times": 2, "skip": 1, "retry_after": 1})
    answers = [api.get("/rooms") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 429, 429, 200]
    assert answers[1].headers["retry-after"] == "1"
    assert answers[1].json()["code"] == 429
    assert api.get("/templates").status_code == 200


def test_lost_answer_does_the_work(sandbox: Sandbox, api: httpx.Client, faults: Any) -> None:
    """The connection is cut after the work; `reset` cuts it before."""
    for fault, done in (("reset", False), ("lost_answer", True)):
        faults({"match": "POST /v2/rooms", "fault": fault})
        name = f"lost-{secrets.token_hex(4)}"
        with pytest.raises(httpx.TransportError):
            api.post("/rooms", json={"name": name})
        assert bool(api.get("/rooms", params={"name": name}).json()["data"]) == done


def test_damaged_answers_are_damaged(sandbox: Sandbox, api: httpx.Client, faults: Any) -> None:
    """`truncate` ends in the middle of the body, `corrupt` changes it, `slow` waits."""
    whole = api.get("/templates").content
    faults({"match": "GET /v2/templates", "fault": "truncate"}, {"match": "GET /v2/templates", "fault": "corrupt"})
    with pytest.raises(httpx.RemoteProtocolError):
        api.get("/templates")
    assert api.get("/templates").content != whole
    assert api.get("/templates").content == whole
    faults({"match": "GET /v2/templates", "fault": "slow", "delay": 5})
    with pytest.raises(httpx.ReadTimeout):
        api.get("/templates", timeout=0.2)


def test_faults_hit_s3_in_its_own_words(sandbox: Sandbox) -> None:
    """The same means in front of AWS: a client sees S3's error."""
    s3 = aws("s3", sandbox)
    control(sandbox, "aws", "POST", "faults", {"match": "GET /", "fault": "503"})
    with pytest.raises(s3.exceptions.ClientError, match="SlowDown"):
        s3.list_buckets()
    assert s3.list_buckets()


def test_unknown_fault_is_refused(sandbox: Sandbox) -> None:
    """A rule that could never work says what would."""
    base = sandbox.env["HMS_API_URL"].removesuffix("/v2")
    with browser(sandbox) as client:
        for rule in ({"match": "(", "fault": "429"}, {"match": "x", "fault": "explode"}, {"fault": "429"}, 3):
            answer = client.post(f"{base}/_sandbox/faults", json=rule)
            assert (answer.status_code, "not a fault rule" in answer.text) == (400, True)


def test_token_opens_the_api_and_nothing_else_does(sandbox: Sandbox) -> None:
    """Without a token, and with one signed by another secret, every path under /v2 is 401."""
    with browser(sandbox) as client:
        url = f"{sandbox.env['HMS_API_URL']}/templates"
        assert client.get(url).json()["code"] == 401
        forged = management_token(sandbox, secret="s" * 64)
        assert client.get(url, headers={"Authorization": f"Bearer {forged}"}).status_code == 401
        good = management_token(sandbox)
        assert client.get(url, headers={"Authorization": f"Bearer {good}"}).status_code == 200
