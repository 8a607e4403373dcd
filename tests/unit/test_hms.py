"""The calls of the 100ms API: which endpoint, which answer; recordings are started and stopped once."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from recordings.errors import HmsError, HmsUncertainError
from recordings.hms import HmsClient
from recordings.hms_models import Recording
from tests.unit.hms_fake import Clock, Hook, credentials, no_hook

ASSET = {
    "id": "a1",
    "thumbnails": None,
    "metadata": {"resolution": {"width": 1280, "height": 720}},
    "duration": 55,
    "path": "s3://b/recordings/beam/r1/20260921/Rec-r1-1.mp4",
    "status": "completed",
    "created_at": "2023-03-30T06:54:06.45Z",
    "type": "room-composite",
    "size": 26361961,
}


def client_of(handle: Callable[[httpx.Request], httpx.Response]) -> HmsClient:
    return HmsClient(credentials(), transport=httpx.MockTransport(handle), timing=Clock().timing())


def replay(answers: dict[str, Any]) -> HmsClient:
    """A client before a server that knows these answers by `/path?query`, and no other."""

    def handle(request: httpx.Request) -> httpx.Response:
        target = request.url.raw_path.decode().removeprefix("/v2")
        return httpx.Response(200, json=answers[target])

    return client_of(handle)


def test_template_and_room_as_documented() -> None:
    """Template and room are read with the customer that each page spells in its own way."""
    room = {"id": "r1", "name": "n", "enabled": True, "customer_id": "c1", "recording_source_template": True}
    own = {"recording_source_template": False, "recording_info": {"enabled": True, "upload_info": {"type": "s3"}}}
    client = replay(
        {
            "/templates/t1": {"id": "t1", "customerId": "c1", "_id": "t1", "customer": "c1", "roles": {}},
            "/rooms/r1": room,
            "/rooms/r2": {**room, "id": "r2", **own},
        }
    )
    assert client.template("t1").customer_id == client.room("r1").customer_id == "c1"
    assert client.room("r1").recording_info is None
    info = client.room("r2").recording_info
    assert info is not None
    assert info.upload_info is not None


def test_rooms_lists_disabled_ones_too() -> None:
    """Rooms that are disabled are asked for by themselves, and can be filtered by template."""
    enabled = {"data": [{"id": "r1"}], "last": None}
    disabled = {"data": [{"id": "r2", "enabled": False}], "last": ""}
    client = replay(
        {
            "/rooms?enabled=true&template_id=t1&limit=100": enabled,
            "/rooms?enabled=false&template_id=t1&limit=100": disabled,
        }
    )
    assert [room.id for room in client.rooms(template_id="t1")] == ["r1", "r2"]


def test_templates_and_their_recordings() -> None:
    """Templates are listed, their recording configurations given as they are."""
    client = replay(
        {"/templates?limit=100": {"data": [{"id": "t1"}]}, "/templates/t1/recordings": [{"name": "default", "new": 1}]}
    )
    assert [template.id for template in client.templates()] == ["t1"]
    assert client.template_recordings("t1") == [{"name": "default", "new": 1}]


def test_recording_with_its_assets() -> None:
    """Nanoseconds, nulls and assets of a recording are read."""
    body = {
        "id": "rec1",
        "room_id": "r1",
        "session_id": "s1",
        "status": "completed",
        "created_at": "2023-03-30T05:14:04.007990308Z",
        "started_at": None,
        "recording_assets": [ASSET],
    }
    recording = replay({"/recordings/rec1": body}).recording("rec1")
    assert recording.recording_assets is not None
    assert (recording.recording_assets[0].size, recording.recording_assets[0].duration) == (26361961, 55.0)


def test_recording_assets_and_presigned_url() -> None:
    """Assets are filtered; the URL that 100ms presigns is kept as a secret."""
    client = replay(
        {
            "/recording-assets?room_id=r1&status=completed&limit=100": {"data": [ASSET], "last": ""},
            "/recording-assets/a1": ASSET,
            "/recording-assets/a1/presigned-url?presign_duration=60": {
                "id": "a1",
                "url": "https://x/?canary",
                "expiry": 60,
            },
        }
    )
    assert [asset.id for asset in client.recording_assets(room_id="r1", status="completed")] == ["a1"]
    assert client.recording_asset("a1").path == ASSET["path"]
    url = client.presigned_url("a1", seconds=60)
    assert url.expiry == 60
    assert "canary" not in repr(url)


@pytest.mark.parametrize("body", [{}, {"id": ""}, {"id": "a1"}, {**ASSET, "status": ["canary"]}, [], None])
def test_answer_of_another_form(body: Any) -> None:
    """What is not of the documented form is an error that names the field and quotes nothing."""
    with pytest.raises(HmsError, match="recording asset a1") as caught:
        replay({"/recording-assets/a1": body}).recording_asset("a1")
    assert "canary" not in str(caught.value)


ODD_FIELDS: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(("type", "path", "job_id", "room_id", "session_id"), (None, 5, [], {})),
    "size": (None, "", "many", 1.5, 1e30, []),
    "duration": (None, "", "long", float("inf"), float("nan"), {}),
    "created_at": (
        *(None, "", "today", "2026-11-01T00:00:00", [], "0001-01-01T00:00:00Z"),
        *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00", "9999-12-31T00:00:00Z"),
    ),
}
ODD = [(name, odd) for name, values in ODD_FIELDS.items() for odd in values]


@pytest.mark.parametrize(("name", "odd"), ODD)
def test_one_odd_field_hides_no_recording(name: str, odd: Any) -> None:
    """What is of another form, or no time at all, is left out; that recording and those after it are found."""
    page = json.dumps({"data": [{**ASSET, "id": "a0", name: odd}, ASSET], "last": ""})
    first, second = client_of(lambda _: httpx.Response(200, content=page)).recording_assets()
    assert (first.id, second.id) == ("a0", ASSET["id"])
    assert getattr(first, name) in (None, "")
    assert first.model_copy(update={name: None, "id": "a1"}) == second.model_copy(update={name: None})


def test_recording_that_cannot_be_read_is_named() -> None:
    """One of a hundred on a page: its id says which."""
    page = json.dumps({"data": [ASSET, {**ASSET, "id": "a7", "status": None}], "last": ""})
    with pytest.raises(HmsError, match=r"recording asset \('a7'\) that is not of the documented form: status"):
        list(client_of(lambda _: httpx.Response(200, content=page)).recording_assets())


@dataclass
class Studio:
    """Recordings of one room; `before` and `after` may fail a call before or after its effect."""

    recordings: list[dict[str, Any]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    before: Hook = no_hook
    after: Hook = no_hook
    ids: Any = field(default_factory=itertools.count)

    def handle(self, request: httpx.Request) -> httpx.Response:
        what = f"{request.method} {request.url.path.removeprefix('/v2/recordings')}"
        if (instead := self.before(what)) is not None:
            return instead
        if request.method == "POST":
            self.bodies.append(request.content)
        answer: Any = {"limit": 100, "data": self.recordings, "last": ""}
        if what == "POST /room/r1/start":
            self.recordings.append({"id": f"rec{next(self.ids)}", "room_id": "r1", "status": "starting"})
            answer = self.recordings[-1]
        if what == "POST /room/r1/stop":
            for recording in self.recordings:
                recording["status"] = "stopping"
        return self.after(what) or httpx.Response(200, json=answer)


def fails(times: int) -> Hook:
    left = [httpx.Response(503), httpx.Response(429, headers={"retry-after": "1"})] * times

    def hook(what: str) -> httpx.Response | None:
        return left.pop() if what.startswith("POST") and len(left) > times else None

    return hook


def started(studio: Studio, **options: Any) -> Recording:
    with client_of(studio.handle) as client:
        return client.start_recording("r1", **options)


@pytest.mark.parametrize("times", [0, 1, 3])
def test_start_recording_that_fails_before_its_effect(times: int) -> None:
    """A start that had no effect is repeated, and there is one recording in the end."""
    studio = Studio(before=fails(times))
    assert started(studio).id == "rec0"
    assert len(studio.recordings) == 1


def test_start_recording_whose_answer_is_lost() -> None:
    """A start that took effect is found by reading: never a second recording, and the right one of several."""
    studio = Studio(recordings=[{"id": "old", "room_id": "r1", "status": "completed"}], after=fails(1))
    assert started(studio).id == "rec0"
    assert len(studio.recordings) == 2


def test_start_recording_that_never_gets_through() -> None:
    """It ends as uncertain when the tries are used up."""
    with pytest.raises(HmsUncertainError):
        started(Studio(before=lambda what: httpx.Response(503) if what.startswith("POST") else None))


def test_start_recording_sends_the_meeting_url() -> None:
    """The meeting URL is sent where it is given, and nothing where it is not."""
    studio = Studio()
    started(studio, meeting_url="https://x.example.com/meeting/a")
    started(studio)
    assert studio.bodies == [b'{"meeting_url":"https://x.example.com/meeting/a"}', b"{}"]


@pytest.mark.parametrize("lost", ["before", "after", "neither"])
def test_stop_recording(lost: str) -> None:
    """Whether the first stop had its effect or not, the recording is stopped and given back."""
    studio = Studio(recordings=[{"id": "rec0", "room_id": "r1", "status": "running"}])
    setattr(studio, lost, fails(1)) if lost != "neither" else None
    with client_of(studio.handle) as client:
        stopped = client.stop_recording("r1")
    assert [(recording.id, recording.status) for recording in stopped] == [("rec0", "stopping")]
    assert len(studio.bodies) == 1
