"""Webhooks: the envelope, delivery with retries, replay.

Sources: 100ms' webhook pages (envelope, events, sent again 1, 3 and 10 s after anything but 200, a room's own webhook
instead of the workspace's), "List Webhook Events" and "Replay Webhook Events". Only loopback addresses are sent to.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sandbox.hms.http import Json, Refusal, Request, Routes, not_found
from sandbox.hms.state import State, new_id, now

if TYPE_CHECKING:
    import httpx

_TIMEOUT_SECONDS: Final = 10.0
_OLDEST: Final = timedelta(days=30)
_LONGEST: Final = timedelta(days=14)
_DEFAULTS: Final = {"limit": 50, "page": 1}
_PAGING: Final = (("limit", 100), ("page", 10**6))
_TOLD: Final = ("session_id", "peer_id", "user_id", "beam_id", "job_id", "error", "error_type", "error_message")


class Webhooks:
    """Sends events of one workspace (`account`, `app`) and remembers them for a replay."""

    def __init__(self, state: State, account: str, app: str, tls: ssl.SSLContext) -> None:
        self._state = state
        self._account = account
        self._app = app
        self._tls = tls
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self, routes: Routes) -> None:
        """Add the history, replay and its status."""
        routes.add("GET /analytics/webhooks", self.history)
        routes.add("POST /analytics/webhooks/replay", self.replay)
        routes.add("GET /analytics/webhooks/replay/{workflow_id}", self.replay_status)

    def send(self, kind: str, room: Json, data: Json) -> None:
        """Send an event in the background, if the room or the workspace has a webhook."""
        webhook = room.get("webhook") or self._state.options.webhook
        if not webhook:
            return
        moment = now()
        envelope = {
            "version": "2.0",
            "id": str(uuid.uuid4()),
            "account_id": self._account,
            "app_id": self._app,
            "timestamp": moment,
            "type": kind,
            "data": {**data, "metadata_id": str(uuid.uuid4()), "metadata_timestamp": moment},
        }
        event: Json = {"id": new_id(), "envelope": envelope, "webhook": webhook, "delivered": False, "attempts": 0}
        self._state.events[event["id"]] = event
        self._begin(self._deliver(event))

    async def close(self) -> None:
        """Give up what is still being sent."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def history(self, request: Request) -> Json:
        """What was sent, newest first. `event_names` is taken once here; pages are numbered from 1."""
        query = request.query
        (start, end), limit, number = _range(query), *(_number(query, name, most) for name, most in _PAGING)
        wanted = {"failed": (False,), "success": (True,)}.get(query.get("status", "all"), (False, True))
        found = [
            event
            for event in reversed(self._state.events.values())
            if start <= _moment(event["envelope"]["timestamp"]) <= end
            and query.get("event_names", "") in ("", event["envelope"]["type"])
            and query.get("room_id", "") in ("", event["envelope"]["data"].get("room_id"))
            and event["delivered"] in wanted
        ]
        pages = -(-len(found) // limit)
        return {
            "events": [_shown(event) for event in found[(number - 1) * limit : number * limit]],
            "pagination": {
                "current_page": number,
                "page_size": limit,
                "total_pages": pages,
                "total_items": len(found),
                "has_next": number < pages,
                "has_prev": number > 1,
            },
            "summary": {"total_events": len(found)},
        }

    def replay(self, request: Request) -> Json:
        """Send matching events again, marked `is_replay`."""
        filters = {**request.query, **request.object()}
        start, end = _range(filters)
        wanted = filters.get("status", "failed")
        names = filters.get("event_names") or []
        chosen = [
            event
            for event in self._state.events.values()
            if start <= _moment(event["envelope"]["timestamp"]) <= end
            and (not names or event["envelope"]["type"] in names)
            and filters.get("room_id") in (None, "", event["envelope"]["data"].get("room_id"))
            and (wanted == "all" or event["delivered"] == (wanted == "success"))
        ]
        workflow: Json = {
            "workflow_id": f"webhook-replay-{self._account}-{uuid.uuid4().hex[:8]}",
            "status": "started",
            "message": "Webhook replay has been queued for processing",
            "filters": {"start_time": _text(start), "end_time": _text(end), "event_types": names},
        }
        self._state.replays[workflow["workflow_id"]] = {**workflow, "status": "Running", "total": len(chosen)}
        self._begin(self._replay(workflow["workflow_id"], chosen))
        return workflow

    def replay_status(self, request: Request, workflow_id: str) -> Json:
        """How far a replay is."""
        if workflow_id not in self._state.replays:
            raise not_found("workflow")
        return self._state.replays[workflow_id]

    def _begin(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _replay(self, workflow_id: str, events: list[Json]) -> None:
        for event in events:
            await self._deliver(event, is_replay=True)
        failed = [event["id"] for event in events if not event["delivered"]]
        status = "completed" if not failed else "failed" if len(failed) == len(events) else "completed_with_failures"
        progress = {"total": len(events), "completed": len(events) - len(failed), "failed": len(failed)}
        result = {**progress, "failed_events": failed}
        self._state.replays[workflow_id] |= {"status": status, "progress": progress, "result": result}
        self._state.save()

    async def _deliver(self, event: Json, *, is_replay: bool = False) -> None:
        url = event["webhook"]["url"]
        if not is_loopback(url):
            print(f"webhook not sent: {urlsplit(url).hostname} is not a loopback address", flush=True)
            return
        import httpx  # slow to load, and only who has a webhook needs it

        envelope = {**event["envelope"], "is_replay": True} if is_replay else event["envelope"]
        async with httpx.AsyncClient(verify=self._tls, timeout=_TIMEOUT_SECONDS, trust_env=False) as client:
            for delay in [0.0, *self._state.options.retry_delays]:
                await asyncio.sleep(delay)
                event["attempts"] += 1
                event["delivered"] = await _posted(client, url, envelope, event["webhook"].get("headers") or {})
                self._state.save()
                if event["delivered"]:
                    return


def is_loopback(url: str) -> bool:
    """Whether a URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _posted(client: httpx.AsyncClient, url: str, envelope: Json, headers: dict[str, str]) -> bool:
    import httpx

    try:
        answer = await client.post(url, json=envelope, headers=headers)
    except httpx.HTTPError:
        return False
    return answer.status_code == 200


def _shown(event: Json) -> Json:
    """An event in the history's form. No page lists the data of a failure: its ids and error are taken to be there."""
    data, payload = event["envelope"]["data"], {"webhook_url": event["webhook"]["url"]}
    payload |= {
        "event_data": {name: data[name] for name in _TOLD if name in data},
        "original_event_name": event["envelope"]["type"],
    }
    return {
        "event_id": event["envelope"]["id"],
        "event_name": f"reporter.webhook.delivery.{'success' if event['delivered'] else 'failed'}",
        "room_id": data.get("room_id"),
        "event_timestamp": event["envelope"]["timestamp"],
        "payload": payload if event["delivered"] else {**payload, "error_reason": "timeout"},
    }


def _number(query: Mapping[str, str], name: str, most: int) -> int:
    text = query.get(name) or str(_DEFAULTS[name])
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise Refusal(400, f"Invalid query param: {name}")
    return int(text)


def _range(filters: Mapping[str, Any]) -> tuple[datetime, datetime]:
    current = datetime.now(UTC)
    start = _moment(filters["start_time"]) if filters.get("start_time") else current - timedelta(days=1)
    end = _moment(filters["end_time"]) if filters.get("end_time") else current
    if start < current - _OLDEST:
        raise Refusal(400, "start_time must be within the last 30 days")
    if not start <= end <= start + _LONGEST:
        raise Refusal(400, "end_time must be within 14 days after start_time")
    return start, end


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except (TypeError, ValueError):
        raise Refusal(400, "invalid time range parameters") from None


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
