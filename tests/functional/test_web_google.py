"""The way out of a bucket on Google: the download endpoint and `recordings download`, with the reader's HMAC key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from recordings.stores import Identity, open_store
from sandbox.servers import Sandbox
from tests.functional.clients import browser
from tests.functional.google_lab import Lab
from tests.functional.google_stand import GoogleStand
from tests.functional.stand import entered
from tests.functional.web_server import WebStand, client, web_stand

BODY = bytes(range(256)) * 1000


@pytest.fixture(scope="module")
def place(sandbox: Sandbox, lab: Lab) -> Iterator[WebStand]:
    with entered(sandbox), web_stand(sandbox, GoogleStand.build(lab)) as made:
        yield made


@pytest.fixture(autouse=True)
def in_sandbox(sandbox: Sandbox, place: WebStand, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with entered(sandbox):
        monkeypatch.setenv("DATABASE_URL", place.database_url)
        yield


@pytest.fixture(scope="module")
def http(sandbox: Sandbox, place: WebStand) -> Iterator[httpx.Client]:
    with entered(sandbox), client(place.app()) as made:
        yield made


@pytest.fixture
def visitor(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with browser(sandbox) as made:
        yield made


def test_download_leads_to_the_object(place: WebStand, http: httpx.Client, visitor: httpx.Client) -> None:
    """Under the recording's own name, or for a player, which asks for a Range."""
    id_ = place.add(place.put("Rec-é 1.mp4"))
    answer = http.get(f"/recordings/{id_}/download")
    assert (answer.status_code, answer.headers["x-recording-storage"]) == (307, "gcs")
    got = visitor.get(answer.headers["location"])
    assert (got.status_code, got.content) == (200, b"recording")
    assert "filename*=UTF-8''Rec-%C3%A9%201.mp4" in got.headers["content-disposition"]
    inline = http.get(f"/recordings/{id_}/download", params={"disposition": "inline"}).headers["location"]
    got = visitor.get(inline, headers={"Range": "bytes=2-4"})
    assert (got.status_code, got.content, "content-disposition" in got.headers) == (206, b"cor", False)
    assert visitor.get(http.get(f"/recordings/{id_}").json()["url"]).content == b"recording"


def test_object_that_is_gone_is_410_and_another_provider_403(place: WebStand, http: httpx.Client) -> None:
    """The row is there, the object is not; a path of S3 is no path of this stack."""
    assert http.get(f"/recordings/{place.add()}/download").status_code == 410
    foreign = place.add(f"s3://{place.stand.bucket}/recordings/x.mp4")
    assert http.get(f"/recordings/{foreign}/download").json()["error"]["code"] == "path-refused"


def test_class_that_is_called_archive_is_read_at_once(place: WebStand, http: httpx.Client) -> None:
    """On Google no class has to be restored."""
    assert isinstance(place.stand, GoogleStand)
    place.stand.lab.put(place.stand.bucket, "recordings/cold.mp4", storageClass="ARCHIVE")
    assert http.get(f"/recordings/{place.add(place.path('recordings/cold.mp4'))}/download").status_code == 307


@pytest.mark.parametrize("parts", [0, 2])
def test_file_is_compared_by_crc32c(place: WebStand, parts: int, tmp_path: Path) -> None:
    """Also an upload in parts, which has no MD5 on Google, and as 100ms uploads."""
    path, body = place.put(f"file-{parts}.mp4", BODY), BODY
    if parts:
        key = path.split("/", 3)[3]
        writer, pieces = open_store(place.stand.outputs, Identity.WRITER), [b"a" * (5 << 20), b"b"]
        upload, body = writer.create_upload(key), b"".join(pieces)
        sent = [writer.upload_part(key, upload, number, piece) for number, piece in enumerate(pieces, 1)]
        writer.complete_upload(key, upload, sent)
    done = place.stand.recordings("download", place.add(path), "-o", str(tmp_path / "out.mp4"), "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["compared"] == "CRC32C"
    assert (tmp_path / "out.mp4").read_bytes() == body
