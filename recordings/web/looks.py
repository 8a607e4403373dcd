"""Whether a recording's object is there and can be read, asked of the storage before somebody is led to it.

Owns the request, a HEAD by a presigned URL, and how the storage is spared: many who ask for the same object at a time
share one answer, and a good one is remembered for `FRESH` seconds. Only a good one: what is gone, archived or refused
is asked for each time, so that what was put back or restored is delivered at once. The URL that a good answer leads to
works for an hour, so seconds make it no less true.

The requests run in a few threads over connections that stay open: httpx' asynchronous pool looks at all its
connections and at all that wait for each request, and took ten times the processor's time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import anyio
import httpx
from anyio import to_thread

from recordings.errors import ObjectArchivedError, ObjectNotFoundError, StoreUnreachableError
from recordings.stores import Store
from recordings.stores.archive import Archived, archived
from recordings.web.answers import Refusal

FRESH: Final = 5.0
"""Seconds for which an object that was there is taken to be there."""
PATIENCE: Final = 10.0
"""Seconds until there is an answer, whatever the storage does; who asks waits little longer."""
_HEAD_LIFE: Final = timedelta(minutes=5)
_TRIES: Final = 2
_CONNECTIONS: Final = 32
_KEPT: Final = 10_000


def http_client() -> httpx.Client:
    """A client for presigned URLs: it follows no redirect, and its log is silent because that would show them."""
    for name in ("httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.WARNING)
    limits = httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS)
    return httpx.Client(timeout=httpx.Timeout(PATIENCE, connect=5.0), limits=limits, follow_redirects=False)


class Looks:
    """Looks at objects; of one event loop. `now` gives seconds of a clock that never goes back."""

    def __init__(self, http: httpx.Client, *, now: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._now = now
        self._seen: dict[tuple[str, str], float] = {}
        self._under_way: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._threads = anyio.CapacityLimiter(_CONNECTIONS)

    async def look(self, store: Store, key: str) -> None:
        """Raise Refusal unless the object is there and can be read: 410 gone, 409 archived, 503 no answer.

        A StoreError is what the storage refuses for another reason, such as the reader's key.
        """
        name = (store.bucket, key)
        if self._seen.get(name, 0.0) > self._now():
            return
        task = self._under_way.get(name)
        if task is None:
            task = self._under_way[name] = asyncio.create_task(self._look(store, key))
            task.add_done_callback(lambda _: self._under_way.pop(name, None))
        await asyncio.shield(task)  # others may wait for the same: who leaves takes it from nobody

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, store: Store, key: str) -> None:
        asked = self._now()
        try:
            with anyio.fail_after(PATIENCE):
                await to_thread.run_sync(self._ask, store, key, abandon_on_cancel=True, limiter=self._threads)
        except (TimeoutError, StoreUnreachableError):
            raise Refusal(503, "storage", "the storage does not answer at the moment: try again later") from None
        self._remember((store.bucket, key), asked + FRESH)

    def _remember(self, name: tuple[str, str], until: float) -> None:
        """In the order of their ends, so that the first ones are over first."""
        self._seen.pop(name, None)
        while len(self._seen) >= _KEPT:
            del self._seen[next(iter(self._seen))]
        self._seen[name] = until

    def _ask(self, store: Store, key: str) -> None:
        answer = self._head(store, key)
        if answer.is_success:
            if state := archived(answer.headers):
                raise _in_archive(state)
            return
        try:
            store.head(key)  # a refused HEAD has no reason in it: the store finds it out by other requests
        except ObjectNotFoundError:
            raise Refusal(410, "gone", "its object is no longer in the bucket") from None
        except ObjectArchivedError:
            raise _in_archive(Archived("unknown", restoring=False)) from None

    def _head(self, store: Store, key: str) -> httpx.Response:
        """The answer to a HEAD. Raises StoreUnreachableError if there is none, or none that says anything."""
        url = store.sign(key, _HEAD_LIFE, method="HEAD").reveal()
        for _ in range(_TRIES):
            try:
                answer = self._http.head(url)
            except httpx.HTTPError:
                continue
            if answer.status_code < 500 and answer.status_code != 429:
                return answer
        raise StoreUnreachableError("no answer to HEAD")


def _in_archive(state: Archived) -> Refusal:
    act = "its restoration is under way" if state.restoring else "restore it first (`aws s3api restore-object`)"
    message = f"it lies in the archive storage class {state.storage_class}: {act}"
    return Refusal(409, "archived", message, storageClass=state.storage_class, restoring=state.restoring)
