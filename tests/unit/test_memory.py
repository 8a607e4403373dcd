"""What is remembered in the bucket: readable by whoever has the app secret, and by nobody else; never mixed up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from recordings.errors import ConfigurationError, ConflictError, StoreError, StoreUnreachableError
from recordings.hms_auth import HmsCredentials
from recordings.memory import Memory
from recordings.policies import OPERATOR_PREFIX
from tests.unit.hms_fake import APP_SECRET, MemoryStore, seeded

VALUE = {"recording": {"upload": {"credentials": {"secret": "canary-secret"}}}}


def opened(store: MemoryStore, secret: str = APP_SECRET) -> Memory:
    return Memory(store, SecretStr(secret))  # type: ignore[arg-type]  # the part of Store that is used


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@given(
    st.dictionaries(st.text(max_size=5), st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5))
)
def test_memory_gives_back_what_it_was_given(value: dict[str, object]) -> None:
    """Any JSON object comes back as it was, in another run."""
    store = MemoryStore()
    version = opened(store).write("a/b", value, None)
    found = opened(store).read("a/b")
    assert found is not None
    assert (found.value, found.version) == (value, version)


def test_memory_lies_outside_every_prefix_and_shows_nothing(store: MemoryStore) -> None:
    """One object under `.recordings/`, in which no secret can be read."""
    opened(store).write("registration/t1", VALUE, None)
    assert list(store.objects) == [".recordings/registration/t1"]
    blob, _ = store.objects[".recordings/registration/t1"]
    assert b"canary" not in blob
    assert b"recording" not in blob


def test_memory_encrypts_the_same_value_anew(store: MemoryStore) -> None:
    """Salt and nonce are fresh: two objects of the same value have nothing in common but their form."""
    memory = opened(store)
    memory.write("a", VALUE, None)
    memory.write("b", VALUE, None)
    one, other = (store.objects[OPERATOR_PREFIX + name][0] for name in "ab")
    assert one[:4] == other[:4]
    assert len({one[4:20], other[4:20]}) == len({one[28:40], other[28:40]}) == 2


def test_memory_of_nothing(store: MemoryStore) -> None:
    """What was never remembered is None, and can be forgotten."""
    memory = opened(store)
    assert memory.read("a") is None
    memory.delete("a")


def test_memory_names_and_delete(store: MemoryStore) -> None:
    """Remembered things are listed by name until they are forgotten."""
    memory = opened(store)
    for name in ("registration/t1", "registration/t2", "rotation"):
        memory.write(name, VALUE, None)
    memory.delete("registration/t1")
    assert list(memory.names("registration/")) == ["registration/t2"]


@pytest.mark.parametrize("damage", ["truncated", "bit flipped", "emptied", "replaced"])
def test_memory_damaged(damage: str, store: MemoryStore) -> None:
    """Whatever was done to an object, reading it is a clear error, and the object is left as it is."""
    rng = seeded()
    memory, key = opened(store), f"{OPERATOR_PREFIX}a"
    memory.write("a", VALUE, None)
    whole = store.objects[key][0]
    for _ in range(60):
        broken = bytearray(whole)
        if damage == "truncated":
            broken = broken[: rng.randrange(1, len(whole))]
        elif damage == "bit flipped":
            broken[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        else:
            broken = bytearray() if damage == "emptied" else bytearray(rng.randbytes(len(whole)))
        store.objects[key] = (bytes(broken), "etag")
        with pytest.raises((StoreError, ConfigurationError), match="damaged") as caught:
            memory.read("a")
        assert key in str(caught.value)
        assert store.objects[key][0] == bytes(broken)


def test_memory_under_another_app_secret(store: MemoryStore) -> None:
    """A rotated app secret is named as the reason, with the way to read under the old one."""
    opened(store).write("a", VALUE, None)
    with pytest.raises(ConfigurationError, match="another 100ms app secret"):
        opened(store, "rotated " * 8).read("a")


def test_memory_swapped_objects(store: MemoryStore) -> None:
    """An object put under another key is refused: one template's settings cannot become another's."""
    memory = opened(store)
    memory.write("registration/t1", VALUE, None)
    store.objects[f"{OPERATOR_PREFIX}registration/t2"] = store.objects[f"{OPERATOR_PREFIX}registration/t1"]
    with pytest.raises(StoreError, match="registration/t2"):
        memory.read("registration/t2")


def test_memory_written_by_two_runs(store: MemoryStore) -> None:
    """The second of two runs that read the same version is refused, and the first one's value stays."""
    memory = opened(store)
    first = memory.write("a", {"n": 1}, None)
    memory.write("a", {"n": 2}, first)
    with pytest.raises(ConflictError, match="another run"):
        memory.write("a", {"n": 3}, first)
    with pytest.raises(ConflictError, match="another run"):
        memory.write("a", {"n": 3}, None)
    found = memory.read("a")
    assert found is not None
    assert found.value == {"n": 2}


def test_memory_write_whose_answer_was_lost(store: MemoryStore) -> None:
    """A conditional write that was carried out twice, its first answer lost, counts as done."""
    memory, key = opened(store), f"{OPERATOR_PREFIX}a"

    def written_before(what: str) -> None:
        store.before = lambda _: None
        opened(store).write("a", VALUE, None)

    store.before = written_before
    assert memory.write("a", VALUE, None) == store.objects[key][1]


def test_memory_write_that_fails(store: MemoryStore) -> None:
    """A store that cannot be reached is not taken for a conflict."""

    def broken(_: str) -> None:
        raise StoreUnreachableError("gone")

    store.before = broken
    with pytest.raises(StoreUnreachableError):
        opened(store).write("a", VALUE, None)


def test_memory_without_an_app_secret(store: MemoryStore) -> None:
    """A management token alone cannot encrypt: refused, with what to set."""
    token_alone = HmsCredentials(token=SecretStr("t"))
    with pytest.raises(ConfigurationError, match="HMS_APP_SECRET is not set"):
        Memory.open(store, token_alone)  # type: ignore[arg-type]  # the part of Store that is used
