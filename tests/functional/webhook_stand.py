"""The webhook's endpoint over the sandbox: an application with nothing else, events, and what became of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette

from recordings.catalog import AsyncCatalog
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.outputs import StackOutputs
from recordings.retry import RetryPolicy
from recordings.webhook import PATH, Ingest, webhook_route
from recordings.webhook_guard import WebhookSettings
from sandbox.bench_sync import OUTPUTS
from sandbox.hms.state import new_id
from sandbox.servers import Sandbox
from tests.functional.clients import control
from tests.functional.databases import rows
from tests.functional.stand import entered

SECRET = "the-secret-of-the-webhook"
BUCKET = "webhook-bucket"
SETTINGS = WebhookSettings(secret=SecretStr(SECRET))
Post = Callable[..., httpx.Response]


@asynccontextmanager
async def application(sandbox: Sandbox, database: str, **changes: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with nothing but the endpoint.

    It asks 100ms as often as `quick_client` does, with more patience: nobody sends again here.
    """
    outputs = StackOutputs.from_mapping(OUTPUTS | {"bucketName": BUCKET, **changes})
    with HmsClient(HmsCredentials.from_environment(sandbox.env), policy=RetryPolicy(attempts=2, base=0.2)) as hms:
        async with AsyncCatalog.open(SecretStr(database), size=4) as catalog:
            app = Starlette(routes=[webhook_route(SETTINGS, Ingest(hms, outputs, catalog))])
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://application") as client:
                yield client


@contextmanager
def posting(sandbox: Sandbox, database: str) -> Iterator[Post]:
    """Sends events, together if there are several, and gives the last answer; `stack` changes the stack's outputs."""

    async def sent(events: tuple[Any, ...], headers: dict[bytes, bytes], stack: dict[str, Any]) -> list[httpx.Response]:
        async with application(sandbox, database, **stack) as client:
            return list(await asyncio.gather(*(client.post(PATH, json=event, headers=headers) for event in events)))

    def run(*events: Any, secret: str = SECRET, **stack: Any) -> httpx.Response:
        answers = asyncio.run(sent(events, {b"X-Webhook-Secret": secret.encode("latin-1")}, stack))
        assert len({answer.status_code for answer in answers}) == 1
        return answers[-1]

    with entered(sandbox):
        yield run


def seed(sandbox: Sandbox, **asset: Any) -> dict[str, str]:
    """Make a recording asset in our bucket; gives what an event says of it."""
    ids = {"room_id": new_id(), "session_id": new_id(), **asset}
    path = f"s3://{BUCKET}/recordings/beam/{ids['room_id']}/20260801/Rec-{ids['room_id']}-1785542400123.mp4"
    made = control(sandbox, "hms", "POST", "seed", {"assets": [{"path": path, **ids}]})
    return {"room_id": ids["room_id"], "session_id": ids["session_id"], "recording_id": made["assets"][0]}


def event(data: dict[str, Any], kind: str = "beam.recording.success", **envelope: Any) -> dict[str, Any]:
    return {"version": "2.0", "id": "e", "account_id": "account", "type": kind, "data": data, **envelope}


def stored(database: str) -> list[tuple[Any, ...]]:
    return rows(database, "select asset_id, storage_provider, status, size from meeting_recordings order by asset_id")
