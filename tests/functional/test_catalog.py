"""The catalog on a real Postgres: which of several writes counts, pages, types of the application's own, indexes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from recordings.catalog import AsyncCatalog, Catalog, Written
from recordings.catalog_entries import CatalogEntry
from recordings.catalog_sql import FIND, find_parameters, page_query
from recordings.database import connect
from recordings.erasure.ledger import Ledger
from recordings.errors import DatabaseDownError
from recordings.migrate import migrations, run_migrations
from sandbox.databases import END_SESSIONS
from sandbox.servers import Sandbox
from tests.functional.clients import eventually
from tests.functional.databases import rows

NOW = datetime.now(UTC).replace(microsecond=0)
SHARED = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def catalog(database: str) -> Iterator[Catalog]:
    with connect(SecretStr(database)) as connection:
        yield Catalog(connection)


def empty(database: str) -> None:
    rows(database, "delete from meeting_recordings")


@st.composite
def readings(draw: st.DrawFn) -> list[CatalogEntry]:
    """What 100ms says of one recording, which changes now and then and never back, read at times in any order."""
    changes = draw(st.lists(st.integers(1, 60), max_size=3))
    times = draw(st.lists(st.integers(0, 60), min_size=1, max_size=8))
    return [reading(at, sum(at >= change for change in changes)) for at in times]


def reading(at: int, version: int) -> CatalogEntry:
    when = NOW - timedelta(seconds=100 - at)
    return CatalogEntry("a", "s3", status=f"version {version}", size=version, synced_at=when)


@SHARED
@given(entries=readings())
def test_what_100ms_was_asked_last_counts(database: str, catalog: Catalog, entries: list[CatalogEntry]) -> None:
    """In whatever order events are worked through, the row ends as 100ms had it at the last time of asking."""
    empty(database)
    for entry in entries:
        written = catalog.upsert([entry])
        assert sum((written.added, written.changed, written.same)) == 1
    found = catalog.find("a")
    last = max(entries, key=lambda entry: entry.synced_at or NOW)
    assert found is not None
    assert (found.status, found.size) == (last.status, last.size)


def test_clock_that_is_fast_shuts_nobody_out(catalog: Catalog) -> None:
    """What claims to come from the future is taken as of now, so that the next write is not older."""
    catalog.upsert([CatalogEntry("a", "s3", status="failed", synced_at=NOW + timedelta(days=365))])
    later = datetime.now(UTC) + timedelta(seconds=5)
    assert catalog.upsert([CatalogEntry("a", "s3", status="completed", synced_at=later)]).changed == 1


def test_what_was_known_is_not_forgotten(catalog: Catalog) -> None:
    """An answer that leaves ids, size or times out takes none of them away; status and path are taken as they are."""
    known = CatalogEntry("a", "s3", "track", "failed", "s3://b/1", "job", "room", "session", 5, 1.5, NOW, NOW)
    catalog.upsert([known])
    catalog.upsert([CatalogEntry("a", "s3", "track", "completed", "s3://b/2", synced_at=NOW)])
    assert catalog.find("a") == replace(known, status="completed", file_path="s3://b/2")


def test_batch_is_written_whole_or_not_at_all(database: str, catalog: Catalog) -> None:
    """One row that the database refuses, and no other of its batch is there."""
    with pytest.raises(Exception, match="recordings_storage_provider_known"):
        catalog.upsert([CatalogEntry("a", "s3"), CatalogEntry("b", "ftp")])
    assert rows(database, "select * from meeting_recordings") == []


TIMES = st.none() | st.integers(0, 3).map(lambda seconds: NOW + timedelta(seconds=seconds))


@SHARED
@given(
    times=st.lists(TIMES, max_size=14),
    limit=st.integers(1, 5),
    rooms=st.lists(st.sampled_from("xy"), min_size=14, max_size=14),
)
def test_pages_give_every_row_once_newest_first(
    database: str, catalog: Catalog, times: list[datetime | None], limit: int, rooms: list[str]
) -> None:
    """Also with equal times and none, of one room or of all; a row with no asset id is no recording of ours."""
    empty(database)
    entries = [
        CatalogEntry(f"{n:02}", "s3", room_id=room, recorded_at=at, synced_at=NOW)
        for n, (at, room) in enumerate(zip(times, rooms, strict=False))
    ]
    catalog.upsert(entries)
    rows(database, "insert into meeting_recordings (room_id) values ('x')")
    old = datetime.min.replace(tzinfo=UTC)
    for room in (None, "x"):
        expected = [entry for entry in entries if room in (None, entry.room_id)]
        expected.sort(key=lambda entry: (entry.recorded_at or old, entry.asset_id), reverse=True)
        found: list[CatalogEntry] = []
        after = None
        while page := catalog.page(limit=limit, after=after, room_id=room):
            found += page.entries
            after = page.next
            if after is None:
                break
        assert found == expected


def test_types_of_an_application_s_own_serve(empty_database: str) -> None:
    """varchar and numeric where we would have text and bigint: written and read alike."""
    rows(
        empty_database,
        "create table meeting_recordings (n serial, asset_id varchar, size numeric, duration numeric, status varchar)",
    )
    entry = CatalogEntry("a", "s3", status="completed", size=2**40, duration=1.5, recorded_at=NOW, synced_at=NOW)
    with connect(SecretStr(empty_database)) as connection:
        run_migrations(connection, migrations())
        catalog = Catalog(connection)
        assert catalog.upsert([entry]) == Written(added=1)
        assert catalog.upsert([entry]) == Written(same=1)
        assert catalog.find("a") == entry
        assert list(catalog.scan()) == [entry]


ODD_TIMES = ("infinity", "-infinity", "20000-01-01", "0044-03-15 BC", "0001-01-01 00:00:00+14")


def test_odd_rows_hide_no_other(database: str, catalog: Catalog) -> None:
    """Times that Python cannot hold, and lengths that are no number, are read as none or as the last day there is."""
    insert = (
        "insert into meeting_recordings (asset_id, room_id, storage_provider, duration, recorded_at, synced_at) "
        "values (%s, 'r', 's3', %s::float8, %s::timestamptz, %s::timestamptz)"
    )
    for number, (at, length) in enumerate(product(ODD_TIMES, ("NaN", "Infinity"))):
        rows(database, insert, f"odd {number}", length, at, at)
    catalog.upsert([CatalogEntry("good", "s3", room_id="r", duration=1.5, recorded_at=NOW)])
    expected = {"good", *(f"odd {number}" for number in range(10))}
    assert {entry.asset_id: entry.duration for entry in catalog.scan()} == {**dict.fromkeys(expected), "good": 1.5}
    page = catalog.page(room_id="r")
    assert {entry.asset_id for entry in page.entries} == expected
    with connect(SecretStr(database)) as connection:
        assert {entry.asset_id for entry in Ledger(connection).rows(["r"], [], [], [])} == expected


@pytest.mark.parametrize("size", ["NaN", "Infinity", "-Infinity"])
def test_size_that_is_no_number_is_none(empty_database: str, size: str) -> None:
    """In a `numeric` column of the application's own."""
    rows(empty_database, "create table meeting_recordings (asset_id varchar, size numeric)")
    with connect(SecretStr(empty_database)) as connection:
        run_migrations(connection, migrations())
        rows(empty_database, "insert into meeting_recordings (asset_id, size) values ('a', %s::numeric)", size)
        found = Catalog(connection).find("a")
    assert found is not None
    assert found.size is None


def test_pages_and_ids_are_found_by_index(database: str) -> None:
    """Quick to query: with many rows no statement reads the whole table."""
    rows(
        database,
        "insert into meeting_recordings (asset_id, room_id, session_id, recorded_at) "
        "select md5(n::text), (n % 50)::text, n::text, now() - n * interval '1 minute' "
        "from generate_series(1, 20000) as n",
    )
    rows(database, "analyze meeting_recordings")
    after = "WyIyMDI2LTAxLTAxVDAwOjAwOjAwKzAwOjAwIiwgImEiXQ=="
    ways: list[dict[str, Any]] = [{}, {"after": after}, {"room_id": "7"}, {"room_id": "7", "after": after}]
    with connect(SecretStr(database)) as connection:
        for way in ways:
            query, parameters = page_query(**({"limit": 20, "after": None, "room_id": None, "session_id": None} | way))
            plan = str(connection.execute(f"explain {query}".encode(), parameters).fetchall())
            assert "Seq Scan" not in plan
            assert "Sort" not in plan
        plan = str(connection.execute(f"explain {FIND}".encode(), find_parameters(["a", "b"])).fetchall())
        assert "Seq Scan" not in plan
        catalog = Catalog(connection)
        assert len(list(catalog.scan())) == 20000


def test_hostile_ids_are_only_ids(catalog: Catalog) -> None:
    """Found if they are there, else nothing; never read as SQL, never an error."""
    hostile = ["'; drop table meeting_recordings; --", "%s", "a\\x00", "😀" * 500]
    catalog.upsert([CatalogEntry(text, "s3") for text in hostile])
    assert all(catalog.find(text) for text in hostile)
    for text in ("nul \0", "\ud800", "", "%(asset_id)s"):
        assert catalog.find(text) is None
        assert catalog.page(room_id=text).entries == ()


def end_sessions(admin: str, name: str) -> None:
    """Come back once nobody but autovacuum is connected to the database `name`."""
    eventually(lambda: not rows(admin, END_SESSIONS, name))


def test_database_that_goes_away_and_comes_back(sandbox: Sandbox, database: str) -> None:
    """The pool outlives it: an error of its own kind meanwhile, and answers again afterwards."""
    name, admin = database.rpartition("/")[2], sandbox.env["DATABASE_URL"]

    async def story() -> None:
        async with AsyncCatalog.open(SecretStr(database), size=2, wait=2) as catalog:
            assert await catalog.upsert([CatalogEntry("a", "s3")]) == Written(added=1)
            end_sessions(admin, name)
            assert await catalog.find("a") is not None
            rows(admin, f"alter database {name} allow_connections false")
            end_sessions(admin, name)
            for _ in range(2):
                with pytest.raises(DatabaseDownError):
                    await catalog.find("a")
            rows(admin, f"alter database {name} allow_connections true")
            assert (await catalog.page()).next is None

    asyncio.run(story())


async def connected(catalog: AsyncCatalog) -> None:
    """Come back once its pool has a connection, which takes a busy machine longer than a test lets it wait."""
    deadline = time.monotonic() + 20
    while True:
        try:
            assert await catalog.find("a") is None
        except DatabaseDownError:
            assert time.monotonic() < deadline
        else:
            return


def test_busy_database_makes_callers_queue_and_not_fail(database: str) -> None:
    """Behind one connection that is busy for far longer than the time in which a database must give one."""

    async def story() -> None:
        async with AsyncCatalog.open(SecretStr(database), size=1, wait=0.5) as catalog:
            await connected(catalog)
            with connect(SecretStr(database)) as other, other.transaction():
                other.execute(b"lock table public.meeting_recordings in access exclusive mode")
                asked = [asyncio.create_task(catalog.page()) for _ in range(20)]
                asked_one = [asyncio.create_task(catalog.find(str(number))) for number in range(20)]
                done, _ = await asyncio.wait([*asked, *asked_one], timeout=1.5, return_when=asyncio.FIRST_EXCEPTION)
                assert not done
            assert {page.next for page in await asyncio.gather(*asked)} == {None}
            assert await asyncio.gather(*asked_one) == [None] * 20

    asyncio.run(story())


def test_database_that_is_down_is_told_to_all_who_queue_at_once() -> None:
    """A hundred behind two connections wait as long as one, not fifty times as long."""

    async def story() -> float:
        async with AsyncCatalog.open(SecretStr("postgresql://nobody@127.0.0.1:9/none"), size=2, wait=0.3) as catalog:
            began = time.monotonic()
            found = await asyncio.gather(*(catalog.page() for _ in range(100)), return_exceptions=True)
            assert {type(error) for error in found} == {DatabaseDownError}
            return time.monotonic() - began

    assert asyncio.run(story()) < 10, "fifty times as long is 15 s"


def test_queue_ends_before_those_who_ask_go_away(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that is never free is an error, after a time that a person or a proxy waits."""
    monkeypatch.setattr("recordings.catalog._QUEUE", 0.2)

    async def story() -> None:
        async with AsyncCatalog.open(SecretStr(database), size=1) as catalog:
            with connect(SecretStr(database)) as other, other.transaction():
                other.execute(b"lock table public.meeting_recordings in access exclusive mode")
                first = asyncio.create_task(catalog.page())
                await asyncio.sleep(0)
                with pytest.raises(DatabaseDownError, match="in time"):
                    await catalog.page()
            await first

    asyncio.run(story())
