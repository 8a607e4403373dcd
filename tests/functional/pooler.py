"""A transaction-mode pooler of a few lines, where PgBouncer is not installed: harsher than it, and for tests alone.

Each transaction goes to the server connection that was idle longest, so what a client leaves behind in a session is
never there for its next transaction. It knows one user, believes every password, and speaks no TLS.

Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg

_SSL, _GSS = 80877103, 80877104
_REPORTED = ("server_version", "client_encoding", "standard_conforming_strings", "DateStyle", "TimeZone")
_ANSWERED = b"QFS"
"""Messages that a ReadyForQuery answers: Query, FunctionCall, Sync."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@contextmanager
def pooler(database_url: str, *, servers: int = 2) -> Iterator[int]:
    """Serve on a port of the loopback interface, with that many server connections for everybody; gives the port."""
    with ExitStack() as stack:
        opened = [stack.enter_context(psycopg.connect(database_url, sslmode="disable")) for _ in range(servers)]
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        loop = asyncio.new_event_loop()
        stop = asyncio.Event()
        thread = threading.Thread(target=loop.run_until_complete, args=(_serve(listener, opened, stop),))
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(20)
            loop.close()


async def _serve(listener: socket.socket, opened: Sequence[psycopg.Connection[Any]], stop: asyncio.Event) -> None:
    reported = {name: opened[0].info.parameter_status(name) or "" for name in _REPORTED}
    greeting = _message(b"R", struct.pack("!i", 0))
    greeting += b"".join(_message(b"S", f"{name}\0{value}\0".encode()) for name, value in reported.items())
    greeting += _message(b"K", struct.pack("!ii", 1, 1)) + _message(b"Z", b"I")
    idle: asyncio.Queue[Stream] = asyncio.Queue()
    for connection in opened:  # libpq has logged in; from here on its socket is ours
        idle.put_nowait(await asyncio.open_connection(sock=socket.socket(fileno=os.dup(connection.fileno()))))

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            await _greet(reader, writer, greeting)
            while await _transaction(reader, writer, idle):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(client, sock=listener):
        await stop.wait()
    while not idle.empty():
        idle.get_nowait()[1].close()


async def _greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, greeting: bytes) -> None:
    while True:
        length, code = struct.unpack("!ii", await reader.readexactly(8))
        await reader.readexactly(length - 8)
        if code not in (_SSL, _GSS):
            writer.write(greeting)
            return
        writer.write(b"N")


async def _transaction(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, idle: asyncio.Queue[Stream]) -> bool:
    """Carry messages both ways until a transaction is over; gives False once the client says goodbye."""
    kind, message = await _read(reader)
    if kind == b"X":
        return False
    server = await idle.get()
    try:
        while True:
            server[1].write(message)
            if kind in _ANSWERED:
                state = await _answer(server[0], writer)
                if state == b"I":
                    return True
            kind, message = await _read(reader)
    finally:
        idle.put_nowait(server)


async def _answer(server: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """Carry an answer to the client; gives the state of the transaction after it."""
    while True:
        kind, message = await _read(server)
        writer.write(message)
        if kind == b"Z":
            return message[-1:]


async def _read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body
