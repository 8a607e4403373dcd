"""`POST /webhooks/100ms`: an event comes in, 100ms is asked what is true, and the catalog is brought up to date.

Owns the endpoint and what follows from an event. An event is only a hint where to look: every row is written from what
the API says now, so that a replayed, reordered, forged or foreign event can at most make us look. Who may send is
`recordings.webhook_guard`, what an event names `recordings.webhook_events`.

100ms sends again (after 1, 3 and 10 seconds) on anything but 200. So 200 means: done, or nothing to do, now or ever.
Where trying again may help (database or 100ms not to be reached, or set up wrongly) the answer is 503; what is missed
all the same is closed by `recordings sync --since` on a schedule, or by 100ms' replay.

Needs the extra `web`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Final, Protocol

import anyio
import anyio.to_thread
import httpx
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from recordings.catalog import Written
from recordings.catalog_entries import HMS, CatalogEntry, entry_of
from recordings.errors import HmsNotFoundError, RecordingsError, UsageError
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.hms_models import RecordingAsset
from recordings.outputs import StackOutputs
from recordings.paths import Home
from recordings.redact import redact
from recordings.retry import RetryPolicy
from recordings.webhook_events import Event, parse_event
from recordings.webhook_guard import RefusedError, WebhookSettings

PATH: Final = "/webhooks/100ms"
_log: Final = logging.getLogger(__name__)

_SINGLY: Final = 3
"""Up to so many recording assets are asked for one by one; beyond that the session's list is quicker."""
_MOST: Final = 500
"""Recording assets that one event makes us write."""
_THREADS: Final = 8
_SECONDS: Final = 8.0
"""By then there is an answer, whatever 100ms' API and the database do."""
_ADVICE: Final = {
    "UPLOAD_ERROR": "the upload to the bucket was refused; run `recordings verify`",
    "CLOUD_ACCESS_ERROR": "100ms cannot reach the bucket; run `recordings verify`",
}


class Upserts(Protocol):
    """The part of the catalog that is written to."""

    async def upsert(self, entries: Sequence[CatalogEntry]) -> Written:
        """Add or change rows."""


def quick_client(credentials: HmsCredentials) -> HmsClient:
    """A client that gives up within seconds: whoever sent the event waits, and sends again."""
    return HmsClient(
        credentials, policy=RetryPolicy(attempts=2, budget=3.0, base=0.2), timeout=httpx.Timeout(2.0, connect=1.0)
    )


class Ingest:
    """What follows from an event, for one stack."""

    def __init__(self, hms: HmsClient, outputs: StackOutputs, catalog: Upserts) -> None:
        self._hms = hms
        self._outputs = outputs
        self._home = Home.of(outputs)
        self._catalog = catalog
        self._limiter: anyio.CapacityLimiter | None = None

    async def take(self, event: Event) -> Written:
        """Ask 100ms about what an event names, and write that. Raises RecordingsError if it has to come again."""
        expected = self._outputs.expected_customer
        if expected and event.account_id not in (None, expected):
            _log.warning("%s of another 100ms customer (%s): ignored", event.type, event.account_id)
            return Written()
        if event.error is not None:
            _tell_failure(event)
        if self._limiter is None:
            self._limiter = anyio.CapacityLimiter(_THREADS)
        entries = await anyio.to_thread.run_sync(self._read, event, limiter=self._limiter, abandon_on_cancel=True)
        return await self._catalog.upsert(entries) if entries else Written()

    def _read(self, event: Event) -> list[CatalogEntry]:
        asked = datetime.now(UTC)
        entries = [entry_of(asset, self._home, asked)[0] for asset in self._assets(event)]
        rooms = {entry.room_id for entry in entries if entry.storage_provider == HMS}
        ours = {room for room in rooms if self._concerns_us(room)}
        return [entry for entry in entries if entry.storage_provider != HMS or entry.room_id in ours]

    def _assets(self, event: Event) -> list[RecordingAsset]:
        found: list[RecordingAsset] = []
        if 0 < len(event.asset_ids) <= _SINGLY:
            found = [asset for asset in map(self._asset, event.asset_ids) if asset]
            if len(found) == len(event.asset_ids) and not event.has_chat:
                return found
        listed: Iterable[RecordingAsset] = ()
        if event.session_id:
            listed = self._hms.recording_assets(session_id=event.session_id)
        elif event.room_id:
            listed = self._hms.recording_assets(room_id=event.room_id)
        return [*found, *islice(listed, _MOST)]

    def _asset(self, asset_id: str) -> RecordingAsset | None:
        try:
            return self._hms.recording_asset(asset_id)
        except HmsNotFoundError:
            return None

    def _concerns_us(self, room_id: str | None) -> bool:
        """Whether a room, whose recording lies elsewhere, is of a template of ours; any is, if the stack names none.

        In a workspace with several stacks each gets the others' events.
        """
        if not self._outputs.template_ids or room_id is None:
            return True
        try:
            return self._hms.room(room_id).template_id in self._outputs.template_ids
        except HmsNotFoundError:
            return False


def webhook_route(settings: WebhookSettings, ingest: Ingest, *, path: str = PATH) -> Route:
    """The endpoint, to mount in a Starlette application (or another that takes its routes)."""

    async def endpoint(request: Request) -> Response:
        try:
            settings.check(request)
            event = _parsed(await settings.body(request))
        except RefusedError as refused:
            _log.warning("webhook refused: %s", redact(refused.reason))
            return _answer(refused.status, "refused")
        except UsageError as error:
            _log.warning("webhook refused: %s", redact(str(error)))
            return _answer(400, "no event of 100ms")
        except ClientDisconnect:
            return _answer(400, "the body did not come to its end")
        if event is None:
            return _answer(200, "ignored")
        try:
            with anyio.fail_after(_SECONDS):
                written = await ingest.take(event)
        except (RecordingsError, TimeoutError) as error:
            reason = redact(str(error)) or f"it took longer than {_SECONDS:.0f} s"
            _log.error("%s could not be taken, 100ms will send it again: %s", event.type, reason)
            return _answer(503, "try again")
        _log.info("%s: %d rows added, %d changed", event.type, written.added, written.changed)
        return _answer(200, "done")

    return Route(path, endpoint, methods=["POST"], name="webhook")


def _parsed(body: bytes) -> Event | None:
    try:
        envelope = json.loads(body)
    except (ValueError, RecursionError):
        raise UsageError("the body is not JSON") from None
    return parse_event(envelope)


def _answer(status: int, result: str) -> JSONResponse:
    return JSONResponse({"result": result}, status, headers={"Cache-Control": "no-store"})


def _tell_failure(event: Event) -> None:
    advice = _ADVICE.get(event.error or "", "see 100ms' dashboard")
    where = f"room {event.room_id}, session {event.session_id}, recording {event.job_id}"
    _log.error("recording failed at 100ms: %s (%s): %s: %s", event.error, where, event.message or "no reason", advice)
