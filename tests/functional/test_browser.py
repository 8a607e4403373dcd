"""The page in a real browser, a bucket of either provider on another origin; it plays, seeks, other origins may not."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from sandbox.servers import Sandbox
from tests import node
from tests.functional.google_stand import GoogleStand
from tests.functional.stand import Stand, entered
from tests.functional.web_server import WebStand, serving, web_stand

FAR = 40_000_000
"""Bytes that no player has loaded when the start of `movie` is shown."""
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
WIDTH, HEIGHT, FRAMES = 640, 360, 300
ENCODING = {"preset": "ultrafast", "qp": "22", "g": "10"}
"""A key frame every second: without one near by, a player reads everything before the place that it is sent to."""


def movie(path: Path) -> Path:
    """Half a minute of H.264 that no encoder makes small (some 56 MB): no player loads it whole to show its start."""
    noise = random.Random(1).randbytes(WIDTH * HEIGHT)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=10, options=ENCODING)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FRAMES):
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            start = number * 997 % len(noise)
            luma, *others = frame.planes
            luma.update(noise[start:] + noise[:start])
            for plane in others:
                plane.update(b"\x80" * plane.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return movie(tmp_path_factory.mktemp("movie") / "movie.mp4")


@pytest.fixture(scope="module", params=["s3", "gcs"])
def place(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[WebStand]:
    with entered(sandbox):
        stand = Stand.build() if request.param == "s3" else GoogleStand.build(request.getfixturevalue("lab"))
        with web_stand(sandbox, stand) as made:
            yield made


@pytest.fixture(scope="module")
def seen(sandbox: Sandbox, place: WebStand, file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One visit of the page, and one from an origin that the bucket does not know."""
    folder = tmp_path_factory.mktemp("browser")
    with entered(sandbox):
        path = place.put("played.mp4", file.read_bytes())
        played = place.add(path, room_id="played", size=file.stat().st_size, duration=30.0)
        place.add("s3://100ms-own/x.mp4", provider="100ms", room_id="at-100ms", duration=3725.0, size=734_003_200)
        place.add(path, room_id=HOSTILE, asset_id="a<b>&\"'", duration=4000.0, size=96_000_000)
        place.add("", room_id="failed", status="failed", provider="100ms", size=0, duration=0.0)
        with serving(place.app()) as address:
            place.stand.set_cors(address)
            given = {
                "page": f"{address}/",
                "forbidden": f"{address.replace('127.0.0.1', 'localhost')}/?play={played}",
                "bucket": place.stand.raw["endpointUrl"],
                "browser": str(node.BROWSER / "chromium"),
                "far": FAR,
            }
            env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder)}
            found: dict[str, Any] = node.run(node.SOURCE / "page.mjs", given, env, folder)
    if reason := found.get("notRun"):
        pytest.skip(f"not run: the browser does not start here: {reason}")
    return found


def test_recordings_are_shown(place: WebStand, seen: dict[str, Any]) -> None:
    """Newest first, with room, time, length, size and place."""
    failed, _, at_100ms, played = (" ".join(row.split()) for row in seen["rows"])
    assert (failed[:6], failed[-6:]) == ("failed", "failed")
    assert at_100ms == "at-100ms 15 Jan 2026, 10:02 UTC 1:02:05 734.0 MB 100ms Play Download"
    assert played.startswith("played 15 Jan 2026, 10:01 UTC 0:30 ")
    stored = {"s3": "Amazon S3", "gcs": "Google Cloud Storage"}[place.stand.provider]
    assert played.endswith(f" MB {stored} Play Download")


def test_metadata_loads_from_the_buckets_origin(seen: dict[str, Any]) -> None:
    """The player knows length and picture; the bucket allowed the page's origin, and no other."""
    assert seen["loaded"]["error"] is None
    assert round(seen["loaded"]["duration"]) == 30
    assert (seen["loaded"]["width"], seen["loaded"]["height"]) == (WIDTH, HEIGHT)
    assert seen["early"] is not None
    assert {answer["status"] for answer in seen["answers"]} == {206}
    assert {answer["allowed"] for answer in seen["answers"]} == {seen["origin"]}


def test_seek_makes_a_range_request_answered_206(seen: dict[str, Any]) -> None:
    """To the middle of what was not loaded."""
    assert seen["sought"] == pytest.approx(24, abs=0.5)
    answer = seen["afterSeek"]
    start = int(answer["asked"].removeprefix("bytes=").partition("-")[0])
    assert start > FAR
    assert (answer["status"], answer["range"].partition("-")[0]) == (206, f"bytes {start}")


def test_forbidden_origin_fails(seen: dict[str, Any]) -> None:
    """The same page by another name is another origin: it gets no metadata, and the browser says that CORS is why."""
    assert (seen["refused"]["ready"], seen["refused"]["error"]) == (0, 4)
    assert any("CORS policy" in line for line in seen["refusedComplaints"])


def test_nothing_of_a_row_runs(seen: dict[str, Any]) -> None:
    """A room that is a script is text; the page breaks no rule of its own policy."""
    assert any(HOSTILE in row for row in seen["rows"])
    assert (seen["dialogs"], seen["complaints"]) == (0, [])


def test_page_is_accessible_and_fits_a_telephone(seen: dict[str, Any]) -> None:
    """No finding of axe, and nothing to scroll sideways for."""
    assert seen["faults"] == []
    assert seen["overflow"] <= 0
