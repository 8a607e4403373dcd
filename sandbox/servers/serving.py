"""Serve one ASGI application on one listening socket, over TLS and in plain HTTP on the same port.

The first byte of a connection tells which (0x16 starts a TLS handshake), so that `http://host:port/...` reaches the
application and is refused by policy, as on AWS, rather than by a broken connection. HTTP itself is hypercorn's.
Scopes get the ASGI `tls` extension with the version that was really negotiated, and `sandbox.abort`, a function
that cuts the connection.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, Final

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from hypercorn.typing import LifespanState

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

_TLS_HANDSHAKE: Final = b"\x16"
_TLS_VERSIONS: Final = {"TLSv1": 0x0301, "TLSv1.1": 0x0302, "TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
_FIRST_BYTE_SECONDS: Final = 30.0
_GRACE_SECONDS: Final = 2.0
_GOODBYE_SECONDS: Final = 0.2
"""How long to wait for the other side's part of ending TLS; clients with idle connections never send it."""


def tls_version(scope: Scope) -> str | None:
    """The connection's TLS version as `s3:TlsVersion` writes it (`1.2`), or None for plain HTTP."""
    number = scope.get("extensions", {}).get("tls", {}).get("tls_version")
    return None if number is None else f"1.{number - 0x0301}"


async def serve(application: Application, listener: socket.socket, tls: ssl.SSLContext, stop: asyncio.Event) -> None:
    """Accept connections until `stop` is set, then end open ones within two seconds."""
    listener.setblocking(False)
    server = _Server(application, tls)
    accepting = asyncio.create_task(server.accept(listener))
    await stop.wait()
    accepting.cancel()
    listener.close()
    await server.close()


class _Server:
    def __init__(self, application: Application, tls: ssl.SSLContext) -> None:
        self._application = application
        self._tls = tls
        self._context = WorkerContext(None)
        self._connections: set[asyncio.Task[None]] = set()
        self._config = Config()
        self._config.keep_alive_timeout = 75
        self._config.keep_alive_max_requests = 1_000_000
        self._config.loglevel = "WARNING"
        self._config.include_server_header = False

    async def accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            task = loop.create_task(self._connection(connection))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)

    async def close(self) -> None:
        await self._context.terminated.set()
        if self._connections:
            await asyncio.wait(self._connections, timeout=_GRACE_SECONDS)
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connection(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            secure = await asyncio.wait_for(_peek(connection), _FIRST_BYTE_SECONDS) == _TLS_HANDSHAKE
            reader = asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol,
                connection,
                ssl=self._tls if secure else None,
                ssl_shutdown_timeout=_GOODBYE_SECONDS if secure else None,
            )
        except (OSError, TimeoutError):
            connection.close()
            return
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        application = ASGIWrapper(_with_extensions(self._application, writer))  # type: ignore[arg-type]
        with suppress(OSError):  # a client that leaves in the middle is no event
            await TCPServer(application, loop, self._config, self._context, LifespanState(), reader, writer)


async def _peek(connection: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(connection, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(connection)
    return connection.recv(1, socket.MSG_PEEK)


def _with_extensions(application: Application, writer: asyncio.StreamWriter) -> Application:
    ssl_object: ssl.SSLObject | None = writer.get_extra_info("ssl_object")
    ours: dict[str, Any] = {"sandbox.abort": writer.transport.abort}
    if ssl_object is not None:
        ours["tls"] = {"tls_version": _TLS_VERSIONS.get(ssl_object.version() or "")}

    async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"] = {**scope.get("extensions", {}), **ours}
        await application(scope, receive, send)

    return wrapped
