"""Registration when everything goes wrong: it ends in the right state, or says so; never in a mixed one.

Here each place is visited once; `tests.faults` adds chance.
"""

from __future__ import annotations

import copy
from itertools import pairwise

import httpx
import pytest

from recordings.errors import ConflictError, HmsRefusedError, HmsUncertainError
from recordings.registration import KEY_REFUSALS
from tests.unit.hms_fake import MemoryStore, foreign_settings, unset_settings
from tests.unit.registration_kit import Race, assert_registered, attempt, fresh, register, survives, unregister

POST = "POST /templates/t1/settings"


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


def test_one_stack_registered_by_two_runs() -> None:
    """Two runs of one stack at once: both want the same, and the memory of the first settings survives."""
    for passages in range(40):
        race = Race(their_bucket=(store := MemoryStore()), our_bucket=store)
        error = race.run(passages)
        assert error is None or isinstance(error, ConflictError)
        assert attempt(race.ours, store) is None
        race.assert_way_back()
