"""Looking up many keys at a time: each gets its own answer, and nobody's leaving or error is another's."""

from __future__ import annotations

import asyncio

import pytest

from recordings.errors import DatabaseDownError
from recordings.gathered import MOST, Gathered


class Slow:
    """Counts look-ups; each ends when `go` is set. Keys that begin with `no` are not there."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, keys: list[str]) -> dict[str, str]:
        self.asked.append(keys)
        await self.go.wait()
        if self.error is not None:
            raise self.error
        return {key: key.upper() for key in keys if not key.startswith("no")}


async def waiting(gathered: Gathered[str], *keys: str) -> list[asyncio.Task[str | None]]:
    """Tasks that have asked already."""
    tasks = [asyncio.create_task(gathered.get(key)) for key in keys]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


def test_whoever_comes_meanwhile_is_in_the_next_look_up() -> None:
    """One look-up at a time, and no answer older than its question: the same key again is asked again."""

    async def body() -> None:
        slow = Slow()
        gathered = Gathered(slow)
        first = await waiting(gathered, "a", "b", "a")
        later = await waiting(gathered, "a", "c", "none")
        assert slow.asked == [["a", "b"]]
        slow.go.set()
        assert await asyncio.gather(*first, *later) == ["A", "B", "A", "A", "C", None]
        assert slow.asked == [["a", "b"], ["a", "c", "none"]]

    asyncio.run(body())


def test_many_keys_are_looked_up_in_pieces() -> None:
    """No statement grows without end."""

    async def body() -> None:
        slow = Slow()
        slow.go.set()
        gathered = Gathered(slow)
        keys = [f"k{number}" for number in range(2 * MOST + 1)]
        assert await asyncio.gather(*map(gathered.get, keys)) == [key.upper() for key in keys]
        assert [len(keys) for keys in slow.asked] == [MOST, MOST, 1]

    asyncio.run(body())


def test_error_is_told_to_all_who_asked_and_to_nobody_later() -> None:
    """The next who asks has a look-up of his own."""

    async def body() -> None:
        slow = Slow()
        slow.error = DatabaseDownError("down")
        gathered = Gathered(slow)
        tasks = await waiting(gathered, "a", "b")
        slow.go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in found] == [DatabaseDownError, DatabaseDownError]
        slow.error = None
        assert await gathered.get("a") == "A"

    asyncio.run(body())


def test_whoever_leaves_takes_the_answer_from_nobody() -> None:
    """A client that closes its connection while others wait for the same recording."""

    async def body() -> None:
        slow = Slow()
        gathered = Gathered(slow)
        gone, stays = await waiting(gathered, "a", "a")
        gone.cancel()
        await asyncio.sleep(0)
        slow.go.set()
        assert await stays == "A"
        with pytest.raises(asyncio.CancelledError):
            await gone

    asyncio.run(body())


def test_closing_leaves_nobody_waiting() -> None:
    """Neither who is being looked up nor who waits for the next."""

    async def body() -> None:
        gathered = Gathered(Slow())
        tasks = [*await waiting(gathered, "a"), *await waiting(gathered, "b")]
        await gathered.close()
        for task in tasks:
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(body())
