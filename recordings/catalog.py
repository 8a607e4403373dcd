"""The catalog: what the database knows of recordings. `Catalog` for commands, `AsyncCatalog` for ASGI applications.

Owns running the statements of `recordings.catalog_sql` and mapping errors. Decides nothing about storage and asks
neither 100ms nor a bucket. Every method raises DatabaseError or, where trying again may help, DatabaseDownError.
Each statement is a transaction of its own, so a transaction-mode pooler will do.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from pydantic import SecretStr

from recordings.catalog_entries import CatalogEntry, storable
from recordings.catalog_sql import (
    FIND,
    SCAN,
    UPSERT,
    Page,
    entry_of_row,
    find_parameters,
    page_of,
    page_query,
    upsert_parameters,
)
from recordings.database import async_pool, mapped
from recordings.erasure.tombstones import Tombstones
from recordings.gathered import Gathered

_BATCH: Final = 1000
_QUEUE: Final = 10.0
"""Seconds in which a connection must be free of others' work: who asks, a person or a proxy, waits little longer."""


@dataclass(frozen=True)
class Written:
    """How many rows a write added, changed, and found as they should be: told of later, or erased and not there."""

    added: int = 0
    changed: int = 0
    same: int = 0

    def __add__(self, other: Written) -> Written:
        return Written(self.added + other.added, self.changed + other.changed, self.same + other.same)


class Catalog:
    """Over one connection, which is to commit by itself (`recordings.database.connect`).

    With `dry_run` every write is rolled back at once: what it gives is what it would have done.
    """

    def __init__(self, connection: psycopg.Connection[Any], *, dry_run: bool = False) -> None:
        self._connection = connection
        self._dry_run = dry_run

    def upsert(self, entries: Sequence[CatalogEntry]) -> Written:
        """Add or change rows by their asset id; all of them or none. Writing again changes nothing.

        A row that says the same already is left alone, and so is one that 100ms was asked about later than these.
        What was erased gets none: the database leaves it out (`recordings.erasure.tombstones`).
        """
        return _written(self.write(entries), entries)

    def write(self, entries: Sequence[CatalogEntry]) -> list[tuple[str, bool]]:
        """As `upsert`; gives the asset ids of the rows that it touched, and whether each was added."""
        with mapped(), self._connection.transaction(force_rollback=self._dry_run):
            return self._connection.execute(UPSERT.encode(), upsert_parameters(entries)).fetchall()

    def find(self, asset_id: str) -> CatalogEntry | None:
        """The row of a recording asset, None if there is none."""
        with mapped():
            rows = self._connection.execute(FIND.encode(), find_parameters([asset_id])).fetchall()
        return entry_of_row(rows[0]) if rows else None

    def erased(self, entries: Sequence[CatalogEntry]) -> frozenset[str]:
        """The asset ids of those that were erased; see `recordings.erasure.tombstones`."""
        return Tombstones(self._connection).erased(entries)

    def page(
        self, *, limit: int = 50, after: str | None = None, room_id: str | None = None, session_id: str | None = None
    ) -> Page:
        """Rows, newest first. Raises UsageError for a bad limit (1 to 500) or cursor."""
        query, parameters = page_query(limit=limit, after=after, room_id=room_id, session_id=session_id)
        with mapped():
            rows = self._connection.execute(query.encode(), parameters).fetchall()
        return page_of(rows, limit)

    def scan(self) -> Iterator[CatalogEntry]:
        """Every row that has an asset id, ordered by it, in pieces: no transaction stays open in between."""
        after = ""
        while True:
            with mapped():
                found = self._connection.execute(SCAN.encode(), {"after": after, "limit": _BATCH}).fetchall()
            entries = [entry_of_row(row) for row in found]
            yield from entries
            if len(entries) < _BATCH:
                return
            after = entries[-1].asset_id


class AsyncCatalog:
    """Over a pool of `size` connections; `open` makes both. Of one event loop.

    Who comes while all connections are busy queues, and is not told that there is none; once the database is found to
    be down, all that queued are told at once.
    """

    def __init__(self, pool: AsyncConnectionPool[Any], size: int) -> None:
        self._pool = pool
        self._turns = asyncio.Semaphore(size)
        self._down_at = -math.inf
        self._rows = Gathered(self._rows_of)

    @classmethod
    @asynccontextmanager
    async def open(cls, url: SecretStr, *, size: int = 10, wait: float = 3.0) -> AsyncIterator[AsyncCatalog]:
        """A catalog over at most `size` connections; a database that gives none within `wait` seconds is down.

        A database that is down now is an error only once it is asked.
        """
        pool = async_pool(url, size=size, wait=wait)
        await pool.open(wait=False)
        catalog = cls(pool, size)
        try:
            yield catalog
        finally:
            await catalog._rows.close()
            await pool.close()

    async def upsert(self, entries: Sequence[CatalogEntry]) -> Written:
        """As `Catalog.upsert`."""
        return _written(await self._fetch(UPSERT, upsert_parameters(entries)), entries)

    async def find(self, asset_id: str) -> CatalogEntry | None:
        """As `Catalog.find`; those that are asked for at one time are found by one statement."""
        return await self._rows.get(storable(asset_id))

    async def page(
        self, *, limit: int = 50, after: str | None = None, room_id: str | None = None, session_id: str | None = None
    ) -> Page:
        """As `Catalog.page`."""
        query, parameters = page_query(limit=limit, after=after, room_id=room_id, session_id=session_id)
        return page_of(await self._fetch(query, parameters), limit)

    async def _rows_of(self, asset_ids: list[str]) -> dict[str, CatalogEntry]:
        entries = map(entry_of_row, await self._fetch(FIND, find_parameters(asset_ids)))
        return {entry.asset_id: entry for entry in entries}

    async def _fetch(self, query: str, parameters: dict[str, Any]) -> list[Any]:
        came = time.monotonic()
        with mapped():
            async with self._turn(came), self._pool.connection() as connection:
                cursor = await connection.execute(query.encode(), parameters)
                rows: list[Any] = await cursor.fetchall()
        return rows

    @asynccontextmanager
    async def _turn(self, came: float) -> AsyncIterator[None]:
        """As many at a time as there are connections. Raises PoolTimeout after `_QUEUE` seconds, or if it is down."""
        try:
            async with asyncio.timeout(_QUEUE):
                await self._turns.acquire()
        except TimeoutError:
            raise PoolTimeout("couldn't get a connection: too many ask") from None
        try:
            if self._down_at > came:
                raise PoolTimeout("couldn't get a connection: nobody could meanwhile")
            try:
                yield
            except PoolTimeout:
                self._down_at = time.monotonic()
                raise
        finally:
            self._turns.release()


def _written(touched: Sequence[tuple[str, bool]], entries: Sequence[CatalogEntry]) -> Written:
    added = sum(1 for _, was_added in touched if was_added)
    return Written(added, len(touched) - added, len({entry.asset_id for entry in entries}) - len(touched))
