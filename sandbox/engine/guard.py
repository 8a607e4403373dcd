"""The promise that nothing here reaches a real cloud: every endpoint must lie on the loopback interface.

Checked before anything runs, on the environment that the SDKs read. Providers check again what they are given.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from sandbox.engine.errors import UsageError

_REQUIRED: Final = "AWS_ENDPOINT_URL"
_ENDPOINTS: Final = ("STORAGE_EMULATOR_HOST", "HMS_API_URL")
_PREFIXES: Final = ("AWS_ENDPOINT_URL", "GOOGLE_", "CLOUDSDK_API_ENDPOINT_OVERRIDES_")


def check_endpoints(environ: Mapping[str, str]) -> None:
    """Raise UsageError unless AWS_ENDPOINT_URL is set and every endpoint that is set is a loopback address."""
    if not environ.get(_REQUIRED):
        raise UsageError(
            f"{_REQUIRED} is not set: this engine works on the sandbox alone; "
            'run `python -m sandbox start` and `eval "$(python -m sandbox env)"` first'
        )
    for name, value in sorted(environ.items()):
        named = name in _ENDPOINTS or (name.startswith(_PREFIXES) and ("ENDPOINT" in name or name.startswith("AWS")))
        if named and value and not is_loopback(value):
            raise UsageError(
                f"{name} names {_host(value)!r}, which is not on the loopback interface; this engine never reaches "
                "further: use an address such as https://127.0.0.1:<port>"
            )


def is_loopback(url: str) -> bool:
    """Whether a URL, or a bare host and port, names this machine by a loopback address or as `localhost`."""
    host = _host(url)
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _host(url: str) -> str:
    try:
        return urlsplit(url if "://" in url else f"//{url}").hostname or ""
    except ValueError:
        return ""
