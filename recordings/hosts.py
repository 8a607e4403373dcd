"""Which addresses a presigned URL may lead to: public ones, under a plain name, over TLS. Nothing else is asked.

A URL comes from 100ms' answer, and whoever can forge that would like this machine to ask its own network, or the
metadata service of the cloud it runs in. So the name is judged before it is looked up, and what is connected to is
the address that was judged: a name may resolve differently the second time.

`Hosts` has one exception, a host by name: the address of a stack's own `endpointUrl`, which only the sandbox has.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from recordings.errors import HmsError
from recordings.hms_auth import is_loopback
from recordings.outputs import StackOutputs

_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Origin:
    """Scheme, host and port that a connection is made to."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True)
class Hosts:
    """The rule; `exception` is the one host that may be on this machine, None for a real stack."""

    exception: str | None = None

    @classmethod
    def of(cls, outputs: StackOutputs) -> Hosts:
        """The rule of a stack: on AWS and Google, where there is no `endpointUrl`, it has no exception."""
        host = urlsplit(outputs.endpoint_url).hostname if outputs.endpoint_url else None
        return cls(host if host and is_loopback(host) else None)

    def check(self, url: str) -> Origin:
        """Where this URL leads to. Raises HmsError naming the host and what is wrong with it, never the query."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            raise HmsError("100ms gave a presigned URL that is none") from None
        if not url.isprintable():  # a reader that is less strict would see another host
            raise HmsError("100ms gave a presigned URL with control characters in it")
        if self.exception is not None and host == self.exception and parts.scheme in ("http", "https"):
            return Origin(parts.scheme, host, port or (443 if parts.scheme == "https" else 80))
        if fault := _fault(parts.scheme, parts.netloc, host, port):
            raise _refused(host, fault)
        return Origin("https", host, 443)

    def addresses(self, origin: Origin) -> list[str]:
        """The addresses of an origin, if all may be connected to. Raises HmsError, or OSError if it has none."""
        found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses if origin.host != self.exception else ():
            if not is_public(address):
                raise _refused(origin.host, f"leads to {address}, which is no public address")
        return addresses


def is_public(address: str) -> bool:
    """Whether it is a public unicast address, also looked at through what an IPv6 address may wrap."""
    try:
        ip: _Address = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None and not is_public(str(inner)):
            return False
        if ip.ipv4_mapped is not None:
            return True
    return ip.is_global and not ip.is_multicast


def _fault(scheme: str, netloc: str, host: str, port: int | None) -> str | None:
    if scheme != "https":
        return f"is asked for with {scheme or 'no scheme'}; only https is"
    if "@" in netloc:
        return "has a user or password before it"
    if port not in (None, 443):
        return f"has the port {port}; only 443 is asked"
    if not host.isascii():
        return "is not written in ASCII"
    labels = host.removesuffix(".").split(".")
    if any(label.startswith("xn--") for label in labels):
        return "is an internationalised name, which can look like another"
    if len(labels) < 2 or not all(_LABEL.fullmatch(label) for label in labels) or labels[-1].isdigit():
        return "is no name of a public host"
    return None


def _refused(host: str, fault: str) -> HmsError:
    return HmsError(
        f"100ms gave a presigned URL whose host {host[:100]!r} {fault}: it was not asked. If 100ms has moved its "
        "storage, report this; else somebody answers in its place"
    )
