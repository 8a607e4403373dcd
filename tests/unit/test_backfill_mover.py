"""A recording is in the bucket once and whole, or not at all, whatever happens on the way."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recordings.backfill.mover import Outcome, Result
from recordings.backfill.moves import Move
from recordings.backfill.record import BusyError
from recordings.errors import AccessDeniedError, ConflictError, HmsError, ObjectNotFoundError
from tests.unit.backfill_world import PART, SMALL, Killed, World

LENGTHS = (0, 1, SMALL, SMALL + 1, PART, PART + 1, 4 * PART, 5 * PART - 3)
BODY = random.Random(3).randbytes(5 * PART - 3)


def at(number: int, fault: str) -> Callable[[str, int], str | None]:
    return lambda _, seen: fault if seen == number else None


def once(name: str, fault: str, skip: int = 0) -> Callable[[str, int], str | None]:
    """The fault, at the first request of that name after some."""
    left = [skip]

    def find(seen: str, _: int) -> str | None:
        if seen.startswith(name):
            left[0] -= 1
            return fault if left[0] == -1 else None
        return None

    return find


def results(outcomes: list[Outcome]) -> list[Result]:
    return [outcome.result for outcome in outcomes]


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("said", ["the truth", "nothing", "too little", "too much"])
def test_a_recording_of_any_length_is_moved_whole(length: int, said: str) -> None:
    """In one request or in parts, whatever 100ms says of its size."""
    world, body = World(), random.Random(length).randbytes(length)
    size = {"the truth": length, "nothing": None, "too little": 1, "too much": 10 * PART}[said]
    outcome = world.run([world.add("a", body, size=size)])[0]
    assert (outcome.result, outcome.size) == (Result.MOVED, length)
    assert world.objects == {"recordings/a.mp4": (body, "a")}
    assert world.uploads == {}
    assert world.memory_store.objects == {}


def killed_everywhere(tells_checksums: bool) -> list[World]:
    """A run ended before its first, second, … request; then another, an hour later."""
    worlds: list[World] = []
    for number in range(1, 1000):
        world = World(tells_checksums=tells_checksums)
        moves = [world.add("a", BODY), world.add("b", BODY[:SMALL])]

        def dead(_: str, seen: int, number: int = number) -> str | None:
            if seen >= number:
                raise Killed
            return None

        world.fault = dead
        try:
            world.run(moves)
        except Killed:
            pass
        else:
            return worlds
        world.fault, world.now = (lambda _name, _number: None), 3600.0
        is_there = "recordings/a.mp4" in world.objects
        already = 5 if is_there else sum(len(parts) for parts in world.uploads.values())
        world.seen.clear()
        assert results(world.run(moves)).count(Result.FAILED) == 0
        assert world.objects == {"recordings/a.mp4": (BODY, "a"), "recordings/b.mp4": (BODY[:SMALL], "b")}
        assert world.memory_store.objects == {}
        if world.count("parts"):  # of two that were in flight it may not know whether they came
            assert 0 <= world.count("put part") - (5 - already) <= 2
        worlds.append(world)
    raise AssertionError("a run does not end")


@pytest.mark.parametrize("tells_checksums", [True, False], ids=["S3", "Google"])
def test_killed_at_any_request_the_next_run_ends_it(tells_checksums: bool) -> None:
    """SIGKILL at each request: every object once and whole afterwards; parts that are done are not sent again."""
    worlds = killed_everywhere(tells_checksums)
    assert len(worlds) > 20
    assert any(world.count("parts") for world in worlds)


def test_killed_between_upload_and_record_leaves_nothing_visible() -> None:
    """An upload that nobody remembers is no object; the bucket's lifecycle takes it away."""
    world = World()

    def dead(name: str, _: int) -> str | None:
        if name == "memory put":
            raise Killed
        return None

    world.fault = dead
    with pytest.raises(Killed):
        world.run([world.add("a", BODY)])
    assert world.objects == {}


@settings(max_examples=150)
@given(st.data())
def test_any_faults_are_overcome_or_told(data: st.DataObject) -> None:
    """Each request may fail in any way: it is tried again, or the recording failed and is moved by the next run."""
    world = World(tells_checksums=data.draw(st.booleans()))
    faults = data.draw(
        st.dictionaries(
            st.integers(1, 40), st.sampled_from(["reset", "lost", "cut", "damage", "503", "refused"]), max_size=8
        )
    )
    moves = [world.add("a", BODY), world.add("b", BODY[: SMALL - 1])]
    world.fault = lambda _, seen: faults.get(seen)
    for outcome in world.run(moves):
        assert (outcome.result is Result.FAILED) == (outcome.error is not None)
    for body, _ in world.objects.values():
        assert body in (BODY, BODY[: SMALL - 1])
    world.fault, world.now = (lambda _name, _number: None), 3600.0
    assert Result.FAILED not in results(world.run(moves))
    assert world.objects == {"recordings/a.mp4": (BODY, "a"), "recordings/b.mp4": (BODY[: SMALL - 1], "b")}


@pytest.mark.parametrize("fault", ["reset", "cut", "503"])
def test_a_cut_connection_costs_one_range(fault: str) -> None:
    """One range is read again, and no other."""
    world = World()
    world.fault = once("get", fault, skip=3)
    assert results(world.run([world.add("a", BODY)])) == [Result.MOVED]
    assert world.count("get") == 1 + 5 + 1
    assert world.count("get pinned") == 6
    assert world.taken == len(BODY)


def test_bytes_damaged_on_the_way_are_sent_again() -> None:
    """The store says the checksum of what came: another one than ours is no part."""
    world = World()
    world.fault = once("put part", "damage", skip=1)
    assert results(world.run([world.add("a", BODY)])) == [Result.MOVED]
    assert world.count("put part") == 6
    assert world.taken == len(BODY)


def test_a_damaged_part_of_a_killed_run_is_not_taken() -> None:
    """What the store says of a part that came damaged fits those bytes; it must fit those of 100ms."""
    world = World()
    move = world.add("a", BODY)
    damaged = once("put part", "damage", skip=2)

    def end(name: str, seen: int) -> str | None:
        if world.count("put part") > 3:
            raise Killed
        return damaged(name, seen)

    world.fault = end
    with pytest.raises(Killed):
        world.run([move], in_flight=1)
    assert b"?" in {body[:1] for parts in world.uploads.values() for body in parts.values()}
    world.fault, world.now = (lambda _name, _number: None), 3600.0
    assert results(world.run([move])) == [Result.MOVED]
    assert world.objects == {"recordings/a.mp4": (BODY, "a")}
    assert world.count("begin") == 1


def test_damage_that_only_the_whole_shows_begins_anew() -> None:
    """A store that says nothing of parts refuses the whole: no object, another upload."""
    world = World(tells_checksums=False)
    world.fault = once("put part", "damage", skip=1)
    assert results(world.run([world.add("a", BODY)])) == [Result.MOVED]
    assert (world.count("begin"), world.count("abort")) == (2, 1)
    assert world.objects["recordings/a.mp4"][0] == BODY


@pytest.mark.parametrize("other", [BODY[::-1], BODY[::-1] + b"!"], ids=["as long", "longer"])
@pytest.mark.parametrize("honours", [True, False])
def test_a_recording_that_changes_meanwhile_is_begun_anew(other: bytes, honours: bool) -> None:
    """No object is ever put together from two versions, also where 100ms' storage heeds no condition."""
    world = World(honours_conditions=honours)
    move = world.add("a", BODY)

    def change(name: str, _: int) -> str | None:
        if world.count("put part") == 2 and name.startswith("get"):
            world.sources["a"] = (other, '"a-2"')
        return None

    world.fault = change
    assert results(world.run([move], in_flight=1)) == [Result.MOVED]
    assert world.objects == {"recordings/a.mp4": (other, "a")}
    assert world.uploads == {}


def test_another_object_is_never_overwritten() -> None:
    """It is told, with its size, and left; what was uploaded for nothing is thrown away."""
    world = World()
    moves = [world.add("a", BODY), world.add("b", BODY[:SMALL])]
    world.objects = {"recordings/a.mp4": (BODY[:-1], ""), "recordings/b.mp4": (BODY[1 : SMALL + 1], "")}
    there = dict(world.objects)
    outcomes = world.run(moves)
    assert results(outcomes) == [Result.FAILED] * 2
    assert all(isinstance(outcome.error, ConflictError) for outcome in outcomes)
    assert world.objects == there
    assert world.uploads == {}


def test_an_object_that_comes_meanwhile_is_not_overwritten() -> None:
    """The condition is asked at completion, not only before."""
    world = World()
    move = world.add("a", BODY)

    def put_there(name: str, _: int) -> str | None:
        if name == "complete":
            world.objects["recordings/a.mp4"] = (b"another", "")
        return None

    world.fault = put_there
    assert isinstance(world.run([move])[0].error, ConflictError)
    assert world.objects["recordings/a.mp4"] == (b"another", "")
    assert world.uploads == {}


@pytest.mark.parametrize("mark", ["a", ""], ids=["ours", "somebody's"])
@pytest.mark.parametrize("length", [SMALL, len(BODY)])
def test_the_same_object_counts_as_done(length: int, mark: str) -> None:
    """By its mark, or by length and checksum of all its bytes."""
    world = World()
    move = world.add("a", BODY[:length])
    world.objects["recordings/a.mp4"] = (BODY[:length], mark)
    assert results(world.run([move])) == [Result.THERE]
    assert world.count("begin") == 0


@pytest.mark.parametrize("name", ["begin", "put single", "complete", "memory put"])
def test_a_lost_answer_does_no_harm(name: str) -> None:
    """Whether it was done or not: the object is there once, and whole."""
    world = World()
    moves = [world.add("a", BODY), world.add("b", BODY[:SMALL])]
    world.fault = once(name, "lost")
    world.run(moves)
    world.fault, world.now = (lambda _name, _number: None), 3600.0
    assert Result.FAILED not in results(world.run(moves))
    assert {key: body for key, (body, _) in world.objects.items()} == {
        "recordings/a.mp4": BODY,
        "recordings/b.mp4": BODY[:SMALL],
    }


def test_two_runs_do_not_copy_the_same_recording() -> None:
    """The second is told that another run has it, and until when."""
    world = World()
    move = world.add("a", BODY)

    def dead(name: str, _: int) -> str | None:
        if name == "complete":
            raise Killed
        return None

    world.fault = dead
    with pytest.raises(Killed):
        world.run([move])
    world.fault = lambda _name, _number: None
    world.now = 30.0
    outcome = world.run([move])[0]
    assert isinstance(outcome.error, BusyError)
    assert outcome.error.until.timestamp() == 60.0
    world.now = 61.0
    assert results(world.run([move])) == [Result.MOVED]


def test_a_run_that_gives_up_lets_the_next_go_on_at_once() -> None:
    """What failed is released, with the parts that are done."""
    world = World()
    move = world.add("a", BODY)
    world.fault = lambda name, _: "reset" if name == "put part" and world.count("put part") > 3 else None
    assert results(world.run([move], in_flight=1)) == [Result.FAILED]
    world.fault = lambda _name, _number: None
    world.seen.clear()
    assert results(world.run([move])) == [Result.MOVED]
    assert world.count("put part") == 2


def test_refusals_are_told_and_not_tried_again() -> None:
    """Denied, gone, pointing elsewhere: no other try changes that."""
    world = World()
    moves = [world.add(name, BODY[:SMALL]) for name in "abc"]
    del world.sources["b"]
    world.fault = lambda name, _: "403" if name == "put single" else None
    assert isinstance(world.run(moves[:1])[0].error, AccessDeniedError)
    assert isinstance(world.run(moves[1:2])[0].error, ObjectNotFoundError)
    world.fault = lambda name, _: "302" if name.startswith("get") else None
    assert isinstance(world.run(moves[2:])[0].error, HmsError)
    assert world.objects == {}


def test_a_url_that_runs_out_on_the_way_is_renewed() -> None:
    """Once it is refused, and before it ends."""
    world = World()
    world.fault = once("get", "403", skip=2)
    assert results(world.run([world.add("a", BODY)])) == [Result.MOVED]
    assert world.signed == 2
    short = World(lifetime=59.0)
    assert results(short.run([short.add("a", BODY)])) == [Result.MOVED]
    assert short.signed == short.count("get")


class Erased:
    """Books in which a recording is erased after so many questions."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.written: list[str] = []

    def is_erased(self, move: Move) -> bool:
        self.left -= 1
        return self.left < 0

    def moved(self, move: Move, size: int) -> None:
        self.written.append(move.asset.id)


@pytest.mark.parametrize("after", [0, 1, 2])
def test_an_erased_recording_is_not_brought_back(after: int) -> None:
    """Not begun if it was erased before, removed again if it was erased meanwhile; no row."""
    world, books = World(), Erased(after)
    outcome = world.run([world.add("a", BODY)], books=books)[0]
    assert outcome.result is (Result.MOVED if after == 2 else Result.ERASED)
    assert bool(world.objects) == bool(books.written) == (after == 2)
    assert (world.count("get") > 0) == (after > 0)


def test_what_ends_first_is_moved_first() -> None:
    """One at a time, in the order of their ends, whatever the order in which they were found."""
    world = World()
    moves = [world.add(name, BODY[:SMALL]) for name in "cab"]
    began: list[str] = []
    mover = world.mover(in_flight=1)
    mover._began = lambda move: began.append(move.asset.id)
    futures = [mover.submit(move) for move in moves]
    with mover:
        assert [future.result().result for future in futures] == [Result.MOVED] * 3
    assert began == ["a", "b", "c"]


def test_a_stop_leaves_the_rest_to_the_next_run() -> None:
    """Told to stop, it begins nothing more, ends soon, and forgets nothing that is done."""
    world = World()
    moves = [world.add("a", BODY), world.add("b", BODY)]
    with world.mover(in_flight=1) as mover:

        def stop(name: str, _: int) -> str | None:
            if name == "put part" and world.count("put part") == 2:
                mover.stop()
            return None

        world.fault = stop
        outcomes = [future.result() for future in [mover.submit(move) for move in moves]]
    assert results(outcomes) == [Result.FAILED] * 2
    world.fault = lambda _name, _number: None
    world.seen.clear()
    assert results(world.run(moves)) == [Result.MOVED] * 2
    assert world.count("put part") == 3 + 5
