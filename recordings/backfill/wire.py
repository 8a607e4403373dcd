"""One pooled HTTP client for bodies of many megabytes: read into a buffer, written out of it, no copy in between.

Owns connections, TLS, timeouts and proxies. Knows no URL's meaning and tries nothing twice, but for a connection that
the other side had closed while it lay in the pool. Not httpx: that hands a body over in small pieces, which costs more
time than the network; the standard library reads straight into a buffer of ours.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from recordings.hms_auth import is_loopback
from recordings.hosts import Hosts, Origin

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 60.0
"""Between two bytes; no call waits for ever."""
PIECE: Final = 1 << 20
"""Bytes read at a time, and written while they are still in the processor's cache."""
_MOST_ERROR: Final = 64 * 1024

FAILURES: Final = (OSError, http.client.HTTPException)
"""What a broken connection raises; another try may do."""


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case, repeated ones joined with commas), and the body of what is small."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""


class ShortBodyError(http.client.HTTPException):
    """The other side sent fewer bytes than it announced."""


class Wire:
    """The client. `hosts` is asked before every connection; None for addresses that are our own configuration."""

    def __init__(self, hosts: Hosts | None = None, *, timeout: float = READ_SECONDS) -> None:
        self._hosts = hosts
        self._timeout = timeout
        self._idle: dict[Origin, list[_Connection]] = {}
        self._busy: set[_Connection] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._tls: ssl.SSLContext | None = None

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[Exchange]:
        """GET; the answer's body is read inside the block. Raises FAILURES, or HmsError for a host that is refused."""
        with self._exchange(url) as (exchange, connection, target):
            connection.request("GET", target, headers=dict(headers))
            exchange.begin()
            yield exchange

    def head(self, url: str, headers: Mapping[str, str]) -> Answer:
        """HEAD. Raises FAILURES."""
        with self._exchange(url) as (exchange, connection, target):
            connection.request("HEAD", target, headers=dict(headers))
            return exchange.end()

    @contextmanager
    def put(self, url: str, headers: Mapping[str, str], length: int) -> Iterator[Exchange]:
        """PUT `length` bytes, which are written inside the block, before `end`. Raises FAILURES."""
        with self._exchange(url) as (exchange, connection, target):
            connection.putrequest("PUT", target, skip_accept_encoding=True)
            for name, value in {**headers, "Content-Length": str(length)}.items():
                connection.putheader(name, value)
            connection.endheaders()
            yield exchange

    def close(self) -> None:
        """Cut every connection, those that are in use too: their calls end with one of FAILURES."""
        with self._lock:
            self._closed = True
            idle = [connection for each in self._idle.values() for connection in each]
            self._idle.clear()
            for connection in self._busy:
                connection.cut()
        for connection in idle:
            connection.close()

    @contextmanager
    def _exchange(self, url: str) -> Iterator[tuple[Exchange, _Connection, str]]:
        """A connection to where the URL leads, back in the pool after an exchange that came to an end in good order."""
        origin, target = self._place(url)
        connection = self._take(origin)
        exchange = Exchange(connection)
        try:
            yield exchange, connection, target
        except BaseException:
            self._give_back(origin, connection, alive=False)
            raise
        self._give_back(origin, connection, alive=exchange.is_done)

    def _place(self, url: str) -> tuple[Origin, str]:
        """Where a URL leads to, and what is asked for there."""
        parts = urlsplit(url)
        return self._origin(url), f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"

    def _origin(self, url: str) -> Origin:
        if self._hosts is not None:
            return self._hosts.check(url)
        parts = urlsplit(url)
        return Origin(parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))

    def _take(self, origin: Origin) -> _Connection:
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError("the run was stopped")
            idle = self._idle.get(origin)
            connection = idle.pop() if idle else _Connection(origin, self._hosts, self._timeout, self._context(origin))
            self._busy.add(connection)
        if connection.is_over():
            connection.close()  # and made anew by the request
        return connection

    def _give_back(self, origin: Origin, connection: _Connection, *, alive: bool) -> None:
        with self._lock:
            self._busy.discard(connection)
            if alive and not self._closed:
                self._idle.setdefault(origin, []).append(connection)
                return
        connection.close()

    def _context(self, origin: Origin) -> ssl.SSLContext | None:
        """One context for all, so that sessions are resumed; it trusts what SSL_CERT_FILE or the system names."""
        if origin.scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls if origin.scheme == "https" else None


class Exchange:
    """One request that was sent, and its answer; `is_done` once all of it was read."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._answer: http.client.HTTPResponse | None = None
        self.status = 0
        self.headers: Mapping[str, str] = {}

    def begin(self) -> None:
        """Read the head of the answer."""
        self._answer = self._connection.getresponse()
        self.status = self._answer.status
        joined: dict[str, str] = {}
        for name, value in self._answer.getheaders():
            name = name.lower()
            joined[name] = f"{joined[name]},{value}" if name in joined else value
        self.headers = joined

    @property
    def length(self) -> int | None:
        """Bytes of the body that are still to come; None if it does not say."""
        return self._answer.length if self._answer else None

    @property
    def is_done(self) -> bool:
        """Whether the connection can be used again."""
        return self._answer is not None and self._answer.isclosed() and not self._answer.will_close

    def small(self) -> Answer:
        """The whole answer; of a body that is larger than an error or a list has to be, the beginning."""
        assert self._answer is not None
        return Answer(self.status, self.headers, self._answer.read(_MOST_ERROR))

    def pieces(self, buffer: memoryview, *, keep: bool = False) -> Iterator[memoryview]:
        """The body, in pieces that lie in `buffer` until the next is asked for, or with `keep` one after the other."""
        assert self._answer is not None
        at = 0
        while left := self._answer.length or 0:
            count = self._answer.readinto(buffer[at : at + min(left, PIECE)])
            if not count:
                raise ShortBodyError(f"{left} bytes did not come")
            yield buffer[at : at + count]
            at += count if keep else 0
        self._answer.close()

    def write(self, piece: memoryview) -> None:
        """Send a piece of the request's body."""
        self._connection.send(piece)

    def end(self) -> Answer:
        """The answer, after the last piece, or after the other side refused to take more."""
        self.begin()
        return self.small()


class _Connection(http.client.HTTPConnection):
    """A connection that looks where it leads before it sends anything."""

    def __init__(self, origin: Origin, hosts: Hosts | None, timeout: float, tls: ssl.SSLContext | None) -> None:
        proxy = _proxy(origin)
        super().__init__(*(proxy or (origin.host, origin.port)), timeout=timeout)
        if tls is not None:
            self.default_port = 443
        if proxy:
            self.set_tunnel(origin.host, origin.port)
        self._origin, self._hosts, self._tls, self._by_proxy = origin, hosts, tls, bool(proxy)

    def connect(self) -> None:
        """Connect, to a checked address; TLS is for the origin's name."""
        if self._by_proxy:
            super().connect()  # the proxy looks the name up: only the name could be checked
        else:
            self.sock = self._dial()
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._tls is not None:
            self.sock = self._tls.wrap_socket(self.sock, server_hostname=self._origin.host)

    def is_over(self) -> bool:
        """Whether the other side has closed it, or sent what nobody asked for, while it lay in the pool."""
        return self.sock is not None and bool(select.select([self.sock], [], [], 0)[0])

    def cut(self) -> None:
        """End it under a call that is waiting for it.

        Not by the TLS layer's own method: that takes itself away first, and what is written then would go in clear.
        """
        if self.sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def _dial(self) -> socket.socket:
        origin, hosts = self._origin, self._hosts
        failure: OSError = ConnectionError("no address")
        for address in hosts.addresses(origin) if hosts else [origin.host]:
            try:
                found = socket.create_connection((address, origin.port), timeout=CONNECT_SECONDS)
            except OSError as error:
                failure = error
                continue
            found.settimeout(self.timeout)
            return found
        raise failure


def _proxy(origin: Origin) -> tuple[str, int] | None:
    """What the environment names for this origin; never for one without TLS or on this machine."""
    if origin.scheme != "https" or is_loopback(origin.host) or proxy_bypass(origin.host):
        return None
    parts = urlsplit(getproxies().get("https", ""))
    return (parts.hostname, parts.port or 8080) if parts.hostname else None
