"""Rotations that are killed, turned back, run twice at once, or meet a cloud that fails: always a key that works.

A run is killed after every single effect there is: each write of the memory, of the stack's file, of a template or
room, each change of a key, the outputs of `up`, a proof. Between two effects nothing lies that a next run could see.
With FAULTS=all every test here goes through every effect, else some take the n-th alone.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from recordings.errors import ConflictError, NotDueError, RecordingsError, RemoteError
from recordings.rotation import Role
from tests.unit.rotation_world import Fuse, World, no_fuse

ALL = os.environ.get("FAULTS") == "all"
Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    numbers = itertools.count()

    def world(provider: str = "s3") -> World:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return World(folder, provider)

    return world


def every_effect(make: Make, stride: int = 1, provider: str = "s3", **wish: Any) -> Iterator[tuple[str, World]]:
    """A world for each effect of a rotation (or each `stride`-th), killed there: the effect, and what is left."""
    for effects in itertools.count(0, 1 if ALL else stride):
        world = make(provider)
        effect = world.killed(effects, **wish)
        if not effect:
            assert effects > 12
            return
        yield effect, world


@pytest.mark.parametrize(("provider", "stride"), [("s3", 1), ("gcs", 12)])
def test_killed_after_every_effect(make: Make, provider: str, stride: int) -> None:
    """The next run goes on from there to a working key; nothing that 100ms recorded is harmed."""
    seen = set()
    for effect, world in every_effect(make, stride, provider):
        seen.add(effect.split()[1])
        if world.under_way():
            world.go_on()
        world.assert_whole("green" if world.ups > 1 else "blue")
        assert world.ups in (5, 6)
    assert seen >= ({"put", "file", "set", "outputs", "prove", "POST", "delete"} if stride == 1 else {"put"})


def test_reader_killed_after_every_effect(make: Make) -> None:
    """The same for the key that signs."""
    for _, world in every_effect(make, 9, role=Role.READER):
        if world.under_way(Role.READER):
            world.go_on(role=Role.READER)
        world.assert_whole("green", Role.READER)


def test_rooms_killed_after_every_effect(make: Make) -> None:
    """The same with rooms that have storage of their own."""

    def prepared(provider: str = "s3") -> World:
        world = make(provider)
        for id_ in ("own", "own2"):
            info = {"enabled": True, "upload_info": world.registered("AKIAWRITER1")["recording"]["upload"]}
            world.hms.add_room(id_, "t1", info)
        return world

    for effect, world in every_effect(prepared, 18, rooms=True):
        if world.under_way():
            world.go_on(rooms=True)
        world.assert_whole("green")
        assert {world.hms.key_of(id_) for id_ in ("own", "own2")} == {"AKIAWRITER3"}, effect


def test_turned_back_from_every_position(make: Make) -> None:
    """--rollback, from wherever a run was killed, ends with one working key in the first slot, and harms nothing."""
    for _, world in every_effect(make, 11):
        if world.under_way():
            world.until_done(back=True)
            world.assert_whole("blue")
        else:
            world.assert_whole("green")


def test_killed_on_the_way_back(make: Make) -> None:
    """A rollback that is killed is gone on with, by any run, and not turned again."""
    for effects in range(0, 60, 1 if ALL else 13):
        world = make()
        with pytest.raises(NotDueError):
            world.run()
        if not world.killed(effects, back=True):
            break
        if world.under_way():
            world.until_done(back=True) if effects % 2 else world.go_on()
        world.assert_whole("blue")
    assert effects > 12


def test_way_back_before_100ms_had_the_key_waits_for_nothing(make: Make) -> None:
    """Nothing was signed with the new key, so that it can go at once."""
    world = make()
    world.fuse = Fuse(8)
    with pytest.raises(BaseException, match="after"):
        world.run()
    world.fuse = no_fuse
    assert world.run(back=True)["finished"]
    world.assert_whole("blue")


def test_dry_run_of_the_way_back(make: Make) -> None:
    """It prints the steps that --rollback runs, up to the wait, and turns nothing."""
    world = make()
    with pytest.raises(NotDueError):
        world.run()
    told = world.run(back=True, dry_run=True)["steps"]
    assert told[0] == "turn back: the writer's key goes from slot green to slot blue"
    with pytest.raises(NotDueError) as waiting:
        world.run(back=True)
    assert [note.removeprefix("done: ") for note in waiting.value.__notes__] == told
    world.go_on()
    world.assert_whole("blue")


def test_nothing_to_turn_back(make: Make) -> None:
    """Without a rotation under way --rollback does nothing, as often as one likes."""
    world = make()
    before = world.store.writes
    assert world.run(back=True)["steps"] == []
    assert (world.store.writes, world.ups) == (before, 1)


# Two at once


def test_two_runs_at_once(make: Make) -> None:
    """Another run in the middle of ours, after each effect: one goes on, the other is told, and nothing is harmed."""
    told = 0
    for effects in range(0, 60, 1 if ALL else 6):
        world = make()
        came = Second(world, effects)
        world.fuse = came
        try:
            world.run()
        except NotDueError:
            pass
        except ConflictError:
            told += 1
        world.fuse = no_fuse
        if not came.came:
            break
        world.go_on()
        world.assert_whole("green")
    assert told >= effects / (1 if ALL else 6) - 1 > 0


class Second:
    """Lets another run do all that is due, once, after so many effects of the first."""

    def __init__(self, world: World, effects: int) -> None:
        self.world, self.left, self.came = world, effects, False

    def __call__(self, what: str) -> None:
        if not what.startswith("after") or self.came:
            return
        self.left -= 1
        if self.left < 0:
            self.came = True
            with contextlib.suppress(RecordingsError):  # it is the second that is told
                self.world.run(advance=self.world.under_way())


# A cloud that fails


@pytest.mark.parametrize("failing", range(4))
def test_up_that_fails_leaves_a_working_key(make: Make, failing: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`up` fails before or after a change: the rotation stays where it is, and the next run goes on."""
    world = make()
    works, tried = world.up, []

    def up() -> None:
        tried.append(1)
        if len(tried) == failing + 1:
            if failing % 2:
                works()
            raise RemoteError("the cloud is away")
        works()

    monkeypatch.setattr(world, "up", up)
    with pytest.raises(RemoteError, match="the cloud is away"):
        world.until_done()
    world.go_on()
    world.assert_whole("green")


def test_100ms_that_fails_in_the_middle(make: Make) -> None:
    """100ms refuses the first template, or the second, for good: nothing is half handed over; later it goes on."""
    for refused in ("t1", "t2"):
        world = make()
        hms = world.hms

        def refuse(what: str, id_: str = refused, world: World = world) -> httpx.Response | None:
            world.hms_before(what)
            return world.hms.refusal(403, "no") if what == f"POST /templates/{id_}/settings" else None

        hms.before = refuse
        with pytest.raises(RecordingsError, match="403"):
            world.run()
        assert world.cloud.keys[Role.WRITER, "blue"].active
        hms.before = world.hms_before
        world.go_on()
        world.assert_whole("green")


def test_template_that_is_listed_and_not_shown_keeps_its_key(make: Make) -> None:
    """100ms lists a template, and answers 404 for its settings, at any time: it is not taken to be deleted."""
    world = make()
    hms, hidden = world.hms, [True]

    def hide(what: str) -> httpx.Response | None:
        world.hms_before(what)
        return hms.refusal(404, "no") if hidden[0] and what == "GET /templates/t2/settings" else None

    hms.before = hide
    with pytest.raises(RecordingsError, match="404"):
        world.until_done()
    assert world.cloud.keys[Role.WRITER, "blue"].active
    hidden[0] = False
    world.go_on()
    world.assert_whole("green")
