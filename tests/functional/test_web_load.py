"""The web application under many at once, and under inputs of any kind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sandbox.bench_web import CONCURRENT, measure
from sandbox.servers import Sandbox
from tests.functional.stand import Stand, entered
from tests.functional.web_server import SECRET, WebStand, serving, web_stand


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
    """schemathesis, over the description that the application gives of itself: no 5xx, and nothing undescribed.

    Every operation, the webhook too, by callers whom the hook and the secret let in; good and bad data; recordings in
    every state, and such as do not exist.
    """
    program = Path(sys.executable).with_name("st")
    if not program.exists():
        pytest.skip("not run: schemathesis is not installed here (`make test` installs it)")
    with entered(sandbox):
        ids = [place.add(place.put("a.mp4")), place.add(place.put("b.mp4", StorageClass="DEEP_ARCHIVE")), place.add()]
        ids += [place.add("s3://another/x.mp4"), place.add("", provider="100ms", status="failed")]
        ids += [place.add("s3://100ms-own/y.mp4", provider="100ms")]
        with serving(place.app()) as address, httpx.Client(trust_env=False) as http:
            described = http.get(f"{address}/openapi.json").json()
            for one in ("/recordings/{id}", "/recordings/{id}/download"):  # random ids are of no recording
                described["paths"][one]["get"]["parameters"][0]["examples"] = {id_: {"value": id_} for id_ in ids}
            (tmp_path / "openapi.json").write_text(json.dumps(described))
            command = [str(program), "run", "openapi.json", "--url", address, "--max-examples", "10", "--seed", "1"]
            command += ["--phases", "examples,coverage,fuzzing", "--mode", "all", "--suppress-health-check", "all"]
            command += ["--checks", CHECKS, "--no-color", "--header", f"X-Webhook-Secret: {SECRET}"]
            command += ["--report", "junit", "--report-junit-path", "junit.xml"]
            env = {**os.environ, "NO_PROXY": "127.0.0.1"}
            done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stdout[-4000:]
    report = (tmp_path / "junit.xml").read_text()
    for path, methods in described["paths"].items():
        assert all(f'name="{method.upper()} {path}"' in report for method in methods)


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
