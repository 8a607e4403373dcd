"""`recordings erase` on both providers: a room, a session, a recording, with everything that belongs to them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from recordings.catalog import Catalog
from recordings.catalog_entries import CatalogEntry
from recordings.cli import app
from recordings.database import connect
from recordings.erasure.ledger import digest
from recordings.stores import Identity, open_store
from sandbox.hms.state import new_id
from sandbox.servers import Sandbox
from tests.functional.clients import control, eventually
from tests.functional.databases import rows
from tests.functional.stand import Stand, entered

DAY, EPOCH = "20260801", 1785542400123


@pytest.fixture(scope="module", params=["s3", "gcs"])
def stand(request: pytest.FixtureRequest, sandbox: Sandbox) -> Iterator[Any]:
    with entered(sandbox):
        if request.param == "s3":
            yield Stand.build()
        else:
            from tests.functional.google_stand import GoogleStand

            yield GoogleStand.build(request.getfixturevalue("lab"))


class Scene:
    """A stand, 100ms and the database, with recordings in them."""

    def __init__(self, sandbox: Sandbox, stand: Any, database: str) -> None:
        self.sandbox, self.stand, self.database = sandbox, stand, database
        self.store = open_store(stand.outputs, Identity.OPERATOR)

    def path(self, key: str) -> str:
        return f"{self.store.scheme}://{self.stand.bucket}/{key}"

    def put(self, *keys: str) -> None:
        for key in keys:
            self.store.put(key, b"recording")

    def asset(self, key: str, **fields: Any) -> str:
        """A recording asset at 100ms, and its row."""
        seeded = {"path": self.path(key), "created_at": "2026-08-01T00:10:00.123Z", **fields}
        made = control(self.sandbox, "hms", "POST", "seed", {"assets": [seeded]})
        entry = {name: fields.get(name) for name in ("room_id", "session_id", "job_id")}
        self.row(CatalogEntry(made["assets"][0], self.stand.provider, file_path=seeded["path"], **entry))
        return str(made["assets"][0])

    def row(self, entry: CatalogEntry) -> None:
        with connect(SecretStr(self.database)) as connection:
            Catalog(connection).upsert([entry])

    def run(self, *arguments: str) -> Result:
        env = {"DATABASE_URL": self.database}
        command = [*arguments, "--outputs", "-"]
        return CliRunner(env=env).invoke(app, command, input=json.dumps(self.stand.raw))

    def erase(self, *arguments: str) -> dict[str, Any]:
        done = self.run("erase", *arguments, "--yes", "--json")
        assert done.exit_code == 0, done.output
        said: dict[str, Any] = json.loads(done.stdout)
        return said

    def rows(self) -> list[str]:
        return [asset for (asset,) in rows(self.database, "select asset_id from meeting_recordings order by 1")]

    def contents(self) -> set[str]:
        return set(self.stand.contents())


ON_S3 = pytest.mark.parametrize("stand", ["s3"], indirect=True)
"""Where the provider makes no difference."""


@pytest.fixture
def scene(sandbox: Sandbox, stand: Any, database: str) -> Scene:
    return Scene(sandbox, stand, database)


def everything(room: str, session: str, epoch: int = EPOCH) -> dict[str, str]:
    """A key of each kind that 100ms leaves in a bucket, by the type of its asset."""
    name = f"Rec-{room}-{epoch}"
    hls = f"recordings/hls/{room}/{DAY}/{epoch}"
    return {
        "room-composite": f"recordings/beam/{room}/{DAY}/{name}.mp4",
        "chat": f"recordings/chat/{room}/{DAY}/{name}.csv",
        "transcript": f"recordings/transcript/{room}/{DAY}/{name}.srt",
        "summary": f"recordings/ai/{new_id()}.json",
        "room-vod": f"{hls}/vod/index.m3u8",
        "stream": f"{hls}/file-recording/{name}-0.mp4",
        "track": f"recordings/{room}/{DAY}/{session}/peer/stream/track.webm",
        "room-composite-legacy": f"recordings/{room}/{DAY}/{session}/Rec-{session}-{epoch}.mp4",
    }


def unnamed(room: str, epoch: int = EPOCH) -> list[str]:
    """What lies beside them and no asset names: segments, an unnamed thumbnail."""
    return [
        f"recordings/hls/{room}/{DAY}/{epoch}/vod/720p/segment-1.ts",
        f"recordings/beam/{room}/{DAY}/Rec-{room}-{epoch}-thumbnail.png",
    ]


def test_room_is_erased_whole_and_stays_erased(scene: Scene) -> None:
    """Every kind, every version, marker and unfinished upload, and rows; nothing of a room beside it; never again."""
    room, session, job = new_id(), new_id(), new_id()
    other, neighbour = new_id(), room + "0"
    keys = everything(room, session)
    thumbnail = f"recordings/thumbnails/{new_id()}.png"
    ids = {"room_id": room, "session_id": session, "job_id": job}
    scene.put(*keys.values(), *keys.values(), *unnamed(room), thumbnail)
    for kind, key in keys.items():
        scene.asset(key, type=kind, thumbnails=[scene.path(thumbnail)] if kind == "room-vod" else None, **ids)
    scene.store.delete(keys["chat"])
    scene.store.create_upload(f"recordings/beam/{room}/{DAY}/Rec-{room}-{EPOCH + 9}.mp4")
    kept = [*everything(other, session).values(), *unnamed(other), *everything(neighbour, session).values()]
    scene.put(*kept)
    kept_row = scene.asset(kept[0], room_id=other, session_id=new_id(), job_id=new_id())
    before = scene.contents()

    would = scene.run("erase", "--room", room, "--dry-run")
    assert (would.exit_code, scene.contents()) == (0, before), (would.output, would.exception)
    said = scene.erase("--room", room)
    assert [line.removeprefix("would: ") for line in would.stderr.splitlines() if line.startswith("would: ")] == said[
        "steps"
    ]
    assert scene.contents() == set(kept)
    assert scene.rows() == [kept_row]
    receipt = said["receipt"]
    assert receipt["complete"] is True
    assert receipt["removed"]["rows"] == len(keys)
    assert receipt["removed"]["unfinishedUploads"] == 1
    assert receipt["removed"]["objects"] == len(keys) + 3
    assert receipt["removed"]["versions"] == 2 * len(keys) + 3
    assert receipt["removed"]["bytes"] == receipt["removed"]["versions"] * len(b"recording")
    assert {"sha256": digest(scene.path(keys["chat"])), "versions": 2} in receipt["objects"]
    assert all(key not in json.dumps(receipt) for key in keys.values())

    late = scene.asset(keys["chat"], type="chat", **ids)
    assert scene.run("sync", "--room", room).exit_code == 0
    assert (scene.rows(), late in scene.rows()) == ([kept_row], False)
    again = scene.erase("--room", room)
    assert (again["steps"], again["receipt"]) == ([], receipt)
    control(scene.sandbox, "hms", "POST", "seed", {"assets": [{"room_id": room, "created_at": "2099-01-01T00:00:00Z"}]})
    scene.run("sync", "--room", room)
    assert len(scene.rows()) == 2, "what the room records later is no part of the request"


@ON_S3
def test_target_of_a_typo_is_refused(scene: Scene, tmp_path: Path) -> None:
    """Exit code 1 and no tombstone: nothing is known of it; exit code 2 for what is no id, or no place for a file."""
    unknown = scene.run("erase", "--room", new_id(), "--yes")
    assert (unknown.exit_code, "nothing is known of room" in unknown.stderr) == (1, True)
    assert rows(scene.database, "select count(*) from recordings_internal.tombstones") == [(0,)]
    for wrong in (["--room", "../x"], ["--room", "a", "--session", "b"], []):
        assert scene.run("erase", *wrong, "--yes").exit_code == 2
    nowhere = scene.run("erase", "--room", "a", "--receipt", str(tmp_path / "no" / "x.json"))
    assert (nowhere.exit_code, "no place for a file" in nowhere.stderr) == (2, True)


@ON_S3
def test_it_asks_for_the_id(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --yes the id has to be typed; another text, or nobody to type, changes nothing."""
    room = new_id()
    key = everything(room, new_id())["room-composite"]
    scene.put(key)
    outputs, kept = tmp_path / "outputs.json", tmp_path / "receipt.json"
    outputs.write_text(json.dumps(scene.stand.raw))
    command = ["erase", "--room", room, "--outputs", str(outputs), "--receipt", str(kept)]

    def typed(text: str, *, terminal: bool = True) -> Result:
        monkeypatch.setattr("recordings.cli.erase.is_terminal", lambda: terminal)
        return CliRunner(env={"DATABASE_URL": scene.database}).invoke(app, command, input=text + "\n")

    for refused in (typed("yes"), typed(""), typed(room, terminal=False)):
        assert (refused.exit_code, key in scene.contents(), kept.exists()) == (2, True, False), refused.output
    assert typed(room).exit_code == 0
    assert key not in scene.contents()
    assert json.loads(kept.read_text())["removed"]["objects"] == 1


@ON_S3
def test_wrong_account_or_missing_database_changes_nothing(scene: Scene) -> None:
    """The guard and the configuration come first: exit code 2."""
    room = new_id()
    key = everything(room, new_id())["room-composite"]
    scene.put(key)
    database, scene.database = scene.database, ""
    missing = scene.run("erase", "--room", room, "--yes")
    assert (missing.exit_code, "DATABASE_URL is not set" in missing.stderr) == (2, True)
    scene.database, scene.stand = database, scene.stand.declared(expectedAccount="another")
    guarded = scene.run("erase", "--room", room, "--yes")
    assert (guarded.exit_code, "this is not the place" in guarded.stderr) == (2, True)
    assert key in scene.contents()


@ON_S3
def test_forged_row_is_told_and_takes_nothing_along(scene: Scene) -> None:
    """A row of the room that names another room's recording: exit code 1, the path in the receipt, the object stays."""
    room, other = new_id(), new_id()
    theirs = everything(other, new_id())["room-composite"]
    scene.put(theirs, everything(room, new_id())["room-composite"])
    scene.row(CatalogEntry("forged", scene.stand.provider, file_path=scene.path(theirs), room_id=room))
    done = scene.run("erase", "--room", room, "--yes", "--json")
    assert done.exit_code == 1, done.output
    receipt = json.loads(done.stdout)["receipt"]
    assert (receipt["complete"], [item["path"] for item in receipt["leftAlone"]]) == (False, [scene.path(theirs)])
    assert (theirs in scene.contents(), scene.rows()) == (True, [])


@ON_S3
def test_killed_process_is_completed_by_the_next(scene: Scene, tmp_path: Path) -> None:
    """SIGKILL while objects are being deleted: tombstones are there; the next run ends complete, with one receipt."""
    room = new_id()
    keys = everything(room, new_id())
    scene.put(*keys.values())
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps(scene.stand.raw))
    fault = {"match": f"POST /{scene.stand.bucket}.*", "fault": "slow", "delay": 60}
    control(scene.sandbox, "aws", "POST", "faults", fault)
    command = [sys.executable, "-m", "recordings", "erase", "--room", room, "--yes", "--outputs", str(outputs)]
    env = {**os.environ, **scene.sandbox.env, "DATABASE_URL": scene.database}
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: rows(scene.database, "select 1 from recordings_internal.erased"))
    finally:
        process.kill()
        process.wait()
        control(scene.sandbox, "aws", "DELETE", "faults")
    assert rows(scene.database, "select kind, id from recordings_internal.tombstones") == [("room", room)]
    receipt = scene.erase("--room", room)["receipt"]
    assert receipt["removed"]["objects"] == len(keys) - 1, "the summary lies where nothing says whose it is"
    assert not any(room in key for key in scene.contents())
