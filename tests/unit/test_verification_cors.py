"""What a browser would stumble over, as the checks of CORS see it."""

from __future__ import annotations

import httpx
import pytest

from recordings.verification import cors
from recordings.verification.checks import (
    Fault,
)
from tests.unit.verification_scene import Respond, context_on

PAGE = "https://app.example.com"
GOOD = {
    "access-control-allow-origin": PAGE,
    "access-control-allow-methods": "GET, HEAD",
    "access-control-allow-headers": "Range",
    "access-control-expose-headers": "content-range, accept-ranges, content-length, etag",
}


def cors_answers(changes: dict[str, str | None], preflight_status: int = 200) -> Respond:
    headers = {name: value for name, value in (GOOD | changes).items() if value is not None}

    def respond(request: httpx.Request) -> httpx.Response:
        status = preflight_status if request.method == "OPTIONS" else 206
        return httpx.Response(status, headers=headers)

    return respond


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"access-control-allow-origin": None}, "Access-Control-Allow-Origin is None"),
        ({"access-control-allow-origin": "https://other.example"}, "https://other.example"),
        ({"access-control-allow-methods": "GET"}, "preflight of HEAD"),
        ({"access-control-allow-headers": None}, "Access-Control-Allow-Headers is ''"),
        ({"access-control-expose-headers": "etag"}, "lacks Content-Range, Accept-Ranges, Content-Length"),
    ],
)
def test_cors_fault_is_named(changes: dict[str, str | None], named: str) -> None:
    """What a browser would stumble over, by header."""
    with context_on(cors_answers(changes)) as context, pytest.raises(Fault, match=named):
        cors.origin(context, PAGE)


def test_cors_fault_of_the_preflight_alone_is_named() -> None:
    """A browser asks first: that the answer itself would allow the page does not help."""

    def respond(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200) if request.method == "OPTIONS" else httpx.Response(206, headers=GOOD)

    with context_on(respond) as context, pytest.raises(Fault, match=r"preflight of GET .*Allow-Origin is None"):
        cors.origin(context, PAGE)


@pytest.mark.parametrize("changes", [{}, {"access-control-allow-origin": "*", "access-control-allow-headers": "*"}])
def test_cors_passes_for_the_origin_or_for_all(changes: dict[str, str | None]) -> None:
    """An echo of the origin, or a star."""
    with context_on(cors_answers(changes)) as context:
        assert "preflight GET and HEAD" in cors.origin(context, PAGE)


def test_cors_refused_preflight_fails() -> None:
    """S3 answers 403 to an origin that no rule names."""
    with context_on(cors_answers({}, 403)) as context, pytest.raises(Fault, match=r"preflight of GET .* answered 403"):
        cors.origin(context, PAGE)


def test_cors_wildcard_is_asked_for_a_page_that_it_covers() -> None:
    """`https://*.example.com` stands for a real origin; `*` for any."""
    seen: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["origin"])
        headers = {**GOOD, "access-control-allow-origin": "*"}
        return httpx.Response(200 if request.method == "OPTIONS" else 206, headers=headers)

    with context_on(respond) as context:
        cors.origin(context, "https://*.example.com")
        cors.origin(context, "*")
    assert set(seen) == {"https://verify.example.com", "https://page.invalid"}


def test_cors_foreign_origin_must_be_told_nothing() -> None:
    """Any Access-Control-Allow-Origin, on preflight or answer, is a fault."""
    with context_on(cors_answers({"access-control-allow-origin": None})) as context:
        assert "not allowed" in cors.foreign(context)
    with context_on(cors_answers({"access-control-allow-origin": "*"})) as context, pytest.raises(Fault, match=r"\*"):
        cors.foreign(context)
