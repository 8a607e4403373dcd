"""Registration when everything goes wrong: it ends in the right state, or says so; never in a mixed one."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

import httpx
import pytest

from recordings.errors import ConflictError, HmsRefusedError, HmsUncertainError, RecordingsError
from recordings.registration import KEY_REFUSALS, plan_register, plan_unregister
from recordings.upload_settings import Upload, differences
from tests.unit.hms_fake import (
    FakeHms,
    KilledError,
    MemoryStore,
    foreign_settings,
    http_date,
    place,
    seeded,
    stack_outputs,
    unset_settings,
)

POST = "POST /templates/t1/settings"


@pytest.fixture
def rng() -> random.Random:
    return seeded()


def fresh() -> tuple[FakeHms, MemoryStore]:
    return FakeHms(settings={"t1": foreign_settings(), "t2": unset_settings()}), MemoryStore()


def register(hms: FakeHms, store: MemoryStore, *, key: str = "AKIAOURS", seed: int = 0) -> None:
    plan_register(place(hms, store, stack_outputs(store.bucket, key), seed), ("t1", "t2")).plan.apply()


def unregister(hms: FakeHms, store: MemoryStore) -> None:
    plan_unregister(place(hms, store), ("t1", "t2")).plan.apply()


def owner(hms: FakeHms, id_: str, *buckets: str) -> str:
    """The bucket whose stack the template is registered with, whole; empty for none."""
    wanted = {bucket: Upload.from_outputs(stack_outputs(bucket)) for bucket in buckets}
    return next((bucket for bucket, upload in wanted.items() if not differences(hms.settings[id_], upload)), "")


def assert_registered(hms: FakeHms, store: MemoryStore) -> None:
    """Both templates are ours, and both can be put back as they were at first."""
    assert owner(hms, "t1", store.bucket) == owner(hms, "t2", store.bucket) == store.bucket
    unregister(hms, store)
    assert hms.settings == {"t1": foreign_settings(), "t2": unset_settings()}
    assert store.objects == {}


class Failing:
    """A hook that fails some calls: before their effect by an answer or an error, after it by losing the answer."""

    def __init__(self, rng: random.Random, share: float, make: Callable[[], httpx.Response | Exception]) -> None:
        self.rng, self.share, self.make = rng, share, make
        self.failed = 0

    def __call__(self, what: str) -> httpx.Response | None:
        if self.rng.random() >= self.share:
            return None
        self.failed += 1
        failure = self.make()
        if isinstance(failure, Exception):
            raise failure
        return failure


def failure(rng: random.Random, kind: str) -> httpx.Response | Exception:
    if kind == "429":
        return httpx.Response(
            429, headers=rng.choice([{}, {"retry-after": "2"}, {"retry-after": http_date(1.79e9 + 9)}])
        )
    if kind == "5xx":
        return httpx.Response(rng.choice([500, 502, 503, 504]))
    return rng.choice([httpx.ReadTimeout, httpx.ConnectError, httpx.ReadError, httpx.RemoteProtocolError])("broken")


@pytest.mark.parametrize("kind", ["429", "5xx", "broken"])
def test_register_outlives_passing_failures(kind: str, rng: random.Random) -> None:
    """With a third of all calls failing before their effect, the end is the right state, every time."""
    failed = 0
    for seed in range(60):
        hms, store = fresh()
        hms.before = failing = Failing(rng, 0.3, lambda: failure(rng, kind))
        register(hms, store, seed=seed)
        failed += failing.failed
        hms.before = lambda _: None
        assert_registered(hms, store)
    assert failed > 100


@pytest.mark.parametrize("kind", ["429", "5xx", "broken"])
def test_register_when_answers_are_lost_after_the_effect(kind: str, rng: random.Random) -> None:
    """A POST that took effect although its answer was lost is recognised by reading, and not sent again."""
    for seed in range(60):
        hms, store = fresh()
        hms.after = lambda what: _raise_or(failure(rng, kind)) if what.startswith("POST") else None
        register(hms, store, seed=seed)
        assert hms.posts() == 2
        hms.after = lambda _: None
        assert_registered(hms, store)


def _raise_or(answer: httpx.Response | Exception) -> httpx.Response:
    if isinstance(answer, Exception):
        raise answer
    return answer


def test_register_lost_answers_of_every_sort(rng: random.Random) -> None:
    """Calls fail before or after their effect at random: no POST is repeated that took effect, and the end is right."""
    for seed in range(60):
        hms, store = fresh()
        hms.before = Failing(rng, 0.2, lambda: failure(rng, "5xx"))
        hms.after = Failing(rng, 0.2, lambda: httpx.ReadTimeout("lost"))
        register(hms, store, seed=seed)
        hms.before = hms.after = lambda _: None
        assert_registered(hms, store)


def test_register_reads_before_it_repeats_a_post() -> None:
    """Between two POSTs of one template lies a read, always."""
    hms, store = fresh()
    lost = [1, 2, 3]

    def lose(what: str) -> httpx.Response | None:
        return httpx.Response(503) if what == POST and lost and lost.pop() else None

    hms.before = lose
    register(hms, store)
    places = [number for number, entry in enumerate(hms.log) if entry == POST]
    assert len(places) == 4
    for one, next_ in pairwise(places):
        assert "GET /templates/t1/settings" in hms.log[one:next_]


def test_register_gives_up_in_the_end() -> None:
    """If no POST ever gets through, the error is clear, the template as it was, and the budget kept."""
    hms, store = fresh()
    hms.before = lambda what: httpx.Response(503) if what == POST else None
    with pytest.raises(HmsUncertainError, match="503"):
        register(hms, store)
    assert 8 <= hms.posts() <= 12
    assert sum(hms.clock.slept) <= 900
    assert hms.settings["t1"] == foreign_settings()


def test_register_last_answer_is_lost_after_the_effect() -> None:
    """With no try left, the template is still looked at: what took effect is no failure."""
    hms, store = fresh()
    hms.after = lambda what: httpx.Response(503, headers={"retry-after": "9999"}) if what.startswith("POST") else None
    register(hms, store)
    hms.after = lambda _: None
    assert_registered(hms, store)


def test_register_somebody_else_writes_while_our_answer_is_lost() -> None:
    """A lost answer followed by somebody else's change is a conflict; theirs is not overwritten."""
    hms, store = fresh()
    theirs = foreign_settings(region="in")

    def lose(what: str) -> httpx.Response | None:
        if what == POST:
            hms.settings["t1"] = copy.deepcopy(theirs)
            return httpx.Response(504)
        return None

    hms.before = lose
    with pytest.raises(ConflictError):
        register(hms, store)
    assert hms.settings["t1"] == theirs
    assert hms.posts() == 1


# 100ms refuses the new key


@pytest.mark.parametrize("refusals", range(1, KEY_REFUSALS))
def test_register_waits_for_a_new_key(refusals: int) -> None:
    """An upload configuration that is refused at first, as a new key is for some seconds, is tried again."""
    hms, store = fresh()
    left = [hms.refusal(400, "Invalid upload configuration")] * refusals
    hms.before = lambda what: left.pop() if what == POST and left else None
    register(hms, store)
    assert_registered(hms, store)


def test_register_with_a_key_that_is_refused_for_good() -> None:
    """A refusal that stays ends after a minute or so with 100ms' own words; the template is as it was."""
    hms, store = fresh()
    hms.before = lambda what: hms.refusal(400, "Invalid upload configuration") if what == POST else None
    with pytest.raises(HmsRefusedError, match="Invalid upload configuration"):
        register(hms, store)
    assert 20 <= sum(hms.clock.slept) <= 130
    assert hms.settings["t1"] == foreign_settings()
    hms.before = lambda _: None
    register(hms, store)
    assert_registered(hms, store)


def test_register_refused_for_another_reason() -> None:
    """Other refusals are not tried again."""
    hms, store = fresh()
    hms.before = lambda what: hms.refusal(400, "Error: region not supported") if what == POST else None
    with pytest.raises(HmsRefusedError, match="region not supported"):
        register(hms, store)
    assert hms.posts() == 1


# SIGKILL


class Fuse:
    """Ends the run at its n-th passage: before or after any call to 100ms or to the bucket."""

    def __init__(self, passages: int) -> None:
        self.left = passages

    def __call__(self, _: str) -> None:
        if self.left == 0:
            raise KilledError
        self.left -= 1


def survives(job: Callable[[FakeHms, MemoryStore], None], hms: FakeHms, store: MemoryStore, passages: int) -> bool:
    """Run `job`, killed after so many passages; True if it came to its end before."""
    fuse = Fuse(passages)
    hms.before = hms.after = store.before = store.after = fuse
    try:
        job(hms, store)
    except KilledError:
        return False
    finally:
        hms.before = hms.after = store.before = store.after = lambda _: None
    return True


def test_register_killed_at_every_step() -> None:
    """Killed before or after any call, the next run completes it, and the first settings can still be put back."""
    for passages in range(500):
        hms, store = fresh()
        finished = survives(register, hms, store, passages)
        if not finished:
            register(hms, store)
        assert_registered(hms, store)
        if finished:
            break
    assert 20 < passages < 500


def test_register_killed_twice_at_every_step(rng: random.Random) -> None:
    """Killed again in the run that was to complete it, and even with a rotated key: the third run completes it."""
    for _ in range(60):
        hms, store = fresh()
        survives(register, hms, store, rng.randrange(40))
        survives(lambda h, s: register(h, s, key="AKIANEW"), hms, store, rng.randrange(40))
        register(hms, store)
        assert_registered(hms, store)


def test_unregister_killed_at_every_step() -> None:
    """Killed while putting back, the next run ends with every template as it was and nothing remembered."""
    for passages in range(500):
        hms, store = fresh()
        register(hms, store)
        finished = survives(unregister, hms, store, passages)
        unregister(hms, store)
        assert hms.settings == {"t1": foreign_settings(), "t2": unset_settings()}
        assert store.objects == {}
        if finished:
            break
    assert 20 < passages < 500


# Two stacks


class Interleaved:
    """Lets another run do its work in the middle of ours, at the n-th passage."""

    def __init__(self, passages: int, other: Callable[[], None]) -> None:
        self.left, self.other = passages, other

    def __call__(self, what: str) -> None:
        self.left -= 1
        if self.left == -1:
            self.other()


def attempt(hms: FakeHms, store: MemoryStore, seed: int = 0) -> RecordingsError | None:
    """Register t1 with the stack of this bucket; gives the error instead of raising it."""
    try:
        plan_register(place(hms, store, seed=seed), ("t1",)).plan.apply()
    except RecordingsError as error:
        return error
    return None


@dataclass
class Race:
    """Two stacks, each with its own bucket and connection, before one 100ms."""

    ours: FakeHms = field(default_factory=lambda: FakeHms(settings={"t1": foreign_settings()}))
    our_bucket: MemoryStore = field(default_factory=MemoryStore)
    their_bucket: MemoryStore = field(default_factory=lambda: MemoryStore("their-own-bucket"))
    seed: int = 0
    came_in: bool = False

    def __post_init__(self) -> None:
        self.theirs = FakeHms(clock=self.ours.clock, settings=self.ours.settings)

    def run(self, passages: int) -> RecordingsError | None:
        """Our registration; after so many passages of it the other stack does all of its own. Gives our error."""

        def come_in() -> None:
            self.came_in = True
            assert attempt(self.theirs, self.their_bucket, self.seed) is None

        step = Interleaved(passages, come_in)
        self.ours.before = self.ours.after = self.our_bucket.before = self.our_bucket.after = step
        error = attempt(self.ours, self.our_bucket, self.seed)
        self.ours.before = self.ours.after = self.our_bucket.before = self.our_bucket.after = lambda _: None
        return error

    def assert_one_owner(self, error: RecordingsError | None) -> None:
        """The template is one stack's whole, and whoever lost was told or had finished before."""
        now = owner(self.ours, "t1", self.our_bucket.bucket, self.their_bucket.bucket)
        assert now, "neither stack is registered whole"
        assert error is None or isinstance(error, ConflictError)
        assert error is None or now == self.their_bucket.bucket
        assert self.ours.settings["t1"]["unknownTop"] == [1, 2, 3]

    def assert_way_back(self) -> None:
        """When both stacks unregister, in whatever order, the first settings are there again."""
        for store in (self.our_bucket, self.their_bucket) * 2:
            plan_unregister(place(self.ours, store), ("t1",)).plan.apply()
        assert self.ours.settings["t1"] == foreign_settings()


def test_two_stacks_register_one_template() -> None:
    """Whenever the other stack comes in between, one stack owns the template whole, and the way back is open."""
    told = 0
    for passages in range(200):
        race = Race()
        error = race.run(passages)
        told += error is not None
        if not race.came_in:
            break
        race.assert_one_owner(error)
        race.assert_way_back()
    assert told > 0
    assert 10 < passages < 200


def test_two_stacks_race_with_failures(rng: random.Random) -> None:
    """A hundred races in which the other stack's answers get lost as well: still one owner and a way back."""
    for seed in range(100):
        race = Race(seed=seed)
        race.theirs.after = Failing(rng, 0.2, lambda: httpx.ReadTimeout("lost"))
        race.assert_one_owner(race.run(rng.randrange(20)))
        race.assert_way_back()


def test_one_stack_registered_by_two_runs() -> None:
    """Two runs of one stack at once: both want the same, and the memory of the first settings survives."""
    for passages in range(40):
        race = Race(their_bucket=(store := MemoryStore()), our_bucket=store)
        error = race.run(passages)
        assert error is None or isinstance(error, ConflictError)
        assert attempt(race.ours, store) is None
        race.assert_way_back()
