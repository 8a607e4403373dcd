"""`recordings sync`, fake 100ms to real Postgres: every form of path, repeated, cut short, ended by time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner, Result

from recordings.catalog import Catalog
from recordings.catalog_entries import CatalogEntry
from recordings.cli import app
from recordings.database import connect
from recordings.hms_wire import PAGE
from sandbox.bench_sync import OUTPUTS
from sandbox.hms.state import new_id, stamp
from sandbox.servers import Sandbox
from tests.functional.clients import control
from tests.functional.databases import rows
from tests.functional.stand import entered

BUCKET = "our-bucket"
DAY = "20260801"
EPOCH = "1785542400123"


@pytest.fixture
def room() -> str:
    """A room of the test's own: the fake 100ms is shared."""
    return new_id()


@pytest.fixture
def sync(sandbox: Sandbox, database: str, room: str) -> Iterator[Callable[..., Result]]:
    """Runs the command for that room, in this process, over the test's database."""
    given = json.dumps(OUTPUTS | {"bucketName": BUCKET})

    def run(*arguments: str) -> Result:
        command = ["sync", "--json", "--room", room, "--outputs", "-", *arguments]
        return CliRunner(env={"DATABASE_URL": database}).invoke(app, command, input=given)

    with entered(sandbox):
        yield run


def seed(sandbox: Sandbox, room: str, *assets: dict[str, Any]) -> list[str]:
    """Make recording assets; gives their ids in the order given, which is oldest first."""
    made = control(sandbox, "hms", "POST", "seed", {"assets": [{"room_id": room, **asset} for asset in assets]})
    ids: list[str] = made["assets"]
    return ids


def said(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    parsed: dict[str, Any] = json.loads(result.stdout)
    return parsed


def ours(room: str) -> dict[str, str]:
    """Every documented form of a path in our bucket, by 100ms' type of asset."""
    rec, prefix = f"Rec-{room}-{EPOCH}", f"s3://{BUCKET}/recordings"
    return {
        "room-composite": f"{prefix}/beam/{room}/{DAY}/{rec}.mp4",
        "room-composite-legacy": f"{prefix}/{room}/{DAY}/session/Rec-session-{EPOCH}.mp4",
        "track": f"{prefix}/{room}/{DAY}/session/peer/stream/track.webm",
        "stream": f"{prefix}/hls/{room}/{DAY}/{EPOCH}/file-recording/{rec}-720p.mp4",
        "room-vod": f"{prefix}/hls/{room}/{DAY}/{EPOCH}/vod/{rec}.zip",
        "chat": f"{prefix}/chat/{room}/{DAY}/{rec}.csv",
    }


def test_every_documented_path_form_finds_its_storage(sandbox: Sandbox, database: str, room: str, sync: Any) -> None:
    """Ours becomes s3; 100ms' own, another stack's and another provider's stay 100ms; nothing is dropped."""
    elsewhere = [
        f"s3://100ms-own-storage/customer/beam/{room}/{DAY}/Rec-{room}-{EPOCH}.mp4",
        f"s3://{BUCKET}/staging/beam/{room}/{DAY}/Rec-{room}-{EPOCH}.mp4",
        f"gs://{BUCKET}/recordings/beam/{room}/{DAY}/Rec-{room}-{EPOCH}.mp4",
        f"oss://aliyun/recordings/beam/{room}/{DAY}/Rec-{room}-{EPOCH}.mp4",
    ]
    unknown = [f"s3://{BUCKET}/recordings/of-no-form.bin", f"s3://{BUCKET}/recordings/../secret.mp4", "ftp://x/y", ""]
    mine = ours(room)
    seed(sandbox, room, *({"type": kind, "path": path} for kind, path in mine.items()))
    seed(sandbox, room, *({"path": path} for path in [*elsewhere, *unknown]))
    result = said(sync())
    counted = {key: result[key] for key in ("read", "ours", "elsewhere", "unknown")}
    assert counted == {"read": 14, "ours": 6, "elsewhere": 4, "unknown": 4}
    assert len(result["unknownPaths"]) == 4
    stored = dict(rows(database, "select coalesce(file_path, ''), storage_provider from meeting_recordings"))
    assert {path: stored[path] for path in mine.values()} == dict.fromkeys(mine.values(), "s3")
    assert {path: stored[path] for path in elsewhere} == dict.fromkeys(elsewhere, "100ms")
    assert {path: stored[path] for path in unknown} == {unknown[0]: "s3", **dict.fromkeys(unknown[1:], "100ms")}
    assert rows(database, "select distinct room_id, status, size, duration from meeting_recordings") == [
        (room, "completed", 1_048_576, 60.0)
    ]


def test_second_run_writes_nothing(sandbox: Sandbox, database: str, room: str, sync: Any) -> None:
    """Repeatable: no row is touched, not even its time; a dry run before says what the first run did."""
    seed(sandbox, room, {"count": 30})
    assert said(sync("--dry-run"))["rows"] == {"added": 30, "changed": 0, "same": 0}
    assert rows(database, "select count(*) from meeting_recordings") == [(0,)]
    assert said(sync())["rows"] == {"added": 30, "changed": 0, "same": 0}
    before = rows(database, "select xmin::text, * from meeting_recordings order by asset_id")
    assert said(sync())["rows"] == {"added": 0, "changed": 0, "same": 30}
    assert rows(database, "select xmin::text, * from meeting_recordings order by asset_id") == before


def test_several_pages_and_batches_come_in_whole(sandbox: Sandbox, database: str, room: str, sync: Any) -> None:
    """More than one batch of rows, and a last page that is not full."""
    seed(sandbox, room, {"count": 737})
    assert said(sync())["rows"]["added"] == 737
    assert rows(database, "select count(distinct asset_id) from meeting_recordings") == [(737,)]


def test_since_ends_at_a_page_of_older_ones(sandbox: Sandbox, database: str, room: str, sync: Any) -> None:
    """Older ones are left out; a late one among them is found; whole pages of older ones are not read."""
    old, new = ({"created_at": stamp(datetime.now(UTC) - timedelta(days=days))} for days in (9, 1))
    seed(sandbox, room, {**old, "count": 3 * PAGE})
    late = seed(sandbox, room, new)
    seed(sandbox, room, {**old, "count": PAGE // 2}, {**new, "count": 40})
    result = said(sync("--since", "2d"))
    assert (result["read"], result["older"]) == (41, PAGE // 2 + PAGE)
    assert rows(database, "select count(*) from meeting_recordings where asset_id = %s", late[0]) == [(1,)]
    day = (datetime.now(UTC) - timedelta(days=20)).date().isoformat()
    assert said(sync("--since", day))["rows"]["added"] == 3 * PAGE + PAGE // 2


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "-2d", "99999999999d"])
def test_since_that_is_no_time_is_refused(sync: Any, since: str) -> None:
    """Exit code 2 with the legal forms."""
    result = sync("--since", since)
    assert (result.exit_code, "legal are 2d, 12h" in result.stderr) == (2, True)


def test_recording_brought_into_our_bucket_stays_ours(sandbox: Sandbox, database: str, room: str, sync: Any) -> None:
    """100ms goes on naming its own storage for it; what else changes at 100ms is still taken."""
    (asset_id,) = seed(sandbox, room, {"status": "completed", "size": 77})
    entry = CatalogEntry(asset_id, "s3", file_path=f"s3://{BUCKET}/recordings/copied.mp4", status="copying")
    with connect(SecretStr(database)) as connection:
        Catalog(connection).upsert([entry])
    assert said(sync())["rows"]["changed"] == 1
    assert rows(database, "select storage_provider, file_path, status, size from meeting_recordings") == [
        ("s3", entry.file_path, "completed", 77)
    ]


def test_rows_of_the_application_are_left_alone(sandbox: Sandbox, database: str, room: str, sync: Any) -> None:
    """Rows with no asset id, and columns that are not ours, keep what they hold."""
    rows(database, "alter table meeting_recordings add column note text not null default 'mine'")
    rows(database, "insert into meeting_recordings (room_id, note) values (%s, 'kept')", room)
    (asset_id,) = seed(sandbox, room, {})
    sync()
    rows(database, "update meeting_recordings set note = 'also kept', size = 1 where asset_id = %s", asset_id)
    assert said(sync())["rows"]["changed"] == 1
    assert rows(database, "select note from meeting_recordings order by note") == [("also kept",), ("kept",)]


def test_hostile_text_is_kept_as_text(sandbox: Sandbox, database: str, room: str, sync: Any) -> None:
    """SQL, NUL and a presigned URL in a path: a row each, the secret of the URL in none."""
    paths = [
        "s3://x/'); drop table meeting_recordings; --",
        "s3://x/%s %(asset_id)s {}",
        "nul \0 end",
        "https://host/key.mp4?X-Amz-Signature=canary5ecret",
        "s3://b/key.mp4?X-Goog-Signature=canary5ecret&x=1",
    ]
    seed(sandbox, room, *({"path": path, "size": 2**80} for path in paths))
    result = sync()
    assert said(result)["read"] == len(paths)
    stored = [path for (path,) in rows(database, "select file_path from meeting_recordings")]
    assert {*paths[:2], "nul \\x00 end"} <= set(stored)
    assert "canary5ecret" not in str(stored) + result.output
    assert rows(database, "select distinct size from meeting_recordings") == [(None,)]


def test_failure_in_the_middle_keeps_what_was_written(sandbox: Sandbox, database: str, room: str, sync: Any) -> None:
    """100ms refuses a later page: exit code 3, whole batches stay, and the next run does the rest."""
    seed(sandbox, room, {"count": 650})
    rule = {"match": "GET /v2/recording-assets", "fault": "403", "skip": 5}
    control(sandbox, "hms", "POST", "faults", rule)
    failed = sync()
    assert (failed.exit_code, "500 recordings went into the database" in failed.stderr) == (3, True)
    assert rows(database, "select count(*) from meeting_recordings") == [(500,)]
    assert said(sync())["rows"] == {"added": 150, "changed": 0, "same": 500}


def test_database_that_cannot_take_rows_says_what_to_do(sandbox: Sandbox, database: str, room: str, sync: Any) -> None:
    """A column that refuses null: its name; no table: `recordings migrate`. Exit code 3, no traceback."""
    seed(sandbox, room, {})
    rows(database, "alter table meeting_recordings add column meeting uuid not null")
    refused = sync()
    assert (refused.exit_code, "because of meeting" in refused.stderr) == (3, True)
    rows(database, "drop table meeting_recordings")
    refused = sync()
    assert (refused.exit_code, "run `recordings migrate` first" in refused.stderr) == (3, True)
