"""`recordings reconcile`: a bucket of either provider, the fake 100ms, a real Postgres, each with something missing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from recordings.catalog import Catalog
from recordings.catalog_entries import CatalogEntry
from recordings.cli import app
from recordings.database import connect
from sandbox.servers import Sandbox
from tests.functional.clients import control
from tests.functional.databases import rows
from tests.functional.google_lab import Lab
from tests.functional.google_stand import GoogleStand
from tests.functional.stand import Stand, entered

GONE = "/recordings/beam/room/20260801/Rec-room-1785542400999.mp4"


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox whose 100ms lists nothing but what these tests make: the whole list is compared."""
    with Sandbox(tmp_path_factory.mktemp("reconcile")) as sandbox, entered(sandbox):
        yield sandbox


@pytest.fixture(scope="module")
def sandbox(quiet: Sandbox) -> Sandbox:
    """The databases of these tests lie there too."""
    return quiet


@pytest.fixture(scope="module")
def quiet_lab(quiet: Sandbox) -> Iterator[Lab]:
    """The Google of that sandbox."""
    lab = Lab(quiet)
    yield lab
    lab.close()


class Scene:
    """A stand, its recordings at 100ms, and the database."""

    def __init__(self, sandbox: Sandbox, stand: Stand | GoogleStand, database: str) -> None:
        self.sandbox, self.stand, self.database = sandbox, stand, database
        self.number = 0

    def path(self, suffix: str = ".mp4") -> str:
        self.number += 1
        return self.home + f"/recordings/beam/room/20260801/Rec-room-17855424{self.number:05d}{suffix}"

    @property
    def home(self) -> str:
        return f"{'gs' if self.stand.provider == 'gcs' else 's3'}://{self.stand.bucket}"

    def asset(self, path: str, **fields: Any) -> str:
        made = control(self.sandbox, "hms", "POST", "seed", {"assets": [{"path": path, **fields}]})
        return str(made["assets"][0])

    def object(self, path: str) -> str:
        self.stand.put(path.split("/", 3)[3], b"x", "video/mp4")
        return path

    def row(self, entry: CatalogEntry) -> None:
        with connect(SecretStr(self.database)) as connection:
            Catalog(connection).upsert([entry])

    def run(self, *arguments: str) -> Result:
        command = ["reconcile", "--outputs", "-", *arguments]
        return CliRunner(env={"DATABASE_URL": self.database}).invoke(app, command, input=json.dumps(self.stand.raw))

    def gaps(self, *arguments: str) -> dict[str, list[str]]:
        said = json.loads(self.run("--json", *arguments).stdout)
        return {gap: found["examples"] for gap, found in said["gaps"].items()}


@pytest.fixture(params=["s3", "gcs"])
def scene(request: pytest.FixtureRequest, quiet: Sandbox, database: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    """All agree at first, and objects count at once, not after the hour in which 100ms may still list them."""
    monkeypatch.setattr("recordings.reconcile.SETTLING", timedelta(0))
    stand = Stand.build() if request.param == "s3" else GoogleStand.build(request.getfixturevalue("quiet_lab"))
    scene = Scene(quiet, stand, database)
    assert set(scene.gaps("--fix")) <= {"no row"}
    return scene


def test_everything_missing_is_named_and_rows_are_put_right(scene: Scene) -> None:
    """One of each kind: the table says what is where; --fix writes rows, deletes nothing, and leaves the rest."""
    bucket, provider = scene.stand.bucket, scene.stand.provider
    new, changed = scene.asset(scene.object(scene.path())), scene.asset(scene.object(scene.path()), size=10)
    scene.row(CatalogEntry(changed, provider, file_path="s3://old/x.mp4", size=9))
    lost_object = scene.asset(no_object := scene.path())
    failed = scene.asset(scene.path(), status="failed")
    alone = scene.object(scene.path())
    gone = scene.home + GONE
    for entry in (
        CatalogEntry("row-alone", provider, file_path=gone, status="completed"),
        CatalogEntry("expired", "100ms", file_path="s3://100ms-own/x.mp4", status="completed"),
        CatalogEntry("foreign", "gcs", file_path="gs://others/recordings/x.mp4", status="completed"),
        CatalogEntry("climbing", provider, file_path=f"{scene.home}/recordings/../x.mp4", status="completed"),
    ):
        scene.row(entry)
    expected = {
        "no row": {new, lost_object, failed},
        "row differs": {changed},
        "no object": {f"{lost_object}: {bucket}/{no_object.split('/', 3)[3]}"},
        "row alone": {f"row-alone: {bucket}/{gone.split('/', 3)[3]}"},
        "expired": {"expired"},
        "foreign row": {"foreign: gs://others/recordings/x.mp4", f"climbing: {scene.home}/recordings/../x.mp4"},
        "object alone": {f"{bucket}/{alone.split('/', 3)[3]}"},
    }
    found = scene.gaps()
    assert {gap: set(names) for gap, names in found.items()} == expected
    before = rows(scene.database, "select count(*) from meeting_recordings")
    assert scene.gaps("--fix", "--dry-run") == found
    assert rows(scene.database, "select count(*) from meeting_recordings") == before
    assert set(scene.gaps("--fix")) == set(expected)
    left = scene.run()
    assert left.exit_code == 1
    assert set(scene.gaps()) == set(expected) - {"no row", "row differs"}
    table = left.stdout
    for words in ("no object", "row alone", "what to do", "6 to look at"):
        assert words in table
    kept = rows(scene.database, "select count(*) from meeting_recordings where asset_id in ('row-alone', 'expired')")
    assert kept == [(2,)]
    for asset in (new, changed, lost_object, failed):
        assert rows(scene.database, "select 1 from meeting_recordings where asset_id = %s", asset) == [(1,)]


def test_agreement_is_exit_code_0(scene: Scene) -> None:
    """Nothing missing: no table, and it says how much was looked at; so does the run that closed the gaps."""
    scene.asset(scene.object(scene.path()))
    assert scene.run().exit_code == 1
    assert scene.run("--fix").exit_code == 0
    agreed = scene.run()
    assert (agreed.exit_code, "nothing missing" in agreed.stdout, "no row" in agreed.stdout) == (0, True, False)


def test_segments_of_an_hls_recording_belong_to_it(scene: Scene) -> None:
    """100ms lists the playlist alone; its segments are no strangers, those of another folder are."""
    folder = f"{scene.home}/recordings/hls/room/20260801/1785542400123/vod"
    scene.asset(scene.object(f"{folder}/index.m3u8"), type="room-vod")
    for name in ("segment-1.ts", "720p/segment-2.ts"):
        scene.object(f"{folder}/{name}")
    stranger = scene.object(folder.replace("123/vod", "456/vod") + "/segment-1.ts")
    assert scene.gaps("--fix").get("object alone") == [stranger.split("://")[1]]


def test_what_has_just_arrived_is_no_gap(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """100ms lists a recording some time after its upload: within that hour an object alone is no finding."""
    monkeypatch.setattr("recordings.reconcile.SETTLING", timedelta(hours=1))
    scene.object(scene.path())
    assert "object alone" not in scene.gaps()


def test_recording_brought_into_the_bucket_is_looked_for_there(scene: Scene) -> None:
    """100ms names its own storage, the row ours: the row's object counts."""
    asset = scene.asset("s3://100ms-own/customer/x.mp4")
    path = scene.path()
    scene.row(CatalogEntry(asset, scene.stand.provider, file_path=path, status="completed"))
    assert f"{asset}: {path.split('://')[1]}" in scene.gaps("--fix")["no object"]
    scene.object(path)
    assert asset not in str(scene.gaps())
