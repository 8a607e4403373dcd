"""The guarantee that no request of a stand-in provider leaves this machine: endpoints lie on the loopback interface."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from sandbox.providers.base import ProviderError


def loopback(variable: str, url: str) -> str:
    """The URL itself if its host is on the loopback interface. Raises ProviderError that names `variable` otherwise."""
    host = urlsplit(url).hostname if url.startswith(("http://", "https://")) else None
    if host is not None and (host == "localhost" or _is_loopback_address(host)):
        return url
    given = f"is {_shown(url)!r}" if url else "is not set"
    raise ProviderError(
        f"{variable} {given}; legal: a URL on the loopback interface, such as https://127.0.0.1:4566. "
        "The stand-in provider never reaches a real cloud: start the sandbox and take its `sandbox env`."
    )


def _is_loopback_address(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(url: str) -> str:
    """Without user information and query, which may be secret."""
    return url.split("?")[0].rsplit("@")[-1]
