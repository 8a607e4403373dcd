"""A fake 100ms API, to the letter of its public documentation, as an ASGI application.

Everything under `/v2` asks for a management token. Outside of it, and not of 100ms, are the means to test with:
`/_sandbox/faults` (`sandbox.servers.faults`), `POST /_sandbox/seed` (`sandbox.hms.seed`), `POST /_sandbox/forget` (what
came since the start is gone) and `GET` or `POST /_sandbox/options` (`sandbox.hms.state.Options`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from sandbox.hms.assets import Assets
from sandbox.hms.http import Json, Refusal, Request, Routes, parse_query
from sandbox.hms.recordings import Recordings
from sandbox.hms.rooms import Rooms
from sandbox.hms.seed import Seeder, first_state
from sandbox.hms.state import Options, State
from sandbox.hms.storage import Storage
from sandbox.hms.templates import Templates
from sandbox.hms.tokens import check_token
from sandbox.hms.uploads import Uploader
from sandbox.hms.webhooks import Webhooks
from sandbox.servers.faults import answer_json, read_body
from sandbox.servers.serving import Receive, Scope, Send
from sandbox.servers.settings import Settings

API: Final = "/v2"
_CONTROL: Final = "/_sandbox"


def own_storage(settings: Settings) -> Storage:
    """100ms' own bucket, where recordings without a storage setting go."""
    return Storage(
        type="s3",
        location=settings.hms_own_bucket,
        prefix=settings.hms_customer,
        region=settings.region,
        key=settings.hms_own_access_key_id,
        secret=settings.hms_own_secret_access_key,
    )


class Hms:
    """The application. `folder` is where the movie that it uploads is kept."""

    def __init__(self, state: State, settings: Settings, uploader: Uploader, webhooks: Webhooks, folder: Path) -> None:
        self._state = state
        self._settings = settings
        customer = settings.hms_customer
        own = own_storage(settings)
        templates = Templates(state, customer)
        rooms = Rooms(state, customer, settings.hms_app, settings.hms_template)
        assets = Assets(state, uploader)
        self.recordings = Recordings(state, templates, rooms, assets, webhooks, uploader, own, customer, folder)
        self._routes = Routes()
        for part in (templates, rooms, assets, self.recordings, webhooks):
            part.routes(self._routes)
        self._templates, self._rooms, self._assets = templates, rooms, assets
        first_state(state, settings, templates, rooms)
        self._seeder = Seeder(state, templates, rooms, own, settings.hms_room)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        query = parse_query(scope.get("query_string", b""))
        request = Request(scope["method"], scope["path"], query, headers, await read_body(receive))
        try:
            body = self._answer(request)
        except Refusal as refusal:
            await answer_json(send, refusal.body, refusal.code)
            return
        await answer_json(send, body)

    def _answer(self, request: Request) -> Any:
        if request.path.startswith(f"{_CONTROL}/"):
            return self._control(request)
        if not request.path.startswith(f"{API}/"):
            raise Refusal(404, "Not Found")
        check_token(request.headers, self._settings.hms_access_key, self._settings.hms_app_secret)
        inner = Request(request.method, request.path.removeprefix(API), request.query, request.headers, request.content)
        body = self._routes.call(inner)
        if request.method != "GET":
            self._state.save()
        # what a handler answers is part of the state, which may change before the answer is sent
        return json.loads(json.dumps(body))

    def _control(self, request: Request) -> Json:
        if request.path == f"{_CONTROL}/seed" and request.method == "POST":
            return self._seeder.seed(request.object())
        if request.path == f"{_CONTROL}/forget" and request.method == "POST":
            return self._forget()
        if request.path == f"{_CONTROL}/options":
            if request.method == "POST":
                self._change_options(request.object())
            return asdict(self._state.options)
        raise Refusal(404, "Not Found")

    def _forget(self) -> Json:
        """Be as at the start again: what came since is gone, and what was going on is given up."""
        self.recordings.give_up()
        self._assets.forget()
        for kind in (self._state.templates, self._state.rooms, self._state.recordings, self._state.events):
            kind.clear()
        first_state(self._state, self._settings, self._templates, self._rooms)
        self._state.save()
        return {}

    def _change_options(self, changes: Json) -> None:
        known = {field.name for field in fields(Options)}
        if unknown := set(changes) - known:
            raise Refusal(400, f"unknown options {sorted(unknown)}: {sorted(known)} are known")
        self._state.options = Options(**{**asdict(self._state.options), **changes})
        self._state.save()


def error_body(status: int) -> tuple[str, bytes]:
    """An error of the fake's choosing, in 100ms' form."""
    message = "Too many requests" if status == HTTPStatus.TOO_MANY_REQUESTS else HTTPStatus(status).phrase
    return "application/json", json.dumps(Refusal(status, message).body).encode()
