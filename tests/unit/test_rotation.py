"""Rotating keys while 100ms records: the course, its waits, rooms, rollback, undone steps. Nothing is ever harmed."""

from __future__ import annotations

import copy
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from recordings.errors import CheckFailedError, ConfigurationError, NotDueError, StoreError, UsageError
from recordings.rotation import Role
from recordings.rotation.course import LOOK_AGAIN
from tests.unit.rotation_world import BOTH, World, hours, slots, waits, write

OWN: dict[str, Any] = {
    "enabled": True,
    "unknown": "kept",
    "upload_info": {
        "type": "s3",
        "location": "our-bucket",
        "prefix": "recordings/of-a-room",
        "options": {"region": "eu-central-1", "more": 1},
        "credentials": {"key": "AKIAWRITER1", "secret": "secret-of-AKIAWRITER1"},
    },
}


@pytest.fixture(params=["s3", "gcs"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(tmp_path, request.param)


@pytest.fixture
def s3(tmp_path: Path) -> World:
    return World(tmp_path)


def test_rotation_from_beginning_to_end(world: World) -> None:
    """The key is replaced once, the file says what is deployed, and nothing that 100ms recorded meanwhile is harmed."""
    world.until_done()
    world.assert_whole("green")
    assert slots(world) == {"recordings:writerKeys": {"green": "active"}, "recordings:registeredKey": "green"}
    assert len(world.hms.recordings) > 100
    world.until_done()
    world.assert_whole("blue")


def test_rotation_of_the_reader(s3: World) -> None:
    """100ms is not touched; URLs that the old key signed get the seven days that one can live."""
    posts = s3.hms.posts()
    assert hours(s3, waits(s3, role=Role.READER).until) == pytest.approx(7 * 24, abs=0.1)
    assert slots(s3) == {"recordings:readerKeys": BOTH, "recordings:signingKey": "green"}
    s3.go_on(role=Role.READER)
    s3.assert_whole("green", Role.READER)
    assert s3.hms.posts() == posts


def test_dry_run_prints_the_steps_that_run(s3: World) -> None:
    """From every position the same titles in the same order, and a dry run changes nothing."""
    for _ in range(9):
        before = s3.path.read_text(), dict(s3.cloud.keys), s3.hms.posts(), s3.store.writes
        try:
            told = s3.run(dry_run=True)["steps"]
        except NotDueError as error:
            s3.wait_for(error.until)
            continue
        assert (s3.path.read_text(), s3.cloud.keys, s3.hms.posts(), s3.store.writes) == before
        try:
            done = s3.run()["steps"]
        except NotDueError as error:
            done = [note.removeprefix("done: ") for note in error.__notes__]
        assert done == told
        if not s3.under_way():
            break
    s3.assert_whole("green")


def test_advance_does_one_step_at_a_time(s3: World) -> None:
    """A scheduled job begins nothing; of a rotation under way it does one step a time, or says when to come back."""
    error = waits(s3, advance=True)
    assert "no rotation" in str(error)
    assert hours(s3, error.until) == pytest.approx(24)
    rotation = s3.open()
    rotation.save(rotation.first(None, rooms=False))
    done, times = [], []
    while s3.under_way():
        try:
            done += s3.run(advance=True)["steps"][-1:]
            now = s3.open().deployed
            assert not s3.open().behind(now.ids[now.slots.pointer]), "100ms has the key that the outputs name"
        except NotDueError as waiting:
            times.append(hours(s3, waiting.until))
            s3.wait_for(waiting.until)
    s3.assert_whole("green")
    assert [title.split(" recordings:")[0].split(" the ")[0] for title in done] == [
        "write and deploy", "prove", "give 100ms", "write and deploy",
        "prove that slot green works and slot blue is refused", "write and deploy", "finish: slot green has",
    ]  # fmt: skip
    assert times[-1] == pytest.approx(72, abs=1)
    error = waits(s3, advance=True)
    assert "the last one ended on" in str(error)
    assert hours(s3, error.until) == pytest.approx(60 * 24, abs=1)


def test_waits_for_recordings_that_began_under_the_old_key(s3: World) -> None:
    """One that runs for hours keeps its key until it is uploaded; those that began later are not waited for."""
    s3.hms.recordings["long"] = {
        "id": "long",
        "room_id": "r1",
        "status": "running",
        "_key": "AKIAWRITER1",
        "_ends": 1e9,
    }
    s3.hms.recordings["foreign"] = {
        "id": "foreign",
        "room_id": "r-elsewhere",
        "status": "running",
        "_key": "",
        "_ends": 1e9,
    }
    for _ in range(3):
        error = waits(s3)
        assert "recordings that began under the old key: long" in str(error)
        assert hours(s3, error.until) == pytest.approx(LOOK_AGAIN / timedelta(hours=1))
        s3.hms.clock.time += 3600
    s3.hms.recordings["long"]["_ends"] = 0
    s3.record()
    assert hours(s3, waits(s3).until) == pytest.approx(72)
    s3.go_on()
    s3.assert_whole("green")


@pytest.mark.parametrize("status", ["starting", "stopping", "post_processing"])
def test_waits_whatever_an_unfinished_recording_is_called(s3: World, status: str) -> None:
    """Every status before the last needs the key."""
    s3.hms.recordings["it"] = {"id": "it", "room_id": "r1", "status": status, "_key": "AKIAWRITER1", "_ends": 1e9}
    assert "began under the old key: it" in str(waits(s3))
    assert s3.cloud.keys[Role.WRITER, "blue"].active


def test_waits_as_long_as_a_template_signs(s3: World) -> None:
    """The longest presignDuration of these templates, in their recordings or destinations; --overlap has its way."""
    s3.hms.configurations["t1"] = [{"name": "default", "role": "host", "presignDuration": 3600}]
    s3.hms.configurations["elsewhere"] = [{"presignDuration": 9e9}]
    hls = {"hls": {"recording": {"hlsVod": False, "presignDuration": 604800}}}
    s3.hms.destinations["t2"] = {"hlsDestinations": hls}
    assert hours(s3, waits(s3).until) == pytest.approx(7 * 24)
    assert hours(s3, waits(s3, overlap=timedelta(hours=100)).until) == pytest.approx(100)
    assert hours(s3, waits(s3).until) == pytest.approx(100)


def test_zero_overlap_goes_through(s3: World) -> None:
    """Who needs no URLs of the old key can have it gone as soon as no recording needs it."""
    with pytest.raises(NotDueError):
        s3.run()
    s3.urls.clear()
    s3.hms.recordings.clear()
    assert s3.run(overlap=timedelta(0))["finished"]
    s3.assert_whole("green")


def test_asks_100ms_once_more_before_a_key_goes(s3: World) -> None:
    """A template that is given the old key in the last moment of a run is seen, and given the new one before."""
    s3.hms.recordings["long"] = {"id": "long", "room_id": "r1", "status": "running", "_key": "", "_ends": 1e9}
    s3.wait_for(waits(s3, overlap=timedelta(0)).until)
    puts = []

    def meddle(what: str) -> None:
        if what == "after put .recordings/rotation/writer":
            puts.append(what)
            if len(puts) == 1:
                s3.hms.settings["t2"] = s3.registered("AKIAWRITER1")

    s3.fuse = meddle
    assert s3.run()["steps"][:2] == [
        "note that no recording needs the old key",
        "give 100ms the writer's key in slot green",
    ]
    assert [harm for harm in s3.harm if "URLs" not in harm] == []  # with no overlap those go
    assert s3.hms.key_of("r2") == "AKIAWRITER3"


def test_old_key_that_is_still_taken_is_not_removed(s3: World) -> None:
    """If the cloud goes on taking a key that was made inactive, the last step does not follow."""
    error = waits(s3)
    s3.wait_for(error.until)
    s3.stubborn = True
    for _ in range(2):
        with pytest.raises(CheckFailedError, match="slot blue still works"):
            s3.run()
    assert (Role.WRITER, "blue") in s3.cloud.keys
    s3.stubborn = False
    s3.go_on()
    s3.assert_whole("green")


# Rooms


def test_room_with_the_old_key_stops_it_at_first(s3: World) -> None:
    """Without --rooms nothing is begun, since such a room, also a disabled one, would lose its recordings."""
    s3.hms.add_room("own", "t1", OWN, enabled=False)
    with pytest.raises(CheckFailedError, match=r"own\. Add --rooms.*Nothing was changed"):
        s3.run()
    assert not s3.under_way()
    assert slots(s3) == {}


def test_room_that_comes_later_stops_the_key_from_going(s3: World) -> None:
    """A room that is given the old key while the rotation waits keeps it alive."""
    error = waits(s3)
    s3.hms.add_room("own", "t1", OWN)
    s3.wait_for(error.until)
    with pytest.raises(CheckFailedError, match="own"):
        s3.run()
    assert s3.cloud.keys[Role.WRITER, "blue"].active
    s3.until_done(rooms=True)
    s3.assert_whole("green")
    assert s3.hms.key_of("own") == "AKIAWRITER3"


def test_rooms_are_given_the_new_key(s3: World) -> None:
    """With --rooms they are, and nothing else of them changes; a room elsewhere is left alone."""
    s3.hms.add_room("own", "t1", OWN, webhook={"url": "https://a.example"})
    other = copy.deepcopy(OWN)
    other["upload_info"] |= {"location": "theirs", "credentials": {"key": "AKIATHEIRS", "secret": "secret-of-theirs"}}
    s3.hms.add_room("theirs", "elsewhere", other, enabled=False)
    before = {id_: dict(room) for id_, room in s3.hms.rooms.items()}
    s3.until_done(rooms=True)
    s3.assert_whole("green")
    assert s3.hms.key_of("own") == "AKIAWRITER3"
    assert s3.hms.rooms["theirs"] == before["theirs"]
    own = s3.hms.rooms["own"]
    assert own["recording_info"] == {name: before["own"]["recording_info"][name] for name in own["recording_info"]}
    assert {name: value for name, value in own.items() if name not in ("_credentials", "updated_at")} == {
        name: value for name, value in before["own"].items() if name not in ("_credentials", "updated_at")
    }


# Refusals


def test_inactive_key_is_no_new_one(s3: World) -> None:
    """A slot with a key of before is refused: a rotation is for a new key."""
    write(s3, writerKeys={"blue": "active", "green": "inactive"})
    s3.up()
    with pytest.raises(UsageError, match="slot green holds an inactive key"):
        s3.run()


def test_file_and_stack_must_agree(s3: World) -> None:
    """Somebody's change that is not deployed is not deployed by the way."""
    write(s3, writerKeys=BOTH)
    with pytest.raises(ConfigurationError, match="and deployed is"):
        s3.run()
    s3.up()
    s3.until_done()
    assert "slot green is active already" in s3.told[0]
    s3.assert_whole("green")


def test_external_key_is_its_owners(s3: World) -> None:
    """A key that somebody else looks after cannot be rotated from here."""
    write(s3, writerExternal={"principal": "p", "accessKeyId": {"secure": "x"}})
    with pytest.raises(ConfigurationError, match="that key is somebody else's"):
        s3.run()


@pytest.mark.parametrize("keys", ["blue", {"blue": "asleep"}, ["blue"]])
def test_slots_that_are_none_are_named(s3: World, keys: Any) -> None:
    """A file that makes no sense is a message, never a traceback."""
    write(s3, writerKeys=keys)
    with pytest.raises(ConfigurationError, match="must be slots"):
        s3.run()


def test_new_key_that_does_not_work_is_not_handed_over(s3: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification fails: 100ms keeps the old key, and the way back removes the new one."""

    def never(*_: object) -> None:
        raise CheckFailedError("writer-put: denied")

    monkeypatch.setattr(s3, "prove", never)
    for _ in range(2):
        with pytest.raises(CheckFailedError, match="writer-put"):
            s3.run()
    assert s3.hms.key_of("r1") == "AKIAWRITER1"
    monkeypatch.undo()
    s3.until_done(back=True)
    s3.assert_whole("blue")


def test_damaged_position_is_named(s3: World) -> None:
    """What another version remembers is not guessed at."""
    rotation = s3.open()
    rotation.save(rotation.first(None, rooms=False))
    memory = rotation._place.memory
    known = memory.read("rotation/writer")
    assert known is not None
    memory.write("rotation/writer", {**known.value, "of-the-future": 1}, known.version)
    with pytest.raises(StoreError, match="of another version"):
        s3.run()
