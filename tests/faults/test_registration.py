"""Registration with a template: it ends in the right state, or says so, whatever 100ms, the network or a kill does."""

from __future__ import annotations

import random
from collections.abc import Callable

import httpx
import pytest

from recordings.registration import KEY_REFUSALS
from tests.faults.trials import Trials
from tests.unit.hms_fake import FakeHms, MemoryStore
from tests.unit.registration_kit import (
    Failing,
    Race,
    assert_registered,
    failure,
    fresh,
    raise_or,
    register,
    survives,
)

SKEWS = (-3600.0, -300.0, 300.0, 3600.0)


@pytest.mark.parametrize(("fault", "kind"), [("429", "429"), ("5xx", "5xx"), ("timeout or reset", "broken")])
def test_call_fails_before_its_effect(trials: Trials, fault: str, kind: str) -> None:
    """With a third of all calls failing, the end is the right state; with Retry-After and without."""
    failed = 0
    for rng in trials.of(fault, 100):
        hms, store = fresh()
        hms.before = failing = Failing(rng, 0.3, _maker(rng, kind))
        register(hms, store, seed=rng.randrange(10**6))
        failed += failing.failed
        hms.before = lambda _: None
        assert_registered(hms, store)
    assert failed > 0


def _maker(rng: random.Random, kind: str) -> Callable[[], httpx.Response | Exception]:
    return lambda: failure(rng, kind)


def test_answer_is_lost_after_a_post(trials: Trials) -> None:
    """A POST that took effect is recognised by reading and never sent again, whatever took its answer."""
    for rng in trials.of("answer lost after POST", 60):
        hms, store = fresh()
        kind = rng.choice(["429", "5xx", "broken"])
        hms.after = _losing(rng, kind)
        register(hms, store, seed=rng.randrange(10**6))
        assert hms.posts() == 2
        hms.after = lambda _: None
        assert_registered(hms, store)


def _losing(rng: random.Random, kind: str) -> Callable[[str], httpx.Response | None]:
    return lambda what: raise_or(failure(rng, kind)) if what.startswith("POST") else None


def test_run_is_killed(trials: Trials) -> None:
    """Killed twice at any step, the second time with a rotated key: the third run completes it, with a way back."""
    for rng in trials.of("SIGKILL in registration", 60):
        hms, store = fresh()
        survives(register, hms, store, rng.randrange(40))
        survives(_rotated, hms, store, rng.randrange(40))
        register(hms, store)
        assert_registered(hms, store)


def _rotated(hms: FakeHms, store: MemoryStore) -> None:
    register(hms, store, key="AKIANEW")


def test_two_stacks_register_one_template(trials: Trials) -> None:
    """One stack owns the template whole, whoever lost was told, and both can go back; answers get lost meanwhile."""
    for rng in trials.of("two stacks register one template", 100):
        race = Race(seed=rng.randrange(10**6))
        race.theirs.after = Failing(rng, 0.2, lambda: httpx.ReadTimeout("lost"))
        race.assert_one_owner(race.run(rng.randrange(20)))
        race.theirs.after = lambda _: None
        race.assert_way_back()


def test_machine_has_another_time(trials: Trials) -> None:
    """A clock that is off by five minutes or an hour hinders nothing: 100ms' own clock is taken."""
    for rng in trials.of("clock skew", 20):
        hms, store = fresh()
        hms.clock.skew = rng.choice(SKEWS)
        register(hms, store)
        assert_registered(hms, store)


def test_token_ends_on_the_way(trials: Trials) -> None:
    """Between any two calls a token may run out; it is renewed and nothing is done twice."""
    for rng in trials.of("token expires on the way", 30):
        hms, store = fresh()
        hms.before = _slow(hms, rng)
        register(hms, store)
        assert hms.posts() <= 4, "each of the two is refused once for its token at most, and sent again"
        hms.before = lambda _: None
        assert_registered(hms, store)


def _slow(hms: FakeHms, rng: random.Random) -> Callable[[str], None]:
    """Time passes while a request is under way, but not in two that follow each other, as a repeated one does."""
    quick = False

    def wait(_: str) -> None:
        nonlocal quick
        passed = 0 if quick else rng.choice([0, 1, 59, 240, 290, 300, 301, 3600, 90_000])
        hms.clock.time += passed
        quick = passed > 0

    return wait


def test_new_key_is_refused_at_first(trials: Trials) -> None:
    """100ms refuses a key that is too new, for either template: it is tried again until it is taken."""
    for rng in trials.of("100ms refuses the new key", 30):
        hms, store = fresh()
        left = {id_: rng.randrange(KEY_REFUSALS) for id_ in ("t1", "t2")}
        hms.before = _refusing(hms, left)
        register(hms, store)
        assert not any(left.values())
        hms.before = lambda _: None
        assert_registered(hms, store)


def _refusing(hms: FakeHms, left: dict[str, int]) -> Callable[[str], httpx.Response | None]:
    def refuse(what: str) -> httpx.Response | None:
        id_ = what.split("/")[2]
        if not what.startswith("POST") or not left[id_]:
            return None
        left[id_] -= 1
        return hms.refusal(400, "Invalid upload configuration")

    return refuse
