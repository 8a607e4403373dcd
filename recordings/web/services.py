"""What the web application works with: catalog, storage, 100ms; opened once, when first needed.

Owns their life. Opened by the first request, not by the lifespan alone: an application that is mounted in another one
is sent no lifespan.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import anyio
from pydantic import SecretStr
from starlette.applications import Starlette

from recordings.catalog import AsyncCatalog, Written
from recordings.catalog_entries import CatalogEntry
from recordings.downloads import Downloads
from recordings.errors import ConfigurationError
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.retry import RetryPolicy
from recordings.web.delivery import Delivery
from recordings.web.looks import Looks, http_client
from recordings.webhook import Ingest, quick_client

DATABASE_SECONDS: Final = 3.0
"""Until a database that gives no connection is called down: 100ms sends again after a second, a person tries again."""
_IMPATIENT: Final = RetryPolicy(attempts=2, budget=8.0)
"""Somebody waits for the answer: 100ms is asked again once."""


@dataclass(frozen=True)
class Tools:
    """What a request is answered with."""

    catalog: AsyncCatalog
    delivery: Delivery


class Services:
    """Opens the tools once, and closes them at the end of the lifespan."""

    def __init__(
        self, downloads: Downloads, database_url: SecretStr, hms: HmsCredentials | None, life: timedelta
    ) -> None:
        self._downloads = downloads
        self._database_url = database_url
        self._hms = hms
        self._life = life
        self._stack = AsyncExitStack()
        self._opening = anyio.Lock()
        self._tools: Tools | None = None

    async def tools(self) -> Tools:
        """The tools, opened if they are not. A database that is down is an error only once it is asked."""
        if self._tools is None:
            async with self._opening:
                if self._tools is None:
                    self._tools = await self._open()
        return self._tools

    def ingest(self) -> Ingest:
        """What takes webhooks. Raises ConfigurationError without credentials of 100ms: each event is asked about."""
        if self._hms is None:
            raise ConfigurationError("the webhook needs 100ms' credentials: set HMS_ACCESS_KEY and HMS_APP_SECRET")
        return Ingest(self._stack.enter_context(quick_client(self._hms)), self._downloads.outputs, self)

    async def upsert(self, entries: Sequence[CatalogEntry]) -> Written:
        """Write rows that the webhook brings."""
        return await (await self.tools()).catalog.upsert(entries)

    async def _open(self) -> Tools:
        enter = self._stack.enter_async_context
        catalog = await enter(AsyncCatalog.open(self._database_url, wait=DATABASE_SECONDS))
        looks = Looks(self._stack.enter_context(http_client()))
        self._stack.push_async_callback(looks.close)
        hms = self._stack.enter_context(HmsClient(self._hms, policy=_IMPATIENT)) if self._hms else None
        return Tools(catalog, Delivery(self._downloads, looks, hms, self._life))

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """Open at the start, close at the end."""
        await self.tools()
        try:
            yield
        finally:
            self._tools = None
            await self._stack.aclose()
