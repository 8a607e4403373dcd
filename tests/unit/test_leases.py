"""Leases of templates: no template twice, no stack two of them, whoever writes in between."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from recordings.errors import CheckFailedError, ConflictError, UsageError
from recordings.leases import ATTEMPTS, Leases
from recordings.memory import Memory
from tests.unit.hms_fake import APP_SECRET, MemoryStore

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
END = NOW + timedelta(days=3)
POOL = ("t1", "t2", "t3")


def leases(store: MemoryStore) -> Leases:
    """As another run opens them."""
    return Leases(Memory(store, SecretStr(APP_SECRET)))  # type: ignore[arg-type]  # the part of Store that is used


def take(store: MemoryStore, stack: str) -> str:
    return leases(store).take(POOL, stack, NOW, END).template


def test_two_at_once_get_two_templates() -> None:
    """Whoever writes between another's reading and writing wins; the other looks again and takes the next."""
    store = MemoryStore()
    taken: dict[str, str] = {}

    def meanwhile(what: str) -> None:
        if what.startswith("put") and "pr-2" not in taken:
            taken["pr-2"] = ""
            taken["pr-2"] = take(store, "pr-2")

    store.before = meanwhile
    taken["pr-1"] = take(store, "pr-1")
    assert taken == {"pr-2": "t1", "pr-1": "t2"}
    assert [(lease.template, lease.stack) for lease in leases(store).all()] == [("t1", "pr-2"), ("t2", "pr-1")]


def test_threads_never_share_a_template() -> None:
    """As many as there are templates, all at once, with the checks of a real store."""
    store, lock = MemoryStore(), threading.Lock()
    put = store.put

    def locked(*arguments: object, **conditions: object) -> object:
        with lock:
            return put(*arguments, **conditions)  # type: ignore[arg-type]

    store.put = locked  # type: ignore[method-assign,assignment]
    got: list[str] = []
    threads = [threading.Thread(target=lambda n=n: got.append(take(store, f"pr-{n}"))) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == list(POOL)


def test_stack_keeps_its_template_and_moves_its_end() -> None:
    """Taking again gives the same one, until later; `since` stays."""
    store = MemoryStore()
    first = leases(store).take(POOL, "pr-1", NOW, END)
    later = leases(store).take(POOL, "pr-1", NOW + timedelta(days=1), END + timedelta(days=1))
    assert (later.template, later.since, later.expires) == (first.template, NOW, END + timedelta(days=1))
    assert leases(store).of("pr-1") == later


def test_lease_keeps_how_the_configuration_is_encrypted() -> None:
    """Until the stack goes, through every renewal; the next stack with the template begins with nothing."""
    store = MemoryStore()
    take(store, "pr-1")
    leases(store).note("pr-1", {"encryptedkey": "k"})
    leases(store).note("pr-2", {"encryptedkey": "other"})
    assert leases(store).take(POOL, "pr-1", NOW, END).encryption == {"encryptedkey": "k"}
    leases(store).release("pr-1")
    assert leases(store).take(POOL, "pr-2", NOW, END).encryption == {}


def test_full_pool_names_who_has_it() -> None:
    """Nothing is written, and the message says whom to ask."""
    store = MemoryStore()
    for number in range(3):
        take(store, f"pr-{number}")
    writes = store.writes
    with pytest.raises(CheckFailedError, match="t2 by pr-1"):
        take(store, "pr-9")
    assert store.writes == writes
    with pytest.raises(UsageError, match="pool"):
        leases(store).take((), "pr-9", NOW, END)


def test_gives_up_where_others_always_win() -> None:
    """A bounded number of tries, then the conflict is told."""
    store, others = MemoryStore(), iter(range(1000))

    def meanwhile(what: str) -> None:
        if what.startswith("put"):
            body = leases(store)._memory._encrypt(".recordings/leases", {})
            store.objects[".recordings/leases"] = (body, f"other-{next(others)}")

    store.before = meanwhile
    with pytest.raises(ConflictError):
        take(store, "pr-1")
    assert next(others) == ATTEMPTS


@given(st.lists(st.tuples(st.booleans(), st.sampled_from(["a", "b", "c", "d"])), max_size=30))
def test_leases_are_a_partial_one_to_one_map(calls: list[tuple[bool, str]]) -> None:
    """Over any history: a model in a dict agrees, no template has two stacks and no stack two templates."""
    store, model = MemoryStore(), dict[str, str]()
    for wants, stack in calls:
        if not wants:
            released = leases(store).release(stack)
            assert (released.template if released else None) == model.pop(stack, None)
        elif stack in model or len(model) < len(POOL):
            model[stack] = take(store, stack)
        else:
            with pytest.raises(CheckFailedError):
                take(store, stack)
        found = leases(store).all()
        assert {lease.stack: lease.template for lease in found} == model
        assert len({lease.template for lease in found}) == len(found)
