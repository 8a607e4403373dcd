"""A registration, what may befall it, and what must hold at its end: shared by unit tests and fault trials."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from recordings.errors import ConflictError, RecordingsError
from recordings.registration import plan_register, plan_unregister
from recordings.upload_settings import Upload, differences
from tests.unit.hms_fake import (
    FakeHms,
    KilledError,
    MemoryStore,
    foreign_settings,
    http_date,
    place,
    stack_outputs,
    unset_settings,
)


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


def raise_or(answer: httpx.Response | Exception) -> httpx.Response:
    """The answer, unless it is an error."""
    if isinstance(answer, Exception):
        raise answer
    return answer


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
