"""The heartbeat: tell whoever waits for it that a watch ran to its end and found all well.

A job that no longer runs sends no alarm; so somebody else has to miss it. Two ways: a URL that is asked for (as
Healthchecks, Dead Man's Snitch and the like want), or a file whose age a scheduler looks at. The URL is often a secret,
so it comes from the environment and is never shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx
from pydantic import SecretStr

from recordings.errors import ConfigurationError
from recordings.retry import Attempts, RetryPolicy, Timing

VARIABLE: Final = "RECORDINGS_HEARTBEAT_URL"
_POLICY: Final = RetryPolicy(attempts=4, budget=30.0)


def heartbeat_url(environment: Mapping[str, str]) -> SecretStr | None:
    """Read RECORDINGS_HEARTBEAT_URL, None if it is not set. Raises ConfigurationError that shows nothing of it."""
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in ("http", "https") or not url.host:
        raise ConfigurationError(f"{VARIABLE} is no URL: legal is https://HOST/PATH")
    return SecretStr(text)


def ping(http: httpx.Client, url: SecretStr, timing: Timing | None = None) -> str | None:
    """GET it, up to four times; gives why nobody took it, None if somebody did. Never raises: the watch is over."""
    attempts = Attempts(_POLICY, timing or Timing())
    while True:
        try:
            status = http.get(url.get_secret_value(), timeout=10.0).status_code
            if 200 <= status < 300:
                return None
            reason = f"it answered {status}"
            if status < 500 and status != httpx.codes.TOO_MANY_REQUESTS:
                return reason
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = type(error).__name__
        if not attempts.wait_again(f"{VARIABLE}: {reason}"):
            return reason
