"""A transaction-mode pooler of a few lines, where PgBouncer is not installed: harsher than it, and for tests alone.

Each transaction goes to the server connection that was idle longest, so what a client leaves behind in a session is
never there for its next transaction. It knows one user, believes every password, and speaks no TLS.

Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from io import BufferedIOBase
from queue import SimpleQueue
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import psycopg

_SSL, _GSS = 80877103, 80877104
_REPORTED = ("server_version", "client_encoding", "standard_conforming_strings", "DateStyle", "TimeZone")
_ANSWERED = b"QFS"
"""Messages that a ReadyForQuery answers: Query, FunctionCall, Sync."""

Server = tuple[socket.socket, BufferedIOBase]
"""A connection to Postgres, and its buffered end to read from."""


@contextmanager
def pooler(database_url: str, *, servers: int = 2) -> Iterator[int]:
    """Serve on a port of the loopback interface, with that many server connections for everybody; gives the port."""
    with ExitStack() as stack:
        opened = [stack.enter_context(psycopg.connect(database_url, sslmode="disable")) for _ in range(servers)]
        pool = stack.enter_context(_Pooler(_greeting(opened[0])))
        for connection in opened:  # libpq has logged in; from here on its socket is ours
            server = stack.enter_context(socket.socket(fileno=os.dup(connection.fileno())))
            server.setblocking(True)
            pool.idle.put((server, stack.enter_context(server.makefile("rb"))))
        thread = threading.Thread(target=pool.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield pool.server_address[1]
        finally:
            pool.shutdown()
            thread.join()
            pool.cut_off()
            pool.server_close()


class _Pooler(ThreadingTCPServer):
    """A thread for each client. `server_close` waits for all of them, so that nothing of theirs stays open."""

    request_queue_size = 128

    def __init__(self, greeting: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Client)
        self.greeting = greeting
        self.idle: SimpleQueue[Server] = SimpleQueue()
        self.clients: set[socket.socket] = set()

    def get_request(self) -> tuple[socket.socket, Any]:
        client, address = super().get_request()
        self.clients.add(client)
        return client, address

    def shutdown_request(self, request: Any) -> None:
        self.clients.discard(request)
        super().shutdown_request(request)

    def cut_off(self) -> None:
        """Whoever is still connected hears the end."""
        for client in list(self.clients):
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)


class _Client(StreamRequestHandler):
    """One client, until it says goodbye or is gone."""

    server: _Pooler
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with suppress(EOFError, ConnectionError):
            self._greet()
            while self._transaction():
                pass

    def _greet(self) -> None:
        while True:
            length, code = struct.unpack("!ii", _exactly(self.rfile, 8))
            _exactly(self.rfile, length - 8)
            if code not in (_SSL, _GSS):
                self.wfile.write(self.server.greeting)
                return
            self.wfile.write(b"N")

    def _transaction(self) -> bool:
        """Carry messages both ways until a transaction is over; gives False once the client says goodbye."""
        kind, message = _read(self.rfile)
        if kind == b"X":
            return False
        server = self.server.idle.get()
        try:
            while True:
                server[0].sendall(message)
                if kind in _ANSWERED and self._answer(server[1]) == b"I":
                    return True
                kind, message = _read(self.rfile)
        finally:
            self.server.idle.put(server)

    def _answer(self, server: BufferedIOBase) -> bytes:
        """Carry an answer to the client; gives the state of the transaction after it."""
        while True:
            kind, message = _read(server)
            self.wfile.write(message)
            if kind == b"Z":
                return message[-1:]


def _greeting(connection: psycopg.Connection[Any]) -> bytes:
    """What a client is told that has logged in."""
    reported = {name: connection.info.parameter_status(name) or "" for name in _REPORTED}
    told = _message(b"R", struct.pack("!i", 0))
    told += b"".join(_message(b"S", f"{name}\0{value}\0".encode()) for name, value in reported.items())
    return told + _message(b"K", struct.pack("!ii", 1, 1)) + _message(b"Z", b"I")


def _read(stream: BufferedIOBase) -> tuple[bytes, bytes]:
    head = _exactly(stream, 5)
    return head[:1], head + _exactly(stream, struct.unpack("!i", head[1:])[0] - 4)


def _exactly(stream: BufferedIOBase, size: int) -> bytes:
    found = stream.read(size)
    if len(found) < size:
        raise EOFError
    return found


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body
