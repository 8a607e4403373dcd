"""Answers of the web application: what a refusal is, its JSON, and the headers that every answer has.

Owns HTTP form alone. A refusal has the body `{"error": {"code", "message", …}}`; browsers that ask for HTML get the
same in a sentence.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recordings.errors import DatabaseError, RecordingsError, UsageError

NO_STORE: Final = {"Cache-Control": "no-store"}
_SAFE: Final[Mapping[str, str]] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
_RETRY_SECONDS: Final = "5"
log = logging.getLogger("recordings.web")


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of this program
    """A request is answered with `status` and an error of this `code`; `more` are further fields of the error."""

    def __init__(self, status: int, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"code": code, "message": message, **more}


def refuse(request: Request, error: Exception) -> Response:
    """The answer to a Refusal."""
    assert isinstance(error, Refusal)
    headers = dict(NO_STORE) | ({"Retry-After": _RETRY_SECONDS} if error.status == 503 else {})
    return JSONResponse({"error": error.error}, error.status, headers)


def refuse_http(request: Request, error: Exception) -> Response:
    """The answer to what Starlette, or the host's hook, raises."""
    assert isinstance(error, HTTPException)
    body = {"error": {"code": f"http-{error.status_code}", "message": error.detail}}
    return JSONResponse(body, error.status_code, {**(error.headers or {}), **NO_STORE})


def refuse_known(request: Request, error: Exception) -> Response:
    """The answer to an error of this library: 400 for bad input, 503 for a database that takes no work, else 502."""
    assert isinstance(error, RecordingsError)
    if isinstance(error, UsageError):
        return refuse(request, Refusal(400, "bad-request", str(error)))
    log.error("%s %s: %s", request.method, request.scope["path"][:200], error)
    if isinstance(error, DatabaseError):
        return refuse(request, Refusal(503, "database", "the database cannot be asked at the moment: try again later"))
    return refuse(request, Refusal(502, "upstream", "the storage or 100ms refused: see the log of this server"))


class SafeHeaders:
    """Adds to every answer what tells browsers to be careful, unless the answer says otherwise itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SAFE.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_safe if scope["type"] == "http" else send)
