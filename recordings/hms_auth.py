"""Who we are to 100ms: credentials from the environment, and the object that signs one request.

Owns management tokens: HS256 JWTs signed with the app secret, made here, short-lived, renewed when they near their
end or are refused. Does not send anything itself. Claims as in 100ms' documentation ("Management token for REST
API"): access_key, type, version 2, jti, iat, nbf, exp; 14 days at most, ours live ten minutes.
"""

from __future__ import annotations

import ipaddress
import uuid
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from time import time

import httpx
from pydantic import SecretStr

from recordings.errors import ConfigurationError

DEFAULT_API_URL = "https://api.100ms.live/v2"
LIFETIME = 600
"""Seconds that a token of ours lives."""
RENEW_BEFORE = 60
"""A token with fewer seconds left than this is not used any more."""
BACKDATE = 10
"""Seconds by which `iat` and `nbf` lie in the past, for small differences between clocks."""
_KEY_BYTES = 32


@dataclass(frozen=True)
class HmsCredentials:
    """What the environment gives: an access key with the app secret, or a static management token, or all three.

    `app_secret` may come with a token alone: then it opens the memory (`recordings.memory`) and signs nothing.
    """

    access_key: str | None = None
    app_secret: SecretStr | None = None
    token: SecretStr | None = None
    api_url: str = DEFAULT_API_URL

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> HmsCredentials:
        """Read HMS_ACCESS_KEY, HMS_APP_SECRET, HMS_MANAGEMENT_TOKEN and HMS_API_URL.

        Raises ConfigurationError that names every fault, and no value.
        """

        def secret(name: str) -> SecretStr | None:
            value = environment.get(name, "").strip()
            return SecretStr(value) if value else None

        found = cls(
            access_key=environment.get("HMS_ACCESS_KEY", "").strip() or None,
            app_secret=secret("HMS_APP_SECRET"),
            token=secret("HMS_MANAGEMENT_TOKEN"),
            api_url=environment.get("HMS_API_URL", "").strip() or DEFAULT_API_URL,
        )
        faults = [*found._missing(), *_url_faults(found.api_url)]
        if faults:
            raise ConfigurationError("the 100ms credentials cannot be used:\n" + "\n".join(f"  {f}" for f in faults))
        return found

    def _missing(self) -> list[str]:
        if self.token or (self.access_key and self.app_secret):
            return []
        names = {"HMS_ACCESS_KEY": self.access_key, "HMS_APP_SECRET": self.app_secret}
        absent = " and ".join(name for name, value in names.items() if not value)
        return [
            f"{absent}: not set; set HMS_ACCESS_KEY and HMS_APP_SECRET (100ms dashboard, Developer), "
            "or HMS_MANAGEMENT_TOKEN"
        ]

    def auth(self, now: Callable[[], float] = time) -> ManagementAuth | StaticTokenAuth:
        """The object that signs requests: by own short-lived tokens where possible, else the static token."""
        if self.access_key and self.app_secret:
            return ManagementAuth(self.access_key, self.app_secret, now=now)
        if self.token:
            return StaticTokenAuth(self.token)
        raise ConfigurationError("\n".join(self._missing()))

    def secrets(self) -> list[str]:
        """The secret values, for masking them in text that came from outside."""
        return [value.get_secret_value() for value in (self.app_secret, self.token) if value]


class StaticTokenAuth(httpx.Auth):
    """Signs with a management token that somebody else made; it cannot be renewed here."""

    def __init__(self, token: SecretStr) -> None:
        self._token = token

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Set the bearer token."""
        request.headers["Authorization"] = f"Bearer {self._token.get_secret_value()}"
        yield request


class ManagementAuth(httpx.Auth):
    """Signs each request with a token of ours; a 401 is answered once with a fresh one.

    A fresh token after a 401 is dated by the clock of 100ms' own answer (its Date header): a machine whose clock is
    wrong by an hour still gets through. A 401 means that nothing was done, so repeating a POST is safe here.
    """

    def __init__(self, access_key: str, app_secret: SecretStr, *, now: Callable[[], float] = time) -> None:
        self._access_key = access_key
        self._app_secret = app_secret
        self._now = now
        self._clock_offset = 0.0
        self._token = ""
        self._expires = float("-inf")

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Set the bearer token; after a 401 once more, with a new one."""
        request.headers["Authorization"] = f"Bearer {self._current()}"
        response = yield request
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._learn_clock(response.headers.get("date"))
            self._expires = float("-inf")
            request.headers["Authorization"] = f"Bearer {self._current()}"
            yield request

    def _current(self) -> str:
        now = self._now() + self._clock_offset
        if self._expires - now < RENEW_BEFORE:
            self._token, self._expires = self._make(int(now)), now + LIFETIME
        return self._token

    def _make(self, now: int) -> str:
        import jwt  # with all of cryptography's keys and certificates: only who signs waits for it

        claims = {
            "access_key": self._access_key,
            "type": "management",
            "version": 2,
            "jti": str(uuid.uuid4()),
            "iat": now - BACKDATE,
            "nbf": now - BACKDATE,
            "exp": now + LIFETIME,
        }
        # HMAC fills a short key up with zeros anyway; done here, PyJWT does not warn of it, and 100ms' refusal speaks
        key = self._app_secret.get_secret_value().encode().ljust(_KEY_BYTES, b"\0")
        return jwt.encode(claims, key, algorithm="HS256")

    def _learn_clock(self, date: str | None) -> None:
        try:
            theirs = parsedate_to_datetime(date or "").timestamp()
        except ValueError:
            return
        self._clock_offset = theirs - self._now()


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine, by address or as `localhost`."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _url_faults(text: str) -> list[str]:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return ["HMS_API_URL: not a URL; legal: https://api.100ms.live/v2"]
    faults = []
    if not url.host or not (url.scheme == "https" or (url.scheme == "http" and is_loopback(url.host))):
        faults.append("HMS_API_URL: must be https:// with a host (http:// only on the loopback interface)")
    if url.userinfo or url.query or url.fragment:
        faults.append("HMS_API_URL: must have no user, query or fragment")
    return faults
