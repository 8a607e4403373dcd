"""Looking things up by key, many keys at a time: whoever asks while one look-up runs is part of the next.

Owns the queue and nothing else. A look-up that takes a millisecond for one key takes little more for a hundred, so
under load there are fewer of them rather than more, nobody queues for a connection, and nobody waits longer than the
look-up that was running and his own. An answer is never older than the question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Generic, TypeVar

V = TypeVar("V")
MOST: Final = 500
"""Keys in one look-up."""


class Gathered(Generic[V]):
    """Over `look_up`, which gives what there is for each of its keys; of one event loop."""

    def __init__(self, look_up: Callable[[list[str]], Awaitable[Mapping[str, V]]]) -> None:
        self._look_up = look_up
        self._waiting: dict[str, asyncio.Future[V | None]] = {}
        self._running: asyncio.Task[None] | None = None

    async def get(self, key: str) -> V | None:
        """What there is for `key`, None if nothing. Raises what the look-up raises."""
        if key not in self._waiting:
            self._waiting[key] = asyncio.get_running_loop().create_future()
        answer = self._waiting[key]
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await asyncio.shield(answer)  # others may wait for the same: who leaves takes it from nobody

    async def close(self) -> None:
        """Let nobody wait any longer."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
        for answer in self._waiting.values():
            answer.cancel()
        self._waiting.clear()

    async def _run(self) -> None:
        while self._waiting:
            keys = list(self._waiting)[:MOST]
            asked = {key: self._waiting.pop(key) for key in keys}
            try:
                found = await self._look_up(keys)
            except Exception as error:
                for answer in asked.values():
                    answer.set_exception(error)
            except BaseException:
                for answer in asked.values():
                    answer.cancel()
                raise
            else:
                for key, answer in asked.items():
                    answer.set_result(found.get(key))
