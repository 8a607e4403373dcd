"""`recordings usage` on both providers: what a bucket really holds, its rules, its region's prices, and the chart."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from recordings.catalog import Catalog
from recordings.catalog_entries import CatalogEntry
from recordings.cli import app
from recordings.database import connect
from recordings.stores import Identity, open_store
from recordings.usage.prices import load_prices
from sandbox.servers import Sandbox
from tests.functional.stand import Stand, entered

KEYS = {
    "composite": "recordings/beam/usage-room/20200801/Rec-usage-room-1596240000123.mp4",
    "chat": "recordings/chat/usage-room/20200801/Rec-usage-room-1596240000123.csv",
    "transcript": "recordings/ai/usage.json",
}


def usage(stand: Any, env: dict[str, str], *arguments: str) -> Result:
    command = ["usage", "--outputs", "-", *arguments]
    clean = {"DATABASE_URL": "", "HMS_ACCESS_KEY": "", "HMS_MANAGEMENT_TOKEN": "", **env}
    return CliRunner(env=clean).invoke(app, command, input=json.dumps(stand.raw))


def made(sandbox: Sandbox, request: pytest.FixtureRequest) -> Any:
    if request.param == "s3":
        return Stand.build()
    from tests.functional.google_stand import GoogleStand

    stand = GoogleStand.build(request.getfixturevalue("lab"))
    soft = {"softDeletePolicy": {"retentionDurationSeconds": 7 * 86_400}}
    assert stand.lab.operator.patch(f"/storage/v1/b/{stand.bucket}", json=soft).status_code == 200
    return stand


@pytest.fixture(params=["s3", "gcs"])
def stand(request: pytest.FixtureRequest, sandbox: Sandbox) -> Any:
    """A bucket with three kinds, an old version, a deleted object and an unfinished upload."""
    with entered(sandbox):
        stand = made(sandbox, request)
        store = open_store(stand.outputs, Identity.OPERATOR)
        for key in KEYS.values():
            store.put(key, b"x" * 1000)
        store.put(KEYS["composite"], b"x" * 3000)
        store.put("recordings/deleted.mp4", b"x" * 10)
        store.delete("recordings/deleted.mp4")
        store.create_upload("recordings/unfinished.mp4")
        store.put(".recordings/remembered", b"x" * 99)
        yield stand


def test_what_the_bucket_holds_is_told(stand: Any, database: str, tmp_path: Path) -> None:
    """Objects, bytes and hours by month, room, kind and class; next deletions; cost; a chart that is an image."""
    path = f"{stand.outputs.storage_provider.scheme}://{stand.bucket}/"
    with connect(SecretStr(database)) as connection:
        Catalog(connection).upsert(
            [
                CatalogEntry(
                    "a", stand.provider, "room-composite", file_path=path + KEYS["composite"], duration=7200.0
                ),
                CatalogEntry("b", stand.provider, "transcript", file_path=path + KEYS["transcript"], room_id="other"),
            ]
        )
    file = tmp_path / "usage.svg"
    done = usage(stand, {"DATABASE_URL": database}, "--json", "--svg", str(file))
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["totals"] == {
        "objects": 3,
        "bytes": 5000,
        "hours": 2.0,
        "objectsWithHours": 1,
        "hoursFrom": "the database",
        "oldVersions": 2,
        "oldVersionBytes": 1010,
        "deleteMarkers": 1 if stand.provider == "s3" else 0,
        "unfinishedUploads": 1,
    }
    written = open_store(stand.outputs, Identity.OPERATOR).head(KEYS["transcript"]).last_modified
    assert written is not None
    month = written.strftime("%Y-%m")
    by_kind = {entry["kind"]: (entry["objects"], entry["oldVersions"], entry["bytes"]) for entry in said["byKind"]}
    assert by_kind == {"composite": (1, 1, 4000), "chat": (1, 0, 1000), "transcript": (1, 0, 1000), "other": (0, 1, 10)}
    assert {(entry["month"], entry["hours"]) for entry in said["byMonth"]} == {("2020-08", 2.0), (month, 0.0)}
    assert {(entry["room"], entry["bytes"]) for entry in said["byRoom"]} == {
        ("usage-room", 5000),
        ("other", 1000),
        ("-", 10),
    }
    assert [(entry["class"], entry["bytes"]) for entry in said["byStorageClass"]] == [("STANDARD", 6010)]
    (removal,) = said["retention"]
    assert (removal["end"], removal["objects"], removal["bytes"]) == ("removed for good", 2, 1010)
    wait = datetime.fromisoformat(removal["day"]).replace(tzinfo=UTC) - datetime.now(UTC)
    assert timedelta(days=29) < wait <= timedelta(days=31)
    assert said["softDeleteDays"] == (0 if stand.provider == "s3" else 7)
    cost = said["monthlyCost"]
    assert cost["total"] == pytest.approx(6010 / 2**30 * 0.023)
    table = load_prices().of(stand.outputs.storage_provider)
    assert table is not None
    assert (cost["unpriced"], cost["date"], cost["source"]) == ([], table.date.isoformat(), table.source)
    picture = ElementTree.parse(file).getroot()  # noqa: S314 - our own
    assert stand.bucket in (picture[0].text or "")


def test_table_says_it_in_words(stand: Any, tmp_path: Path) -> None:
    """Without database and 100ms there are no hours, which is said; prices of the user's own replace ours."""
    prices = tmp_path / "prices.toml"
    prices.write_text(f'currency = "EUR"\n[{stand.provider}]\ndate = 2027-01-01\nsource = "ours"\nregions = {{}}\n')
    done = usage(stand, {}, "--prices", str(prices), "--top", "1")
    assert done.exit_code == 0, done.output
    assert "no hours: neither DATABASE_URL nor HMS_ACCESS_KEY is set" in done.stderr
    for words in (
        "3 objects, 5.0 kB",
        "2 old versions, 1.0 kB",
        "1 unfinished upload",
        "2020-08",
        "usage-room",
        "and 1 room more",
        "removed for good",
        "without a price: the price table has none for STANDARD",
        "0.00 EUR",
        "ours",
    ):
        assert words in done.stdout, words


def test_bad_files_are_refused_before_anything_is_asked(sandbox: Sandbox) -> None:
    """Exit code 2, and which file."""
    done = CliRunner().invoke(app, ["usage", "--outputs", "/nowhere", "--prices", "/nowhere/prices.toml"])
    assert (done.exit_code, "/nowhere/prices.toml" in done.stderr) == (2, True)
    done = CliRunner().invoke(app, ["usage", "--outputs", "/nowhere", "--svg", "/nowhere/x.svg"])
    assert (done.exit_code, "/nowhere/x.svg" in done.stderr) == (2, True)
