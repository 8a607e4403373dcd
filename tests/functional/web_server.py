"""The web application over a socket, as uvicorn serves it, with rows and objects of a test's own."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import uvicorn
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import ASGIApp

from recordings.catalog import Catalog
from recordings.catalog_entries import CatalogEntry
from recordings.database import connect
from recordings.hms_auth import HmsCredentials
from recordings.migrate import migrations, run_migrations
from recordings.web import Action, create_app
from recordings.webhook_guard import WebhookSettings
from sandbox.servers import Sandbox
from tests.functional.databases import temporary_database
from tests.functional.stand import Stand

if TYPE_CHECKING:
    from tests.functional.google_stand import GoogleStand

ROOM = "65a0f1e2c3b4a59687d8e9f0"
START = datetime(2026, 1, 15, 10, 0, tzinfo=UTC)
SECRET = "a-secret-of-the-webhook"


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """Serve on a free port of the loopback interface; gives the address, and raises what the server died of."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=5)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=asyncio.run, args=(server.serve([listener]),), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive(), "the server did not stop"


async def everybody(request: Request, action: Action, recording: CatalogEntry | None) -> bool:
    """A hook for tests that are about something else."""
    return True


@dataclass
class WebStand:
    """A bucket and a database of its own."""

    stand: Stand | GoogleStand
    database_url: str = field(repr=False)
    hms: HmsCredentials = field(repr=False)
    count: int = 0

    def add(self, path: str | None = None, provider: str | None = None, **more: Any) -> str:
        """A row; gives its id. With no path, that of an object that has none."""
        self.count += 1
        asset_id = str(more.pop("asset_id", f"asset-{self.count}"))
        row: dict[str, Any] = {
            "type": "room-composite",
            "status": "completed",
            "room_id": ROOM,
            "size": 9,
            "duration": 65.0,
            "recorded_at": START + timedelta(minutes=self.count),
            "synced_at": START,
            "file_path": path or self.path(f"recordings/missing-{self.count}.mp4"),
        }
        with connect(SecretStr(self.database_url)) as connection:
            Catalog(connection).upsert([CatalogEntry(asset_id, provider or self.stand.provider, **(row | more))])
        return asset_id

    def put(self, name: str = "Rec.mp4", body: bytes = b"recording", **more: Any) -> str:
        """An object under the prefix; gives its path."""
        key = f"recordings/beam/{ROOM}/20260115/{name}"
        self.stand.put(key, body, "video/mp4", **more)
        return self.path(key)

    def path(self, key: str) -> str:
        """As 100ms would report it."""
        return f"{'gs' if self.stand.provider == 'gcs' else 's3'}://{self.stand.bucket}/{key}"

    def app(self, authorise: Any = everybody, **more: Any) -> Starlette:
        """The application over this bucket and database."""
        options: dict[str, Any] = {"hms": self.hms, "webhook": WebhookSettings(SecretStr(SECRET))} | more
        outputs = options.pop("outputs", self.stand.outputs)
        return create_app(
            outputs, SecretStr(options.pop("database_url", self.database_url)), authorise=authorise, **options
        )


@contextmanager
def web_stand(sandbox: Sandbox, stand: Stand | GoogleStand) -> Iterator[WebStand]:
    """A migrated, empty database beside `stand`."""
    with temporary_database(sandbox) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            run_migrations(connection, migrations())
        yield WebStand(stand, url, HmsCredentials.from_environment(sandbox.env))


@contextmanager
def client(app: ASGIApp) -> Iterator[httpx.Client]:
    """Serve, and give a client that follows no redirect."""
    with serving(app) as address, httpx.Client(base_url=address, timeout=30, trust_env=False) as http:
        yield http
