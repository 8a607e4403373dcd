"""HTTP/1.1 on raw sockets, as much of it as the source and the sink need, one thread a connection.

Owns reading requests and counting bytes. A framework would be the limit of what is measured: here a body leaves by
`sendfile` and arrives to be dropped by the kernel, with no copy into this process, as long as there is no TLS.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_MOST_HEAD: Final = 64 * 1024
_SCRATCH: Final = 1 << 20


@dataclass(frozen=True)
class Request:
    """The head of a request; the names of `headers` are in lower case."""

    method: str
    target: str
    headers: dict[str, str]

    @property
    def length(self) -> int:
        """Bytes of the body, as announced."""
        return int(self.headers.get("content-length", "0"))


class Wire:
    """One connection: heads are read, bodies dropped, answers sent."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._ahead = bytearray()
        self._scratch = bytearray(_SCRATCH)
        self._flags = 0 if isinstance(connection, ssl.SSLSocket) else getattr(socket, "MSG_TRUNC", 0)

    @property
    def plain(self) -> bool:
        """Whether there is no TLS, so that `sendfile` will do."""
        return not isinstance(self.socket, ssl.SSLSocket)

    def request(self) -> Request | None:
        """The next request; None when the client has left."""
        while (end := self._ahead.find(b"\r\n\r\n")) < 0:
            if len(self._ahead) > _MOST_HEAD or not (piece := self.socket.recv(_MOST_HEAD)):
                return None
            self._ahead += piece
        head = self._ahead[:end].decode("latin-1").split("\r\n")
        del self._ahead[: end + 4]
        method, target, _ = head[0].split(" ", 2)
        fields = (line.partition(":") for line in head[1:])
        return Request(method, target, {name.strip().lower(): value.strip() for name, _, value in fields})

    def drop_body(self, request: Request) -> int:
        """Let the body come, in one piece or in chunks, and forget it; gives how many bytes came."""
        if request.headers.get("expect", "").lower() == "100-continue":
            self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if request.headers.get("transfer-encoding", "").lower() != "chunked":
            self._drop(request.length)
            return request.length
        total = 0
        while count := int(self._line(), 16):
            total += count
            self._drop(count + 2)
        while self._line():
            pass
        return total

    def _drop(self, count: int) -> None:
        left = count - len(self._ahead)
        del self._ahead[:count]
        while left > 0:
            # without TLS the kernel drops the bytes (tcp(7), MSG_TRUNC)
            got = self.socket.recv_into(self._scratch, min(left, _SCRATCH), self._flags)
            if not got:
                raise ConnectionError("the client left in mid-body")
            left -= got

    def _line(self) -> bytes:
        while (end := self._ahead.find(b"\r\n")) < 0:
            if not (piece := self.socket.recv(_MOST_HEAD)):
                raise ConnectionError("the client left in mid-body")
            self._ahead += piece
        line = bytes(self._ahead[:end])
        del self._ahead[: end + 2]
        return line

    def answer(self, status: str, headers: dict[str, str], body: bytes = b"", *, length: int | None = None) -> None:
        """Send a head, and a body that is in memory; `length` announces another one, to be sent by the caller."""
        fields = {"Content-Length": str(len(body) if length is None else length), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.socket.sendall(f"HTTP/1.1 {status}\r\n{head}\r\n".encode("latin-1") + body)


def serve(listener: socket.socket, tls: ssl.SSLContext | None, handle: Callable[[Wire, Request], None]) -> None:
    """Accept for ever, a thread for each connection."""
    while True:
        connection, _ = listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=_converse, args=(connection, tls, handle), daemon=True).start()


def _converse(connection: socket.socket, tls: ssl.SSLContext | None, handle: Callable[[Wire, Request], None]) -> None:
    try:
        with tls.wrap_socket(connection, server_side=True) if tls else connection as stream:
            wire = Wire(stream)
            while (request := wire.request()) is not None:
                handle(wire, request)
    except OSError:
        return  # a client that leaves in the middle is no event
