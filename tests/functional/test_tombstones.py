"""Tombstones on a real Postgres: what they cover, whoever writes, and what asking says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from recordings.catalog import Catalog, Written
from recordings.catalog_entries import CatalogEntry
from recordings.database import connect
from recordings.erasure.tombstones import Tombstones
from recordings.errors import DatabaseError
from recordings.sync import sync
from tests.functional.databases import rows

THEN = datetime(2026, 8, 1, 12, tzinfo=UTC)
LATER = THEN + timedelta(seconds=1)
ENTRY = CatalogEntry(
    "asset", "s3", job_id="job", session_id="session", room_id="room", recorded_at=THEN, file_path="s3://b/k.mp4"
)


@pytest.fixture
def connection(database: str) -> Iterator[psycopg.Connection[Any]]:
    with connect(SecretStr(database)) as connection:
        yield connection


def leave(connection: psycopg.Connection[Any], kind: str, id_: str, until: datetime | None = None) -> None:
    query = "insert into recordings_internal.tombstones (kind, id, until) values (%s, %s, %s)"
    connection.execute(query, (kind, id_, until))


COVERS = [
    ("asset", "asset", None, True),
    ("asset", "job", None, False),
    ("recording", "job", None, True),
    ("recording", "asset", None, False),
    ("session", "session", None, True),
    ("session", "room", None, False),
    ("room", "room", THEN, True),
    ("room", "room", LATER, True),
    ("room", "room", THEN - timedelta(seconds=1), False),
    ("room", "another", LATER, False),
]


@pytest.mark.parametrize(("kind", "id_", "until", "covered"), COVERS)
def test_covered_recording_gets_no_row(
    connection: psycopg.Connection[Any], kind: str, id_: str, until: datetime | None, covered: bool
) -> None:
    """Asked or written, the answer is the same; what a room records later is not covered."""
    leave(connection, kind, id_, until)
    other = CatalogEntry("other", "s3", recorded_at=THEN)
    assert Tombstones(connection).erased([ENTRY, other]) == (frozenset({"asset"}) if covered else frozenset())
    assert Catalog(connection).upsert([ENTRY, other]) == (Written(1, 0, 1) if covered else Written(2, 0, 0))
    assert Catalog(connection, dry_run=True).upsert([ENTRY, other]) == Written(0, 0, 2)
    assert (Catalog(connection).find("asset") is None) is covered


def test_recording_of_unknown_time_is_covered_by_its_room(connection: psycopg.Connection[Any]) -> None:
    """What cannot be told to be later is not written again."""
    leave(connection, "room", "room", THEN)
    assert Tombstones(connection).erased([CatalogEntry("x", "s3", room_id="room")]) == {"x"}


def test_sync_writes_no_erased_recording(connection: psycopg.Connection[Any]) -> None:
    """100ms goes on listing it, run after run; the count says that nothing was added."""
    from recordings.hms_models import RecordingAsset
    from recordings.outputs import StorageProvider
    from recordings.paths import Home

    leave(connection, "recording", "job")
    assets = [
        RecordingAsset(id=id_, type="chat", status="completed", job_id=job, created_at=THEN)
        for id_, job in (("gone", "job"), ("kept", "another"))
    ]
    tally = sync(assets, Home(StorageProvider.S3, "bucket", ""), Catalog(connection))
    assert (tally.written.added, [entry.asset_id for entry in Catalog(connection).scan()]) == (1, ["kept"])


def test_row_that_is_there_cannot_become_an_erased_one(connection: psycopg.Connection[Any], database: str) -> None:
    """Nor does a row that was not deleted yet change; rows without an asset id are the application's own."""
    Catalog(connection).upsert([ENTRY])
    leave(connection, "room", "room", LATER)
    Catalog(connection).upsert([CatalogEntry("asset", "s3", room_id="room", recorded_at=THEN, file_path="changed")])
    rows(database, "insert into meeting_recordings (room_id) values ('room')")
    rows(database, "update meeting_recordings set asset_id = 'sneaked' where asset_id is null")
    found = rows(database, "select asset_id, file_path from meeting_recordings order by asset_id nulls last")
    assert found == [("asset", "s3://b/k.mp4"), (None, None)]


def test_database_that_was_not_migrated_is_told(empty_database: str) -> None:
    """Which command was forgotten."""
    with connect(SecretStr(empty_database)) as connection, pytest.raises(DatabaseError, match="recordings migrate"):
        Tombstones(connection).erased([ENTRY])
