"""`recordings list` and `recordings download`, from the database and from 100ms."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from recordings.stores.checksums import CRC64NVME
from sandbox.servers import Sandbox
from tests.functional.clients import control
from tests.functional.stand import Stand, entered
from tests.functional.web_server import WebStand, web_stand

BODY = bytes(range(256)) * 1000


@pytest.fixture(autouse=True)
def in_sandbox(sandbox: Sandbox, place: WebStand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with entered(sandbox):
        monkeypatch.setenv("DATABASE_URL", place.database_url)
        monkeypatch.chdir(tmp_path)
        yield


@pytest.fixture(scope="module")
def place(sandbox: Sandbox) -> Iterator[WebStand]:
    with entered(sandbox):
        stand = Stand.build()
    with web_stand(sandbox, stand) as made:
        yield made


def test_database_is_listed_newest_first(place: WebStand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table for people, an object for programs; no outputs are needed."""
    monkeypatch.setenv("COLUMNS", "300")
    ids = [place.add(room_id="[b]listed[/b]", size=1_234_567, duration=3723.4) for _ in range(3)]
    shown = place.stand.recordings("list", "--room", "[b]listed[/b]", "--limit", "2")
    assert shown.exit_code == 0, shown.output
    assert [line.split()[0] for line in shown.stdout.splitlines()[1:]] == ids[:0:-1]
    assert "[b]listed[/b]" in shown.stdout
    assert "1:02:03" in shown.stdout
    assert "1.2 MB" in shown.stdout
    said = json.loads(place.stand.recordings("list", "--room", "[b]listed[/b]", "--json").stdout)
    assert (said["source"], [row["id"] for row in said["recordings"]]) == ("database", ids[::-1])


def test_without_a_database_100ms_is_asked(sandbox: Sandbox, place: WebStand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The outputs say which bucket is ours."""
    monkeypatch.delenv("DATABASE_URL")
    path = place.put("asked.mp4", BODY)
    made = control(sandbox, "hms", "POST", "seed", {"assets": [{"path": path, "room_id": "asked"}]})
    said = json.loads(place.stand.recordings("list", "--room", "asked", "--json").stdout)
    assert said["source"] == "100ms"
    assert [(row["id"], row["storage"]) for row in said["recordings"]] == [(made["assets"][0], "s3")]
    done = place.stand.recordings("download", made["assets"][0])
    assert (done.exit_code, Path("asked.mp4").read_bytes()) == (0, BODY)


@pytest.mark.parametrize(("by", "checksum"), [("id", "CRC64NVME"), ("path", "CRC32")])
def test_download_is_the_recording(place: WebStand, tmp_path: Path, by: str, checksum: str) -> None:
    """Under the name that is given, compared by the checksum that the object has; no URL is shown."""
    values = {
        "CRC64NVME": CRC64NVME.text(CRC64NVME.update(memoryview(BODY), 0)),
        "CRC32": b64encode(zlib.crc32(BODY).to_bytes(4, "big")).decode(),
    }
    path = place.put("Rec-1.mp4", BODY, **{f"Checksum{checksum}": values[checksum]})
    done = place.stand.recordings("download", place.add(path) if by == "id" else path, "-o", "out.mp4", "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["file"], said["size"], said["compared"]) == ("out.mp4", len(BODY), checksum)
    assert Path("out.mp4").read_bytes() == BODY
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]
    assert "X-Amz" not in done.output


def test_upload_in_parts_is_compared_too(place: WebStand) -> None:
    """As 100ms uploads."""
    assert isinstance(place.stand, Stand)
    path = place.put("parts.mp4")
    bucket, key = place.stand.bucket, path.removeprefix(f"s3://{place.stand.bucket}/")
    upload = place.stand.s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts = []
    for number, body in ((1, b"a" * (5 << 20)), (2, b"b")):
        answer = place.stand.s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    place.stand.s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts})
    done = json.loads(place.stand.recordings("download", path, "--json").stdout)
    assert done["compared"] == "MD5 of the parts"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("unknown-id",), 2, "recordings list"),
        (("s3://another/recordings/x.mp4",), 2, "not under s3://"),
        (("{missing}",), 3, "NoSuchKey"),
        (("{there}", "-o", "no/such/folder/x.mp4"), 2, "cannot be written"),
        (("{foreign}",), 2, "'..' segment"),
    ],
)
def test_what_cannot_be_downloaded_is_an_error(
    place: WebStand, arguments: tuple[str, ...], exit_code: int, said: str, tmp_path: Path
) -> None:
    """One message; no file, no traceback."""
    ids = {
        "{missing}": place.add(),
        "{there}": place.add(place.put()),
        "{foreign}": place.add("s3://another/recordings/../../etc/passwd"),
    }
    done = place.stand.recordings("download", *(ids.get(argument, argument) for argument in arguments))
    assert (done.exit_code, done.stdout) == (exit_code, "")
    assert said in done.stderr
    assert list(tmp_path.iterdir()) == []


def served(place: WebStand, sandbox: Sandbox, *options: str) -> subprocess.Popen[str]:
    outputs = Path("outputs.json")
    outputs.write_text(json.dumps(place.stand.raw))
    command = [sys.executable, "-m", "recordings", "serve", "--outputs", "outputs.json", "--port", "0", *options]
    env = {**sandbox.env, "DATABASE_URL": place.database_url}
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)


def address(process: subprocess.Popen[str]) -> str:
    """From the line that says so."""
    assert process.stderr is not None
    for line in process.stderr:
        if "serving on" in line:
            return line.split("serving on ")[1].split()[0]
    raise AssertionError("it did not come up")


@pytest.mark.parametrize(("options", "status"), [((), 403), (("--allow-all",), 307), (("--authorise", "hook:f"), 307)])
def test_serve_is_closed_unless_told_otherwise(
    place: WebStand, sandbox: Sandbox, options: tuple[str, ...], status: int
) -> None:
    """On the loopback interface; --allow-all answers no other name of this machine; it ends with SIGINT."""
    Path("hook.py").write_text("async def f(request, action, recording):\n    return True\n")
    id_ = place.add(place.put())
    process = served(place, sandbox, *options)
    try:
        url = address(process)
        assert url.startswith("http://127.0.0.1:")
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
            assert http.get(f"/recordings/{id_}/download").status_code == status
            foreign = http.get("/recordings", headers={"Host": "rebound.example"}).status_code
        assert foreign == {(): 403, ("--allow-all",): 400}.get(options, 200)
    finally:
        process.send_signal(2)
        _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    assert "X-Amz" not in errors


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--allow-all", "--host", "0.0.0.0"), "loopback"),  # noqa: S104
        (("--allow-all", "--authorise", "a:b"), "without --authorise"),
        (("--authorise", "nonsense"), "MODULE:NAME"),
        (("--authorise", "no_such_module:x"), "cannot be loaded"),
        (("--authorise", "json:dumps"), "async def"),
        (("--expires", "8d"), "7 days"),
    ],
)
def test_serve_refuses_what_would_be_open_or_broken(place: WebStand, options: tuple[str, ...], said: str) -> None:
    """Before it listens."""
    done = place.stand.recordings("serve", *options)
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr
