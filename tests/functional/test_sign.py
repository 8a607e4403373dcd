"""`recordings sign`: the URL alone on standard output, and it downloads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from sandbox.servers import Sandbox
from tests.functional.clients import browser
from tests.functional.stand import Stand, entered

KEY = "recordings/beam/room/20260115/Rec-room-1768471200123.mp4"


@pytest.fixture(autouse=True)
def in_sandbox(sandbox: Sandbox) -> Iterator[None]:
    with entered(sandbox):
        yield


@pytest.fixture
def web(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with browser(sandbox) as client:
        yield client


@pytest.fixture(scope="module")
def stand(sandbox: Sandbox) -> Stand:
    """One bucket with one recording for all tests here; they only read."""
    with entered(sandbox):
        made = Stand.build()
        made.s3.put_object(Bucket=made.bucket, Key=KEY, Body=b"recording", ContentType="video/mp4")
        return made


@pytest.mark.parametrize("form", ["{key}", "s3://{bucket}/{key}"])
def test_key_or_path_gives_a_url_that_downloads(stand: Stand, web: httpx.Client, form: str) -> None:
    """A key, or a path as 100ms reports it; stdout is the URL and nothing else."""
    result = stand.recordings("sign", form.format(bucket=stand.bucket, key=KEY))
    assert result.exit_code == 0
    assert result.stdout.count("\n") == 1
    answer = web.get(result.stdout.strip())
    assert (answer.status_code, answer.content) == (200, b"recording")
    assert result.stdout.strip() not in result.stderr


def test_options_come_through(stand: Stand, web: httpx.Client) -> None:
    """File name, content type and lifetime; JSON says when it ends."""
    result = stand.recordings(
        "sign", KEY, "--expires", "15m", "--filename", "Montag é.mp4", "--content-type", "video/x", "--json"
    )
    said = json.loads(result.stdout)
    answer = web.get(said["url"])
    assert answer.headers["content-type"] == "video/x"
    assert answer.headers["content-disposition"].startswith('attachment; filename="Montag _.mp4"')
    left = datetime.fromisoformat(said["expiresAt"]) - datetime.now(UTC)
    assert timedelta(minutes=14) < left <= timedelta(minutes=15)
    assert said["key"] == KEY


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("recordings/none.mp4",), 3, "NoSuchKey"),
        (("s3://another-bucket/recordings/x.mp4",), 2, "not under s3://"),
        (("gs://another-bucket/recordings/x.mp4",), 2, "not under s3://"),
        (("elsewhere/x.mp4",), 2, "not under s3://"),
        (("recordings/../x.mp4",), 2, "'..' segment"),
        ((KEY, "--expires", "8d"), 2, "604800 s (7 days)"),
        ((KEY, "--expires", "0s"), 2, "1 s to 604800 s"),
        ((KEY, "--expires", "soon"), 2, "30s, 15m, 1h, 7d"),
        ((KEY, "--filename", "a/b"), 2, "no file name"),
    ],
)
def test_what_cannot_be_signed_is_an_error(stand: Stand, arguments: tuple[str, ...], exit_code: int, said: str) -> None:
    """One message that names the value and the legal ones; nothing on stdout."""
    result = stand.recordings("sign", *arguments)
    assert (result.exit_code, result.stdout) == (exit_code, "")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_unknown_recording_can_be_signed_unchecked(stand: Stand, web: httpx.Client) -> None:
    """--no-check asks nobody; the URL is good, and finds nothing."""
    result = stand.recordings("sign", "recordings/later.mp4", "--no-check")
    assert result.exit_code == 0
    assert web.get(result.stdout.strip()).status_code == 404
