"""Erasure that is killed, doubled or disturbed, on a real Postgres; the bucket and 100ms are in memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, cast

import psycopg
import pytest
from pydantic import SecretStr

from recordings.catalog import Catalog
from recordings.catalog_entries import CatalogEntry
from recordings.database import connect
from recordings.erasure.erase import Erasure, Place, plan_erasure
from recordings.erasure.ledger import Ledger
from recordings.erasure.target import Kind, Target
from recordings.errors import CheckFailedError, ConflictError
from recordings.hms_models import Recording
from recordings.stores import Store
from recordings.stores.base import Upload
from tests.functional.databases import rows
from tests.unit.erasure_scene import FORMER, HOME, THEN, Bucket, FakeHms, composite, path

ROOM, OTHER = "66f0a2c4e8b1d3a5c7f90b12", "66f0a2c4e8b1d3a5c7f90b13"
TARGET = Target(Kind.ROOM, ROOM)
KEPT = {composite(OTHER), composite(OTHER, prefix="old/")}


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@dataclass
class Fuse:
    """Kills in the call after `left` others."""

    left: int = 10**9

    def __call__(self, _: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise Killed


class Watched:
    """A connection that tells before each statement."""

    def __init__(self, connection: psycopg.Connection[Any], before: Callable[[str], None]) -> None:
        self._connection, self._before = connection, before

    def execute(self, query: Any, parameters: Any = None) -> Any:
        self._before("execute")
        return self._connection.execute(query, parameters)

    def transaction(self) -> AbstractContextManager[Any]:
        return self._connection.transaction()


@dataclass
class World:
    """A room with two recordings, one of them moved here from a former bucket; another room beside it."""

    database: str
    hms: FakeHms = field(default_factory=FakeHms)
    buckets: dict[str, Bucket] = field(default_factory=lambda: {name: Bucket(name) for name in ("bucket", "former")})

    def __post_init__(self) -> None:
        ids: dict[str, Any] = {"room_id": ROOM, "session_id": "session", "job_id": "job"}
        old = composite(ROOM, prefix="old/")
        self.buckets["bucket"].put(composite(ROOM), times=2)
        self.buckets["bucket"].put(composite(OTHER))
        self.buckets["former"].put(old, composite(OTHER, prefix="old/"))
        self.buckets["bucket"].uploads.append(Upload(composite(ROOM, 1785542400999), "u", THEN))
        self.hms.add("new", path(composite(ROOM)), **ids)
        self.hms.add("theirs", path(composite(OTHER)), room_id=OTHER)
        self.hms.jobs.append(Recording(id="job", room_id=ROOM, session_id="session", status="completed"))
        entries = [
            CatalogEntry("new", "s3", file_path=path(composite(ROOM)), recorded_at=THEN, **ids),
            CatalogEntry("old", "s3", file_path=path(old, "former"), room_id=ROOM, recorded_at=THEN),
            CatalogEntry("theirs", "s3", file_path=path(composite(OTHER)), room_id=OTHER),
            CatalogEntry("nameless", "s3", file_path=path(composite(ROOM))),
        ]
        with connect(SecretStr(self.database)) as connection:
            Catalog(connection).upsert(entries)

    def place(
        self, connection: psycopg.Connection[Any], before: Callable[[str], None], *, former: bool = True
    ) -> Place:
        for bucket in self.buckets.values():
            bucket.before = before
        ledger = Ledger(cast(Any, Watched(connection, before)))
        return Place(self.hms, ledger, HOME, lambda home: cast(Store, self.buckets[home.bucket]), former)

    def erase(self, fuse: Callable[[str], None] = lambda _: None, *, former: bool = True) -> Erasure:
        with connect(SecretStr(self.database)) as connection:
            erasure = plan_erasure(self.place(connection, fuse, former=former), TARGET)
            erasure.plan.apply()
        return erasure

    def left(self) -> tuple[set[str], list[str]]:
        names = set().union(*(bucket.names() for bucket in self.buckets.values()))
        uploads = {upload.key for bucket in self.buckets.values() for upload in bucket.uploads}
        found = rows(self.database, "select asset_id from meeting_recordings order by 1")
        return names | uploads, [asset for (asset,) in found]

    def tombstones(self) -> set[tuple[str, str]]:
        return set(rows(self.database, "select kind, id from recordings_internal.tombstones"))

    def reset(self) -> None:
        for query in (
            "delete from recordings_internal.tombstones",
            "delete from recordings_internal.erasures",
            "delete from public.meeting_recordings",
        ):
            rows(self.database, query)
        self.hms, self.buckets = FakeHms(), {name: Bucket(name) for name in ("bucket", "former")}
        self.__post_init__()


@pytest.fixture
def world(database: str) -> World:
    return World(database)


REMOVED = {"objects": 2, "versions": 3, "bytes": 30, "unfinishedUploads": 1, "rows": 3}


def test_erasure_killed_at_every_call_ends_complete(world: World) -> None:
    """Before each statement and each removal in turn: the next run does the rest, and one receipt counts both.

    Nothing is ever removed before the tombstones are there, and a row that names an object goes after it.
    """
    number, was_killed = 0, True
    while was_killed:
        world.reset()
        whole = world.left()
        try:
            world.erase(Fuse(number))
            was_killed = False
        except Killed:
            assert world.left() == whole or ("room", ROOM) in world.tombstones()
            names, stored = world.left()
            assert "new" in stored or not names - KEPT
        receipt = world.erase().receipt
        assert receipt is not None, number
        assert {name: receipt["removed"][name] for name in REMOVED} == REMOVED, number
        assert world.left() == (KEPT, ["theirs"]), number
        assert world.tombstones() == {("room", ROOM), ("recording", "job"), ("asset", "new"), ("asset", "old")}
        kept = "select (select count(*) from recordings_internal.erasures), count(*) from recordings_internal.erased"
        assert rows(world.database, kept) == [(1, 0)], number
        number += 1
    assert number > 20


def test_two_runs_at_once_give_one_receipt(world: World) -> None:
    """The one that ends first has it; the other stops before it removes more, and finds it the next time."""
    with connect(SecretStr(world.database)) as one, connect(SecretStr(world.database)) as two:
        first, second = (plan_erasure(world.place(each, lambda _: None), TARGET) for each in (one, two))
        third = plan_erasure(world.place(two, lambda _: None), TARGET)
        second.plan.steps[0].run()
        first.plan.apply()
        with pytest.raises(ConflictError, match="run the command again"):
            second.plan.steps[1].run()
        with pytest.raises(ConflictError, match="another run has erased room"):
            third.plan.apply()
    again = world.erase()
    assert (again.plan.steps, again.receipt) == ((), first.receipt)


def test_what_comes_meanwhile_is_removed_too(world: World) -> None:
    """An upload that ends while objects are removed is found by the second look; what never ends coming is told."""
    arrived: list[str] = []

    def arrives(call: str) -> None:
        if call == "delete_versions" and len(arrived) < limit:
            arrived.append(composite(ROOM, 1785542400500 + len(arrived)))
            world.buckets["bucket"].put(arrived[-1])

    limit = 1
    receipt = world.erase(arrives).receipt
    assert receipt is not None
    assert (receipt["removed"]["objects"], world.left()[0]) == (3, KEPT)
    limit = 10**6
    world.buckets["bucket"].put(composite(ROOM))
    with pytest.raises(CheckFailedError, match="keep coming back"):
        world.erase(arrives)


def test_recording_that_has_not_ended_keeps_the_erasure_open(world: World) -> None:
    """It is tombstoned by its id at once; what arrives is erased by the next run, and one receipt counts all."""
    world.hms.jobs.append(Recording(id="running", room_id=ROOM, session_id="s", status="post_processing"))
    first = world.erase().receipt
    assert first is not None
    assert (first["complete"], first["stillToCome"]) == (False, [{"recording": "running", "status": "post_processing"}])
    assert ("recording", "running") in world.tombstones()
    world.hms.jobs[-1] = Recording(id="running", room_id=ROOM, session_id="s", status="completed")
    world.hms.add("late", path(composite(ROOM, 1785542499999)), room_id=ROOM, job_id="running")
    world.buckets["bucket"].put(composite(ROOM, 1785542499999))
    second = world.erase().receipt
    assert second is not None
    assert (second["id"], second["begun"], second["complete"]) == (first["id"], first["begun"], True)
    assert second["removed"]["objects"] == 3
    assert world.left() == (KEPT, ["theirs"])


def test_receipt_says_what_stays_until_when(world: World) -> None:
    """Soft-deleted objects, 100ms' own copies, buckets that were not looked at or are not ours."""
    from datetime import UTC, datetime

    world.buckets["bucket"].soft_delete = timedelta(days=7)
    made = datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)
    world.hms.add("at-100ms", "s3://100ms-own/x.mp4", room_id=ROOM, created_at=made)
    receipt = world.erase(former=False).receipt
    assert receipt is not None
    stays = {entry["what"]: entry["until"] for entry in receipt["stays"]}
    ended = datetime.fromisoformat(receipt["ended"])
    assert datetime.fromisoformat(stays["soft-deleted objects of bucket bucket"]) == ended + timedelta(days=7)
    ends = datetime.fromisoformat(stays["100ms' own copies, if it made any"])
    assert ends == max(made, THEN) + timedelta(days=15)
    assert stays["1 recording assets in bucket 100ms-own"] is None
    assert stays["former bucket former"] is None
    assert receipt["buckets"] == ["s3://bucket/"]
    assert world.left()[0] == {*KEPT, composite(ROOM, prefix="old/")}


def test_nothing_known_is_no_success(world: World) -> None:
    """A wrong id must not look like an erasure: refused, and no tombstone."""
    with connect(SecretStr(world.database)) as connection, pytest.raises(CheckFailedError, match="nothing is known"):
        plan_erasure(world.place(connection, lambda _: None), Target(Kind.SESSION, "nobody"))
    assert world.tombstones() == set()


def test_rows_that_others_refer_to_are_told(world: World) -> None:
    """A foreign key of the application's: the message names it and what to do; objects are gone, the rest waits."""
    from recordings.errors import DatabaseError

    rows(world.database, "create table notes (of text references meeting_recordings (asset_id))")
    rows(world.database, "insert into notes values ('new')")
    with pytest.raises(DatabaseError, match=r"other rows refer to .* by notes_of_fkey"):
        world.erase()
    rows(world.database, "delete from notes")
    receipt = world.erase().receipt
    assert receipt is not None
    assert {name: receipt["removed"][name] for name in REMOVED} == REMOVED
    assert FORMER.bucket in str(receipt["buckets"])
