"""The fake 100ms API in this process: no server, no storage behind it."""

from __future__ import annotations

import asyncio
import ssl
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import jwt

from sandbox.hms.app import Hms
from sandbox.hms.state import State
from sandbox.hms.uploads import Uploader
from sandbox.hms.webhooks import Webhooks
from sandbox.servers.settings import Settings

NOWHERE = Path("/nonexistent")


class Api:
    """Calls the application as a client would, with a good token unless told otherwise."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.state = State()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        webhooks = Webhooks(self.state, self.settings.hms_customer, self.settings.hms_app, tls)
        self.hms = Hms(self.state, self.settings, Uploader({}, NOWHERE), webhooks, NOWHERE)

    def token(self, *, secret: str | None = None, **claims: Any) -> str:
        """A management token; `claims` replace or, with None, remove some."""
        now = int(time.time())
        good = {"access_key": self.settings.hms_access_key, "type": "management", "version": 2}
        good |= {"jti": str(uuid.uuid4()), "iat": now, "nbf": now, "exp": now + 60}
        given = {name: value for name, value in {**good, **claims}.items() if value is not None}
        return jwt.encode(given, secret or self.settings.hms_app_secret, algorithm="HS256")

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None, **how: Any) -> httpx.Response:
        """One request; paths are under /v2 unless they start with /_sandbox."""
        return asyncio.run(self._call(method, path, body, self.token() if token is None else token, **how))

    async def _call(self, method: str, path: str, body: Any, token: str, **how: Any) -> httpx.Response:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        url = path if path.startswith("/_sandbox") else f"/v2{path}"
        transport = httpx.ASGITransport(app=self.hms)
        async with httpx.AsyncClient(transport=transport, base_url="https://api") as client:
            return await client.request(method, url, json=body, headers=headers, **how)

    def get(self, path: str, **params: Any) -> Any:
        """The answer of a GET that must be right."""
        answer = self.call("GET", path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: Any) -> Any:
        """The answer of a POST that must be right."""
        answer = self.call("POST", path, body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def seed(self, **wanted: Any) -> Any:
        """Make templates, rooms, recording assets."""
        return self.post("/_sandbox/seed", wanted)

    def refusal(self, method: str, path: str, body: Any = None, **how: Any) -> tuple[int, str]:
        """Status and message of an error, whose body must have the documented form."""
        answer = self.call(method, path, body, **how)
        told = answer.json()
        assert set(told) == {"code", "message", "details"}
        assert told["code"] == answer.status_code
        return answer.status_code, told["message"]
