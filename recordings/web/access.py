"""Who may see and download what: the hook that the host application supplies, and its default, which denies all.

Owns the protocol and the rule that only a plain `True` allows. Knows no user: that is the host's business.
"""

from __future__ import annotations

import inspect
from enum import StrEnum
from typing import Protocol, runtime_checkable

from starlette.requests import Request

from recordings.catalog_entries import CatalogEntry
from recordings.errors import ConfigurationError
from recordings.web.answers import Refusal


class Action(StrEnum):
    """What somebody wants to do."""

    LIST = "list"
    """See that a recording exists, its room, time, length and size."""
    DOWNLOAD = "download"
    """Get a URL that plays or downloads it until the URL expires."""


@runtime_checkable
class Authorise(Protocol):
    """Decides about one request of somebody whom the host application knows by the request (cookie, token, …).

    `recording` is None when no single one is asked for (a list, before its rows are) or when there is none of that
    id: say whether this caller may ask at all, so that only they learn that it does not exist. True allows; anything
    else is 403. May raise `starlette.exceptions.HTTPException`, such as 401, to answer otherwise.
    """

    async def __call__(self, request: Request, action: Action, recording: CatalogEntry | None) -> bool:
        """Whether to allow it."""


async def closed(request: Request, action: Action, recording: CatalogEntry | None) -> bool:
    """The default: nobody may do anything."""
    return False


class Gate:
    """Asks the hook, and refuses with 403."""

    def __init__(self, authorise: Authorise) -> None:
        call = authorise if inspect.isfunction(authorise) or inspect.ismethod(authorise) else type(authorise).__call__
        if not inspect.iscoroutinefunction(call):
            raise ConfigurationError(
                f"the authorisation hook {authorise!r} is not asynchronous: define it with `async def` "
                "(request, action, recording) -> bool"
            )
        self._authorise = authorise

    async def is_open(self, request: Request, action: Action, recording: CatalogEntry | None) -> bool:
        """Whether the hook says True, and not merely something that counts as true."""
        return await self._authorise(request, action, recording) is True

    async def check(self, request: Request, action: Action, recording: CatalogEntry | None = None) -> None:
        """Raise Refusal (403) unless it is allowed."""
        if not await self.is_open(request, action, recording):
            raise Refusal(403, "forbidden", f"you may not {action.value} {'recordings' if not recording else 'this'}")
