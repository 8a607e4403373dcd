"""Commands whose store or 100ms gives no answer: each says that it tries again, once for each that is away.

Needs no sandbox: nothing listens where everything is looked for. Nobody waits: sleeping takes no time here.
"""

from __future__ import annotations

import json
import random
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from recordings.cli import app
from recordings.retry import Timing
from tests.unit.hms_fake import stack_outputs

HMS: Final = "100ms"
S3: Final = "AWS"
GOOGLE: Final = "Cloud Storage"
COMMANDS: Final = [
    ("s3", ("list",), (HMS,)),
    ("s3", ("watch",), (HMS,)),
    ("s3", ("download", "65f0c2d8e1"), (HMS,)),
    ("s3", ("register", "--template", "t1"), (HMS,)),
    ("s3", ("unregister",), (S3,)),
    ("s3", ("rooms",), (HMS,)),
    ("s3", ("usage",), (S3,)),
    ("s3", ("backfill",), (HMS,)),
    ("s3", ("verify",), (S3,)),
    ("s3", ("doctor", "--quick"), (HMS, S3)),
    ("gcs", ("verify",), (GOOGLE,)),
    ("gcs", ("doctor", "--quick"), (HMS, GOOGLE)),
]


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An address where nothing listens, and nobody else can begin to, named as that of everything outside."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "DATABASE_URL", "AWS_PROFILE", "AWS_CA_BUNDLE"):
            monkeypatch.delenv(name, raising=False)
        named = {"AWS_ACCESS_KEY_ID": "AKIAOPERATOR", "AWS_SECRET_ACCESS_KEY": "canary-of-operator"}
        named |= {"AWS_ENDPOINT_URL": url, "GOOGLE_APPLICATION_CREDENTIALS": "/no/such/file.json"}
        named |= {"HMS_API_URL": f"{url}/v2", "HMS_ACCESS_KEY": "access-key", "HMS_APP_SECRET": "canary" * 8}
        for name, value in named.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(time, "sleep", lambda _: None)
        at_once = (time.time, time.monotonic, lambda _: None, random.random)
        monkeypatch.setattr(Timing.__init__, "__defaults__", at_once)
        yield url


def outputs(provider: str, url: str, folder: Path) -> Path:
    """A file with the outputs of a stack whose bucket is there."""
    principal: dict[str, Any] = {}
    if provider == "gcs":
        principal = {"writerPrincipal": "w@p.iam.gserviceaccount.com", "readerPrincipal": "r@p.iam.gserviceaccount.com"}
    found = stack_outputs(storageProvider=provider, endpointUrl=url, **principal)
    raw = found.model_dump(mode="json", by_alias=True, exclude_none=True)
    slot = {"id": "AKIAOURS", "secret": "canary-of-writer", "status": "active"}
    raw |= {"writerSecretAccessKey": slot["secret"], "readerSecretAccessKey": "canary-of-reader"}
    file = folder / "outputs.json"
    file.write_text(json.dumps(raw | {"writerKeys": {"blue": slot}, "readerKeys": {}}))
    return file


@pytest.mark.parametrize(("provider", "arguments", "away"), COMMANDS, ids=str)
def test_command_says_once_of_each_that_it_is_tried_again(
    provider: str, arguments: tuple[str, ...], away: tuple[str, ...], nowhere: str, tmp_path: Path
) -> None:
    """On stderr, terminal or not, also with --json; no query of a URL and no secret; then it ends with its error."""
    file = outputs(provider, nowhere, tmp_path)
    result = CliRunner().invoke(app, [*arguments, "--json", "--outputs", str(file)])
    lines = [line for line in result.stderr.splitlines() if "trying again" in line]
    parties = {HMS if line.startswith("100ms ") else GOOGLE if "gs://" in line else S3 for line in lines}
    assert parties == set(away)
    assert len(lines) == len({line.partition(":")[0] for line in lines}) <= len(away) + 1, "S3 and STS are two"
    assert "trying again" not in result.stdout
    assert "canary" not in result.output
    assert not [line for line in lines if "?" in line]
    assert result.exit_code in (1, 3), result.output
