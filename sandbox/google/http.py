"""Requests and answers as the handlers see them, over ASGI. It knows nothing of Google.

Paths stay percent-encoded until a route has split them: an object's name may hold slashes. Bodies are streamed.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl

from sandbox.google.errors import invalid
from sandbox.servers.serving import Receive, Scope, Send, tls_version

Json = dict[str, Any]
_CHUNK: Final = 256 * 1024
_BODY_LIMIT: Final = 64 * 1024 * 1024


@dataclass
class Request:
    """One request. `path` is percent-encoded; header names are lower case, repeated headers joined by a comma."""

    method: str
    path: str
    raw_query: str
    headers: dict[str, str]
    secure: bool
    receive: Receive = field(repr=False)
    _query: dict[str, str] | None = None
    _is_read: bool = False

    @staticmethod
    def of(scope: Scope, receive: Receive) -> Request:
        """The request that an ASGI scope describes."""
        headers: dict[str, str] = {}
        for raw_name, raw_value in scope["headers"]:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        return Request(
            scope["method"],
            scope["raw_path"].decode("latin-1"),
            scope["query_string"].decode("latin-1"),
            headers,
            tls_version(scope) is not None,
            receive,
        )

    @property
    def query_items(self) -> list[tuple[str, str]]:
        """Decoded query parameters in their order, empty ones too."""
        return parse_qsl(self.raw_query, keep_blank_values=True)

    @property
    def query(self) -> dict[str, str]:
        """Decoded query parameters; of a repeated one the last."""
        if self._query is None:
            self._query = dict(self.query_items)
        return self._query

    @property
    def base(self) -> str:
        """Scheme and authority under which the client reached us."""
        return f"{'https' if self.secure else 'http'}://{self.headers.get('host', '')}"

    async def stream(self) -> AsyncIterator[bytes]:
        """The body, piece by piece. Raises ConnectionError if the client goes away in the middle."""
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError("the client went away")
            more = message.get("more_body", False)
            self._is_read = not more
            if message.get("body"):
                yield message["body"]

    async def drain(self) -> None:
        """Read what nobody wanted, for else the connection breaks under a client that is still sending.

        That is every client: hypercorn answers `Expect: 100-continue` before a handler is asked.
        """
        if not self._is_read:
            async for _ in self.stream():
                pass

    async def body(self) -> bytes:
        """The whole body, up to 64 MiB."""
        pieces = bytearray()
        async for piece in self.stream():
            pieces += piece
            if len(pieces) > _BODY_LIMIT:
                raise invalid("The request body is too large.", "EntityTooLarge")
        return bytes(pieces)

    async def json(self) -> Json:
        """The body as a JSON object; an empty body is an empty object."""
        body = await self.body()
        if not body.strip():
            return {}
        try:
            value = json.loads(body)
        except ValueError:
            raise invalid("Parse Error: the request body is not JSON.") from None
        if not isinstance(value, dict):
            raise invalid("Parse Error: the request body is not a JSON object.")
        return value

    def integer(self, name: str, default: int | None = None) -> int | None:
        """A query parameter that is a whole number."""
        value = self.query.get(name)
        if value is None:
            return default
        if not re.fullmatch(r"-?[0-9]{1,18}", value):
            raise invalid(f"Invalid value for query parameter {name}: {value!r} is not a whole number.")
        return int(value)

    def flag(self, name: str) -> bool:
        """A query parameter that is true or false."""
        value = self.query.get(name, "false").lower()
        if value not in ("true", "false"):
            raise invalid(f"Invalid value for query parameter {name}: {value!r} is neither true nor false.")
        return value == "true"


@dataclass(frozen=True)
class FileSlice:
    """Bytes `start` to `start + length` of a file, as a body."""

    path: Path
    start: int
    length: int


@dataclass
class Response:
    """One answer. A HEAD request gets its headers and no body."""

    status: int = 200
    body: bytes | FileSlice = b""
    headers: list[tuple[str, str]] = field(default_factory=list)

    async def send(self, send: Send, *, head: bool) -> None:
        """Write it to the client."""
        length = self.body.length if isinstance(self.body, FileSlice) else len(self.body)
        headers = [(name.lower().encode(), value.encode("utf-8")) for name, value in self.headers]
        if not any(name == b"content-length" for name, _ in headers) and self.status not in (204, 304):
            headers.append((b"content-length", str(length).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        if not head and isinstance(self.body, FileSlice):
            await _send_file(self.body, send)
        body = b"" if head or isinstance(self.body, FileSlice) else self.body
        await send({"type": "http.response.body", "body": body})


def json_response(value: Json, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Response:
    """An answer in JSON."""
    return Response(status, json.dumps(value).encode(), [("content-type", "application/json; charset=UTF-8"), *headers])


def xml_response(body: str, status: int = 200, headers: Sequence[tuple[str, str]] = ()) -> Response:
    """An answer in XML; `body` has no declaration."""
    document = f"<?xml version='1.0' encoding='UTF-8'?>{body}".encode()
    return Response(status, document, [("content-type", "application/xml; charset=UTF-8"), *headers])


async def _send_file(part: FileSlice, send: Send) -> None:
    left = part.length
    with part.path.open("rb") as file:
        file.seek(part.start)
        while left > 0 and (piece := file.read(min(_CHUNK, left))):
            left -= len(piece)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
