"""Credentials and management tokens."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode

import httpx
import jwt
import pytest
from pydantic import SecretStr

from recordings.errors import ConfigurationError, HmsUnauthorisedError
from recordings.hms import HmsClient
from recordings.hms_auth import LIFETIME, RENEW_BEFORE, HmsCredentials, ManagementAuth, is_loopback
from tests.unit.hms_fake import ACCESS_KEY, APP_SECRET, CUSTOMER, START, Clock, FakeHms, unset_settings


def signed(auth: httpx.Auth) -> str:
    request = next(auth.auth_flow(httpx.Request("GET", "https://api.example.com/")))
    return request.headers["Authorization"].removeprefix("Bearer ")


def test_token_claims() -> None:
    """The claims are those that 100ms documents, and the signature is made with the app secret."""
    token = signed(ManagementAuth(ACCESS_KEY, SecretStr(APP_SECRET)))
    claims = jwt.decode(token, APP_SECRET, algorithms=["HS256"])
    assert {"access_key", "type", "version", "jti", "iat", "nbf", "exp"} == claims.keys()
    assert (claims["access_key"], claims["type"], claims["version"]) == (ACCESS_KEY, "management", 2)
    assert claims["exp"] - claims["iat"] <= 3600


@pytest.mark.parametrize("secret", ["x", "short-app-secret", "y" * 31, "z" * 32, "ü" * 100])
def test_token_of_any_app_secret_is_plain_hs256(secret: str) -> None:
    """A secret that was cut short when it was copied is 100ms' to refuse: no warning of a library, a valid form."""
    head, claims, signature = signed(ManagementAuth(ACCESS_KEY, SecretStr(secret))).split(".")
    digest = hmac.digest(secret.encode(), f"{head}.{claims}".encode(), "sha256")
    assert signature == urlsafe_b64encode(digest).decode().rstrip("=")


def test_token_is_reused_until_it_nears_its_end() -> None:
    """One token serves many requests, and a new one comes before the old one ends."""
    clock = Clock()
    auth = ManagementAuth(ACCESS_KEY, SecretStr(APP_SECRET), now=lambda: clock.time)
    first = signed(auth)
    clock.time += LIFETIME - RENEW_BEFORE - 1
    assert signed(auth) == first
    clock.time += 2
    assert signed(auth) != first


@pytest.mark.parametrize("skew", [-3600.0, -300.0, 0.0, 300.0, 3600.0])
def test_token_on_a_machine_whose_clock_is_wrong(skew: float) -> None:
    """A clock that is off by minutes or hours costs one refused request, not the job."""
    hms = FakeHms(settings={"t1": unset_settings()})
    hms.clock.skew = skew
    with hms.client() as client:
        assert client.template("t1").customer_id == CUSTOMER
        client.template_settings("t1")
    assert len(hms.log) <= 3


@pytest.mark.parametrize("later", [LIFETIME - RENEW_BEFORE + 1, LIFETIME, 7 * 86400])
def test_token_expires_on_the_way(later: float) -> None:
    """A token that ended while a command waited is renewed with no error, for a GET and for a POST."""
    hms = FakeHms(settings={"t1": unset_settings()})
    with hms.client() as client:
        client.template_settings("t1")
        hms.clock.time += later
        client.template_settings("t1")
        hms.clock.time += later
        client.post_template_settings("t1", unset_settings())
    assert hms.posts() == 1


def test_token_refused_midway_is_renewed_once() -> None:
    """A 401 for a token that should be valid is answered by one new token, also for a POST: nothing had been done."""
    hms = FakeHms(settings={"t1": unset_settings()})
    refusals = [hms.refusal(401, "Token validation error")]
    hms.before = lambda what: refusals.pop() if refusals else None
    with hms.client() as client:
        client.post_template_settings("t1", unset_settings())
    assert hms.posts() == 2


def test_token_refused_twice_is_an_error() -> None:
    """A wrong app secret ends in one clear error after two requests, and the message names the variables."""
    hms = FakeHms(settings={"t1": unset_settings()})
    wrong = HmsCredentials(access_key=ACCESS_KEY, app_secret=SecretStr("another secret " * 4))
    client = HmsClient(wrong, transport=httpx.MockTransport(hms.handle), timing=hms.clock.timing())
    with client, pytest.raises(HmsUnauthorisedError, match="HMS_APP_SECRET"):
        client.template("t1")
    assert len(hms.log) == 2


@pytest.mark.parametrize("date", [None, "", "yesterday", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_token_after_a_refusal_with_no_usable_date(date: str | None) -> None:
    """A 401 without a Date header, or with a broken one, still gives one more try by the own clock."""
    seen = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        return httpx.Response(401, headers={} if date is None else {"date": date})

    credentials = HmsCredentials(access_key=ACCESS_KEY, app_secret=SecretStr(APP_SECRET))
    with HmsClient(credentials, transport=httpx.MockTransport(handle)) as client, pytest.raises(HmsUnauthorisedError):
        client.template("t1")
    assert len(set(seen)) == 2


def test_credentials_static_token() -> None:
    """A static token is sent as it is."""
    found = HmsCredentials.from_environment({"HMS_MANAGEMENT_TOKEN": "static"})
    assert signed(found.auth()) == "static"


def test_credentials_prefer_own_tokens() -> None:
    """Where both are given, requests are signed with short-lived tokens."""
    found = HmsCredentials.from_environment(
        {"HMS_ACCESS_KEY": "a", "HMS_APP_SECRET": APP_SECRET, "HMS_MANAGEMENT_TOKEN": "static"}
    )
    assert signed(found.auth(lambda: START)) != "static"


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({}, "HMS_ACCESS_KEY and HMS_APP_SECRET: not set"),
        ({"HMS_ACCESS_KEY": "a"}, "HMS_APP_SECRET: not set"),
        ({"HMS_APP_SECRET": "canary-secret", "HMS_ACCESS_KEY": "  "}, "HMS_ACCESS_KEY: not set"),
    ],
)
def test_credentials_missing(environment: dict[str, str], named: str) -> None:
    """What is missing is named, what is there is not shown."""
    with pytest.raises(ConfigurationError, match=named) as caught:
        HmsCredentials.from_environment(environment)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.100ms.live/v2",
        "ftp://api.100ms.live",
        "api.100ms.live/v2",
        "https://",
        "https://user:canary@api.100ms.live/v2",
        "https://api.100ms.live/v2?token=canary",
        "https://api.100ms.live/v2#x",
        "http://localhost.example.com/v2",
        "http://127.0.0.1.example.com/v2",
        "http://169.254.169.254/",
        "https://[::1",
    ],
)
def test_credentials_api_url_refused(url: str) -> None:
    """Nothing is signed for a URL that is not https, except on this machine."""
    with pytest.raises(ConfigurationError, match="HMS_API_URL") as caught:
        HmsCredentials.from_environment({"HMS_MANAGEMENT_TOKEN": "t", "HMS_API_URL": url})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://api.100ms.live/v2", "http://127.0.0.1:8080/v2", "http://localhost/v2", "http://[::1]:1/v2"]
)
def test_credentials_api_url_taken(url: str) -> None:
    """https anywhere, http on the loopback interface."""
    assert HmsCredentials.from_environment({"HMS_MANAGEMENT_TOKEN": "t", "HMS_API_URL": url}).api_url == url


def test_is_loopback() -> None:
    """Only this machine is loopback."""
    assert [is_loopback(h) for h in ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost")] == [True] * 5
    assert [is_loopback(h) for h in ("10.0.0.1", "example.com", "")] == [False] * 3


def test_credentials_are_not_shown() -> None:
    """No representation holds a secret."""
    found = HmsCredentials.from_environment({"HMS_ACCESS_KEY": "a", "HMS_APP_SECRET": "canary-secret"})
    assert "canary" not in repr(found) + str(found) + repr(found.auth()) + str(vars(found.auth()))
