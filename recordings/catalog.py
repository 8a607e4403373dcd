"""The catalog: what the database knows of recordings. `Catalog` for commands, `AsyncCatalog` for ASGI applications.

Owns running the statements of `recordings.catalog_sql` and mapping errors. Decides nothing about storage and asks
neither 100ms nor a bucket. Every method raises DatabaseError or, where trying again may help, DatabaseDownError.
Each statement is a transaction of its own, so a transaction-mode pooler will do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from psycopg_pool import AsyncConnectionPool
from pydantic import SecretStr

from recordings.catalog_entries import CatalogEntry
from recordings.catalog_sql import (
    FIND,
    SCAN,
    UPSERT,
    Page,
    entry_of_row,
    page_of,
    page_query,
    upsert_parameters,
)
from recordings.database import async_pool, mapped

_BATCH: Final = 1000


@dataclass(frozen=True)
class Written:
    """How many rows a write added, changed, and found as they should be (or told of later)."""

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
        """Add or change rows by their asset id; all of them or none. Writing again changes nothing."""
        parameters = upsert_parameters(entries)
        with mapped(), self._connection.transaction(force_rollback=self._dry_run):
            rows = self._connection.execute(UPSERT.encode(), parameters).fetchall()
        return _written(rows, len(parameters["asset_id"]))

    def find(self, asset_id: str) -> CatalogEntry | None:
        """The row of a recording asset, None if there is none."""
        with mapped():
            row = self._connection.execute(FIND.encode(), {"asset_id": asset_id}).fetchone()
        return None if row is None else entry_of_row(row)

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
    """Over a pool; `open` makes both."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def open(cls, url: SecretStr, *, size: int = 10) -> AsyncIterator[AsyncCatalog]:
        """A catalog over at most `size` connections. A database that is down now is an error only once it is asked."""
        pool = async_pool(url, size=size)
        await pool.open(wait=False)
        try:
            yield cls(pool)
        finally:
            await pool.close()

    async def upsert(self, entries: Sequence[CatalogEntry]) -> Written:
        """As `Catalog.upsert`."""
        parameters = upsert_parameters(entries)
        rows = await self._fetch(UPSERT, parameters)
        return _written(rows, len(parameters["asset_id"]))

    async def find(self, asset_id: str) -> CatalogEntry | None:
        """As `Catalog.find`."""
        rows = await self._fetch(FIND, {"asset_id": asset_id})
        return entry_of_row(rows[0]) if rows else None

    async def page(
        self, *, limit: int = 50, after: str | None = None, room_id: str | None = None, session_id: str | None = None
    ) -> Page:
        """As `Catalog.page`."""
        query, parameters = page_query(limit=limit, after=after, room_id=room_id, session_id=session_id)
        return page_of(await self._fetch(query, parameters), limit)

    async def _fetch(self, query: str, parameters: dict[str, Any]) -> list[Any]:
        with mapped():
            async with self._pool.connection() as connection:
                cursor = await connection.execute(query.encode(), parameters)
                rows: list[Any] = await cursor.fetchall()
        return rows


def _written(rows: Sequence[Sequence[Any]], given: int) -> Written:
    added = sum(1 for row in rows if row[0])
    return Written(added, len(rows) - added, given - len(rows))
