"""Who may send webhooks: the secret header, an optional list of addresses, and how large a body may be.

100ms signs nothing; it sends a header with a secret that the owner sets, from published addresses. Without a secret
everything is refused. Headers of proxies are believed only from proxies that are named.

Source: 100ms' page "Configure webhooks" (custom headers, list of addresses).
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from pydantic import SecretStr
from starlette.requests import Request

from recordings.errors import ConfigurationError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HEADER: Final = "x-webhook-secret"
BODY_LIMIT: Final = 256 * 1024
"""Bytes. An event is a few kilobytes."""
_SHORTEST: Final = 16
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)


class RefusedError(Exception):
    """Not to be read any further: `status` is the answer, `reason` is for the log alone."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True)
class WebhookSettings:
    """Who may send. `allowed` empty: any address; `proxies` are believed about whom they forward for."""

    secret: SecretStr | None
    header: str = HEADER
    allowed: tuple[Network, ...] = ()
    proxies: tuple[Network, ...] = ()
    body_limit: int = BODY_LIMIT

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read HMS_WEBHOOK_SECRET, _HEADER, _ALLOW and _PROXIES (networks, with commas between).

        Raises ConfigurationError.
        """
        secret = environment.get("HMS_WEBHOOK_SECRET", "")
        if secret and (len(secret) < _SHORTEST or not secret.isascii() or secret.strip() != secret):
            raise ConfigurationError(
                f"HMS_WEBHOOK_SECRET cannot be used: it must be at least {_SHORTEST} ASCII characters with no space at "
                "the ends; `openssl rand -hex 32` makes a good one"
            )
        header = environment.get("HMS_WEBHOOK_HEADER", "") or HEADER
        if not _TOKEN.fullmatch(header):
            raise ConfigurationError(f"HMS_WEBHOOK_HEADER {header!r} is no name of a header, such as {HEADER}")
        return cls(
            secret=SecretStr(secret) if secret else None,
            header=header.lower(),
            allowed=_networks("HMS_WEBHOOK_ALLOW", environment),
            proxies=_networks("HMS_WEBHOOK_PROXIES", environment),
        )

    def check(self, request: Request) -> None:
        """Look at everything but the body. Raises RefusedError: 403 for the address or no secret of ours, else 401."""
        if self.allowed:
            sender = self._sender(request)
            if sender is None or not _within(sender, self.allowed):
                raise RefusedError(403, f"address {sender} is not in HMS_WEBHOOK_ALLOW")
        if self.secret is None:
            raise RefusedError(403, "HMS_WEBHOOK_SECRET is not set: every webhook is refused")
        given = request.headers.getlist(self.header)
        expected = self.secret.get_secret_value().encode()
        if len(given) != 1 or not hmac.compare_digest(given[0].encode("latin-1"), expected):
            raise RefusedError(401, f"the header {self.header} has not the secret ({len(given)} given)")

    async def body(self, request: Request) -> bytes:
        """The body. Raises RefusedError (413) as soon as it is too long, whatever its length was said to be."""
        parts: list[bytes] = []
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > self.body_limit:
                raise RefusedError(413, f"the body is longer than {self.body_limit} bytes")
            parts.append(part)
        return b"".join(parts)

    def _sender(self, request: Request) -> Address | None:
        """Who sent it: the peer, or who the last proxy that is not one of ours says it is."""
        hops = [hop for line in request.headers.getlist("x-forwarded-for") for hop in line.split(",")]
        sender = _address(request.client.host if request.client else "")
        while sender is not None and hops and _within(sender, self.proxies):
            sender = _address(hops.pop())
        return sender


def _within(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(address.version == network.version and address in network for network in networks)


def _address(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address


def _networks(name: str, environment: Mapping[str, str]) -> tuple[Network, ...]:
    found = [part.strip() for part in environment.get(name, "").split(",") if part.strip()]
    try:
        return tuple(ipaddress.ip_network(part) for part in found)
    except ValueError:
        raise ConfigurationError(
            f"{name} cannot be used: legal are addresses and networks with commas between, 203.0.113.7, 198.51.100.0/24"
        ) from None
