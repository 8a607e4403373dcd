"""`recordings erase` on both providers: a room, a session, a recording, with everything that belongs to them."""

from __future__ import annotations

import json
from collections.abc import Iterator
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
from tests.functional.clients import control
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
