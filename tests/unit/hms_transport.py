"""The fake 100ms API in this process as our own client sees it: a transport, with no server and no storage."""

from __future__ import annotations

import asyncio

import httpx
from pydantic import SecretStr

from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from tests.unit.hms_in_process import Api


class InProcess(httpx.BaseTransport):
    """Hands each request to the application. What it begins in the background ends with the request."""

    def __init__(self, api: Api) -> None:
        self._app = api.hms

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return asyncio.run(self._handle(request))

    async def _handle(self, request: httpx.Request) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._app)
        async with httpx.AsyncClient(transport=transport) as client:
            answer = await client.request(request.method, request.url, headers=request.headers, content=request.content)
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


def client_of(api: Api) -> HmsClient:
    """Our client, with the credentials of this workspace."""
    return HmsClient(credentials_of(api), transport=InProcess(api))


def credentials_of(api: Api) -> HmsCredentials:
    settings = api.settings
    return HmsCredentials(access_key=settings.hms_access_key, app_secret=SecretStr(settings.hms_app_secret))
