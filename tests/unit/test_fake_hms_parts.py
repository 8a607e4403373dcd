"""Parts of the fake 100ms API: storage and paths, state, webhook addresses, the recording itself."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.hms.http import Routes
from sandbox.hms.movie import ensure_movie
from sandbox.hms.state import Options, State, new_id
from sandbox.hms.storage import Storage, storage_of
from sandbox.hms.webhooks import is_loopback
from sandbox.servers.settings import Settings

STARTED = datetime(2026, 8, 1, 23, 59, 59, 123_000, tzinfo=UTC)


def storage(prefix: str) -> Storage:
    return Storage("s3", "bucket", prefix, "us-east-1", "AKIA", "hidden")


@pytest.mark.parametrize("prefix", ["recordings", "recordings/", "/recordings/"])
def test_recording_path_is_the_documented_one(prefix: str) -> None:
    """Prefix, `beam`, room, day, room and milliseconds; slashes around the prefix make no difference."""
    key = storage(prefix).recording_path("room", STARTED)
    assert key == f"recordings/beam/room/20260801/Rec-room-{int(STARTED.timestamp() * 1000)}.mp4"
    assert storage(prefix).url(key) == f"s3://bucket/{key}"


def test_recording_path_of_an_empty_prefix_starts_with_beam() -> None:
    """No leading slash."""
    assert storage("").recording_path("room", STARTED).startswith("beam/room/")


def test_secrets_do_not_show_in_reprs() -> None:
    """Neither of a registered key nor of the sandbox's own."""
    assert "hidden" not in repr(storage("p"))
    settings = Settings()
    secrets = (settings.aws_secret_access_key, settings.hms_app_secret, settings.passphrase)
    assert not any(secret in repr(settings) for secret in secrets)


def test_storage_defaults_are_the_documented_ones() -> None:
    """No prefix is the customer's id, no region is ap-south-1."""
    upload = {"type": "s3", "location": "b", "credentials": {"key": "k", "secret": "s"}}
    found = storage_of({}, {"settings": {"recording": {"upload": upload}}}, "customer")
    assert found == Storage("s3", "b", "customer", "ap-south-1", "k", "s")


def test_storage_of_a_room_is_atomic() -> None:
    """Settings of the room's own hide the template's, even if they name no storage."""
    template = {"settings": {"recording": {"upload": {"type": "s3"}}}}
    assert storage_of({"recording_info": {"enabled": True}}, template, "customer") is None
    assert storage_of({}, {"settings": {"recording": None}}, "customer") is None


def test_state_survives_a_restart(tmp_path: Path) -> None:
    """What is saved is what is loaded, readable by its owner alone."""
    path = tmp_path / "state.json"
    state = State.load(path)
    state.rooms["a"] = {"id": "a", "_own": 1}
    state.options = Options(asset_delay=3, webhook={"url": "http://127.0.0.1/"})
    state.save()
    assert State.load(path) == state
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:8000/hook", True),
        ("https://localhost/hook", True),
        ("http://[::1]/hook", True),
        ("http://127.0.0.1@192.0.2.1/hook", False),
        ("http://192.0.2.1/127.0.0.1", False),
        ("http://localhost.example/hook", False),
        ("http://169.254.169.254/latest", False),
        ("not a url", False),
    ],
)
def test_webhooks_go_to_loopback_addresses_alone(url: str, expected: bool) -> None:
    """The host counts, not what else the URL says."""
    assert is_loopback(url) is expected


@given(st.text(min_size=1))
def test_routes_never_take_a_slash_for_an_argument(segment: str) -> None:
    """An argument is one segment of the path."""
    routes = Routes()
    routes.add("GET /rooms/{room_id}", lambda request, room_id: room_id)
    pattern = routes._routes[0][1]
    assert (pattern.fullmatch(f"/rooms/{segment}") is None) == ("/" in segment)


def test_ids_have_the_form_of_100ms() -> None:
    """24 hexadecimal digits, no two alike."""
    ids = {new_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(len(one) == 24 and int(one, 16) >= 0 for one in ids)


def test_recording_is_made_once_and_starts_with_its_index(tmp_path: Path) -> None:
    """More than 5 MiB, `moov` before `mdat` so that it plays while it loads; the second time the same file."""
    first = ensure_movie(tmp_path)
    content = first.path.read_bytes()
    assert len(content) == first.size > 5 * 1024 * 1024
    assert content.find(b"moov") < content.find(b"mdat")
    assert ensure_movie(tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == ["recording.mp4"]
