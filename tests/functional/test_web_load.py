"""The web application under many at once, and under inputs of any kind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.bench_web import CONCURRENT, measure
from sandbox.servers import Sandbox
from tests.functional.stand import Stand, entered
from tests.functional.web_server import WebStand, serving, web_stand


@pytest.fixture(scope="module")
def place(sandbox: Sandbox) -> Iterator[WebStand]:
    with entered(sandbox):
        stand = Stand.build()
    with web_stand(sandbox, stand) as made:
        yield made


def test_many_downloads_at_once_have_no_error(sandbox: Sandbox) -> None:
    """A tenth of the time that `make bench` measures; each of so many visitors gets its redirects."""
    load = measure(sandbox, seconds=2.0)
    print(f"{load.answers} answers, p99 {load.p99 * 1000:.0f} ms, median {load.median * 1000:.0f} ms")
    assert load.errors == []
    assert load.answers >= CONCURRENT


def test_no_input_makes_a_server_error(sandbox: Sandbox, place: WebStand, tmp_path: Path) -> None:
    """schemathesis, over the description that the application gives of itself: no 5xx, and nothing undescribed."""
    program = Path(sys.executable).with_name("st")
    if not program.exists():
        pytest.skip("not run: schemathesis is not installed here (`make test` installs it)")
    with entered(sandbox):
        ids = [place.add(place.put(name)) for name in ("a.mp4", "b.mp4")]
        place.add("s3://another/x.mp4")
        app = place.app()
        with serving(app) as address:
            command = [str(program), "run", f"{address}/openapi.json", "--max-examples", "12", "--seed", "1"]
            command += ["--phases", "coverage,fuzzing", "--suppress-health-check", "all"]
            command += ["--checks", CHECKS, "--no-color"]
            env = {**os.environ, "NO_PROXY": "127.0.0.1"}
            done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout[-4000:]
    assert ids


CHECKS = ",".join(
    (
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
        "negative_data_rejection",
        "unsupported_method",
    )
)
