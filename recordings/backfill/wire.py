"""One pooled HTTP client for bodies of many megabytes: into a buffer, out of a buffer, no copy in between.

Owns connections, TLS, timeouts and proxies. Knows no URL's meaning and tries nothing twice, but for a connection that
the other side had closed while it lay in the pool. Not httpx: that hands a body over in small pieces, which costs more
time than the network; the standard library reads straight into a buffer of ours.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from recordings.backfill.hosts import Hosts, Origin

CONNECT_SECONDS: Final = 10.0
READ_SECONDS: Final = 60.0
"""Between two bytes; no call waits for ever."""
PIECE: Final = 1 << 20
"""Bytes read at a time: `took` sees them while they are still in the processor's cache."""
_MOST_ERROR: Final = 64 * 1024

FAILURES: Final = (OSError, http.client.HTTPException)
"""What a broken connection raises; another try may do."""


@dataclass(frozen=True)
class Answer:
    """Status, headers (names in lower case), and the body where it did not go into a buffer; `count` where it did."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    count: int = 0


class ShortBodyError(http.client.HTTPException):
    """The other side sent fewer bytes than it announced, or more than there is room for."""


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

    def send(self, method: str, url: str, headers: Mapping[str, str], body: memoryview | bytes = b"") -> Answer:
        """Send a body, and read a small answer. Raises one of FAILURES, or HmsError for a host that is refused."""
        return self._exchange(method, url, headers, body, None, lambda _: None)

    def fetch(
        self, url: str, headers: Mapping[str, str], into: memoryview, took: Callable[[memoryview], None]
    ) -> Answer:
        """GET a body into a buffer; `took` is given each piece of it. A body of another status is in the answer."""
        return self._exchange("GET", url, headers, b"", into, took)

    def close(self) -> None:
        """Cut every connection, those that are in use too: their calls end with one of FAILURES."""
        with self._lock:
            self._closed = True
            connections = [*self._busy, *(one for idle in self._idle.values() for one in idle)]
            self._idle.clear()
        for connection in connections:
            connection.cut()

    def _exchange(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: memoryview | bytes,
        into: memoryview | None,
        took: Callable[[memoryview], None],
    ) -> Answer:
        origin, parts = self._origin(url), urlsplit(url)
        target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection, reused = self._take(origin)
        try:
            try:
                connection.request(method, target, body=body, headers=dict(headers))
                answer = connection.getresponse()
            except (ConnectionError, http.client.BadStatusLine):
                if not reused or self._closed:
                    raise
                connection.close()
                connection.request(method, target, body=body, headers=dict(headers))
                answer = connection.getresponse()
            result = _read(answer, into, took)
        except BaseException:
            self._give_back(origin, connection, alive=False)
            raise
        self._give_back(origin, connection, alive=not answer.will_close)
        return result

    def _origin(self, url: str) -> Origin:
        if self._hosts is not None:
            return self._hosts.check(url)
        parts = urlsplit(url)
        return Origin(parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))

    def _take(self, origin: Origin) -> tuple[_Connection, bool]:
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError("the run was stopped")
            idle = self._idle.get(origin)
            connection = idle.pop() if idle else _Connection(origin, self._hosts, self._timeout, self._context(origin))
            self._busy.add(connection)
        return connection, bool(connection.sock)

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

    def cut(self) -> None:
        """End it under a call that is waiting for it."""
        with suppress(OSError, AttributeError):
            self.sock.shutdown(socket.SHUT_RDWR)

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
    """What the environment names for this origin; never for one without TLS."""
    if origin.scheme != "https" or proxy_bypass(origin.host):
        return None
    parts = urlsplit(getproxies().get("https", ""))
    return (parts.hostname, parts.port or 8080) if parts.hostname else None


def _read(answer: http.client.HTTPResponse, into: memoryview | None, took: Callable[[memoryview], None]) -> Answer:
    headers = {name.lower(): value for name, value in answer.getheaders()}
    if into is None or answer.status not in (200, 206):
        body = answer.read(_MOST_ERROR)
        if not answer.isclosed():  # more than an error has: this connection is of no use any more
            answer.close()
            answer.will_close = True
        return Answer(answer.status, headers, body)
    if answer.length is None or answer.length > len(into):
        raise ShortBodyError(f"{answer.length} bytes announced for a buffer of {len(into)}")
    expected, count = answer.length, 0
    while count < expected:
        got = answer.readinto(into[count : min(expected, count + PIECE)])
        if not got:
            raise ShortBodyError(f"{count} of {expected} bytes came")
        took(into[count : count + got])
        count += got
    answer.close()
    return Answer(answer.status, headers, b"", count)
