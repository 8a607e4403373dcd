"""The routes: list, one recording, download, page, description.

Owns what a request asks for and which answer it gets. Who may ask is `access`, what a row leads to `delivery`, how the
page looks `pages`. Answers about recordings are never cached: they hold presigned URLs, or change.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from recordings.catalog import AsyncCatalog
from recordings.catalog_entries import HMS, CatalogEntry
from recordings.downloads import LIFE, Downloads
from recordings.errors import RecordingsError
from recordings.hms_auth import HmsCredentials
from recordings.outputs import StackOutputs
from recordings.signing import check_expiry
from recordings.web.access import Action, Authorise, Gate, closed
from recordings.web.answers import NO_STORE, Refusal, SafeHeaders, refuse, refuse_http, refuse_known
from recordings.web.openapi import description
from recordings.web.pages import CSS, Pages
from recordings.web.services import Services
from recordings.webhook import webhook_route
from recordings.webhook_guard import WebhookSettings

PAGE: Final = 20
MOST: Final = 100
STORAGE_HEADER: Final = "X-Recording-Storage"
"""Whose storage the download leads to: `s3`, `gcs`, or `100ms` for the fallback."""
_LONGEST_ID: Final = 200


def create_app(
    outputs: StackOutputs,
    database_url: SecretStr,
    *,
    authorise: Authorise = closed,
    hms: HmsCredentials | None = None,
    life: timedelta = LIFE,
    webhook: WebhookSettings | None = None,
) -> Starlette:
    """The ASGI application. `hms` lets it ask 100ms for what is still there; `life` is how long URLs work.

    With `webhook` 100ms' events are taken at `/webhooks/100ms`: they have a secret of their own, `authorise` is not
    asked. Raises ConfigurationError for a hook that is not asynchronous, or a webhook without `hms`; UsageError for a
    life outside 1 second to 7 days.
    """
    check_expiry(int(life.total_seconds()))
    downloads = Downloads(outputs)
    services = Services(downloads, database_url, hms, life)
    way_in = [] if webhook is None else [webhook_route(webhook, services.ingest())]
    web = Web(services, Gate(authorise), Pages(downloads), webhook.header if webhook else None)
    open_to_some = [
        Route("/", web.page),
        Route("/page.css", web.css),
        Route("/openapi.json", web.openapi),
        Route("/recordings", web.recordings),
        Route("/recordings/{id}", web.one),
        Route("/recordings/{id}/download", web.download),
    ]
    shut = [Route("/{anything:path}", _shut, methods=["DELETE", "GET", "OPTIONS", "PATCH", "POST", "PUT"])]
    return Starlette(
        routes=[*way_in, *(shut if authorise is closed else open_to_some)],
        middleware=[Middleware(SafeHeaders)],
        exception_handlers={Refusal: refuse, HTTPException: refuse_http, RecordingsError: refuse_known},
        lifespan=services.lifespan,
    )


async def _shut(request: Request) -> Response:
    """Every request, while no hook is configured: nothing is looked at, nobody is asked."""
    raise Refusal(
        403, "forbidden", "this server has no authorisation hook, so it allows nothing: see docs/your-code.md"
    )


class Web:
    """The handlers."""

    def __init__(self, services: Services, gate: Gate, pages: Pages, webhook_header: str | None) -> None:
        self.services = services
        self._gate = gate
        self._pages = pages
        self._webhook_header = webhook_header

    async def recordings(self, request: Request) -> Response:
        """`GET /recordings`: a page of those that the caller may see, newest first."""
        await self._gate.check(request, Action.LIST)
        entries, following = await self._rows(request)
        body = {"recordings": [shown(entry) for entry in entries], "next": following}
        return JSONResponse(body, headers=NO_STORE)

    async def one(self, request: Request) -> Response:
        """`GET /recordings/{id}`: what is known of it, a fresh URL and until when that works."""
        entry = await self._entry(request)
        delivered = await (await self.services.tools()).delivery.deliver(entry, inline=_is_inline(request))
        url = {"url": delivered.url.reveal(), "expiresAt": delivered.url.expires_at.isoformat()}
        body = shown(entry) | url | {"fallback": delivered.storage == HMS}
        return JSONResponse(body, headers=NO_STORE | {STORAGE_HEADER: delivered.storage})

    async def download(self, request: Request) -> Response:
        """`GET /recordings/{id}/download`: 307 to a fresh URL."""
        entry = await self._entry(request)
        delivered = await (await self.services.tools()).delivery.deliver(entry, inline=_is_inline(request))
        answer = RedirectResponse("", 307, NO_STORE | {STORAGE_HEADER: delivered.storage})
        answer.headers["Location"] = delivered.url.reveal()  # as it is signed: the class would encode it once more
        return answer

    async def page(self, request: Request) -> Response:
        """`GET /`: the page, with a player if `play` names a recording."""
        await self._gate.check(request, Action.LIST)
        playing = await self._entry(request, request.query_params["play"]) if request.query_params.get("play") else None
        entries, following = await self._rows(request)
        return self._pages.answer(request, entries, following, playing)

    async def css(self, request: Request) -> Response:
        """`GET /page.css`."""
        await self._gate.check(request, Action.LIST)
        return Response(CSS, media_type="text/css", headers={"Cache-Control": "private, max-age=3600"})

    async def openapi(self, request: Request) -> Response:
        """`GET /openapi.json`."""
        await self._gate.check(request, Action.LIST)
        return JSONResponse(description(request.scope.get("root_path", ""), self._webhook_header))

    async def _catalog(self) -> AsyncCatalog:
        return (await self.services.tools()).catalog

    async def _entry(self, request: Request, asset_id: str | None = None) -> CatalogEntry:
        """The row that is asked for, if the caller may download it; whoever may not is not told that there is none."""
        asset_id = request.path_params["id"] if asset_id is None else asset_id
        usable = 0 < len(asset_id) <= _LONGEST_ID and asset_id.isprintable()
        entry = await (await self._catalog()).find(asset_id) if usable else None
        await self._gate.check(request, Action.DOWNLOAD, entry)
        if entry is None:
            raise Refusal(404, "unknown", "no recording has this id")
        return entry

    async def _rows(self, request: Request) -> tuple[list[CatalogEntry], str | None]:
        query = request.query_params
        room = query.get("room") or None
        if room is not None and not (len(room) <= _LONGEST_ID and room.isprintable()):
            raise Refusal(400, "bad-request", "room is the id of a room at 100ms")
        page = await (await self._catalog()).page(
            limit=_limit(query.get("limit")), after=query.get("after") or None, room_id=room
        )
        entries = [entry for entry in page.entries if await self._gate.is_open(request, Action.LIST, entry)]
        return entries, page.next


def shown(entry: CatalogEntry) -> dict[str, Any]:
    """A recording as JSON. Where it lies in the bucket is nobody's business but the server's."""
    return {
        "id": entry.asset_id,
        "roomId": entry.room_id,
        "sessionId": entry.session_id,
        "type": entry.type,
        "status": entry.status,
        "recordedAt": entry.recorded_at.isoformat() if entry.recorded_at else None,
        "durationSeconds": entry.duration,
        "sizeBytes": entry.size,
        "storage": entry.storage_provider,
    }


def _limit(text: str | None) -> int:
    if text is None:
        return PAGE
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST):
        raise Refusal(400, "bad-request", f"limit is a number from 1 to {MOST}")
    return int(text[:9])


def _is_inline(request: Request) -> bool:
    wanted = request.query_params.get("disposition", "attachment")
    if wanted not in ("inline", "attachment"):
        raise Refusal(400, "bad-request", "disposition is 'inline' (for a player) or 'attachment'")
    return wanted == "inline"
