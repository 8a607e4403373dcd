"""Events that 100ms sent in vain: what closes the gap is a scheduled `sync --since`, or 100ms' own replay."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.databases import END_SESSIONS
from sandbox.servers import Sandbox
from tests.functional.clients import browser, control, eventually, hms
from tests.functional.databases import rows
from tests.functional.stand import Stand, entered
from tests.functional.test_sandbox_hms import make_room, record
from tests.functional.web_server import SECRET, WebStand, serving, web_stand

TRIES = 3


@dataclass
class Told:
    """The application, and which answers it gave to events."""

    app: ASGIApp
    answers: list[int] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["method"] == "POST":
                self.answers.append(message["status"])
            await send(message)

        await self.app(scope, receive, note)


@pytest.fixture
def place(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[WebStand]:
    """A database that is down is soon given up."""
    monkeypatch.setattr("recordings.web.services.DATABASE_SECONDS", 0.5)
    with entered(sandbox), web_stand(sandbox, Stand.build()) as made, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATABASE_URL", made.database_url)
        yield made


def room_of(sandbox: Sandbox, place: WebStand) -> str:
    """A room whose recordings go into the stack's bucket."""
    raw = place.stand.raw
    upload = {
        "type": "s3",
        "location": raw["bucketName"],
        "prefix": raw["pathPrefix"],
        "options": {"region": raw["region"]},
        "credentials": {"key": raw["writerAccessKeyId"], "secretKey": raw["writerSecretAccessKey"]},
    }
    return make_room(sandbox, upload)


def test_event_that_was_missed_is_made_up_for(sandbox: Sandbox, place: WebStand) -> None:
    """Each try gets 503 while the database is away; later the row comes by either way, and leads to the recording."""
    told, room, before = Told(place.app()), room_of(sandbox, place), control(sandbox, "hms", "GET", "options")
    name, admin = place.database_url.rpartition("/")[2], sandbox.env["DATABASE_URL"]

    def stored() -> list[tuple[str, str]]:
        return rows(place.database_url, "select asset_id, storage_provider from meeting_recordings")

    with (
        serving(told) as address,
        hms(sandbox) as api,
        httpx.Client(base_url=address, trust_env=False, timeout=30) as http,
    ):
        webhook = {"url": f"{address}/webhooks/100ms", "headers": {"X-Webhook-Secret": SECRET}}
        control(sandbox, "hms", "POST", "options", {"webhook": webhook, "retry_delays": [0.05] * (TRIES - 1)})
        rows(admin, f"alter database {name} allow_connections false")
        rows(admin, END_SESSIONS, name)
        try:
            asset = record(api, room)["recording_assets"][0]["id"]
            eventually(lambda: len(told.answers) == TRIES)
        finally:
            rows(admin, f"alter database {name} allow_connections true")
            control(sandbox, "hms", "POST", "options", before)
        assert (told.answers, stored()) == ([503] * TRIES, [])

        done = place.stand.recordings("sync", "--since", "1h", "--room", room)
        assert (done.exit_code, stored()) == (0, [(asset, "s3")]), done.output

        rows(place.database_url, "delete from meeting_recordings")
        assert api.post("/analytics/webhooks/replay", json={"room_id": room}).status_code == 200
        eventually(lambda: stored() == [(asset, "s3")])
        # half a second is little for a busy machine: who is told to try again does
        location = eventually(lambda: http.get(f"/recordings/{asset}/download").headers.get("location"))
    with browser(sandbox) as visitor:
        assert visitor.get(location, headers={"Range": "bytes=4-7"}).content == b"ftyp"
