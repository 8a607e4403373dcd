"""What a browser asks before and while it plays: preflight and answer headers, for each configured origin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from recordings.verification.checks import CORS, Fault
from recordings.verification.context import Answer, Context, must_be

EXPOSED: Final = ("Content-Range", "Accept-Ranges", "Content-Length", "ETag")
"""What a player reads of an answer to a Range request."""
METHODS: Final = ("GET", "HEAD")
FOREIGN: Final = "https://foreign.invalid"
_ANY_PAGE: Final = "https://page.invalid"


def origin(context: Context, configured: str) -> str:
    """A page of this origin may send GET and HEAD with Range, and read the headers that it needs."""
    page = _ANY_PAGE if configured == "*" else configured.replace("*", "verify")
    preflights(context, page)
    playback(context, page)
    return f"preflight {' and '.join(METHODS)}, headers exposed"


def preflights(context: Context, page: str) -> None:
    """What a browser asks before it sends Range from `page`; no object need be there. Raises Fault."""
    for method in METHODS:
        _check_preflight(_preflight(context, page, method), page, method)


def playback(context: Context, page: str) -> None:
    """The first byte of the small object, and the headers that a player of `page` reads. Raises Fault."""
    answer = context.fetch_signed(context.small_key, headers={"Origin": page, "Range": "bytes=0-0"})
    must_be(answer, 206, CORS)
    _check_allowed(answer, page, "GET")
    missing = _missing(EXPOSED, answer.headers.get("access-control-expose-headers", ""))
    if missing:
        raise Fault(f"Access-Control-Expose-Headers lacks {', '.join(missing)}", CORS)


def foreign(context: Context) -> str:
    """A page of another origin is told nothing."""
    signed = context.fetch_signed(context.small_key, headers={"Origin": FOREIGN})
    for what, answer in (("preflight", _preflight(context, FOREIGN, "GET")), ("GET", signed)):
        allowed = answer.headers.get("access-control-allow-origin")
        if allowed is not None:
            raise Fault(f"{what} from {FOREIGN} was answered with Access-Control-Allow-Origin {allowed}", CORS)
    return f"{FOREIGN} is not allowed"


def _preflight(context: Context, page: str, method: str) -> Answer:
    headers = {"Origin": page, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": "range"}
    return context.fetch(context.reader.url(context.small_key), of="preflight", method="OPTIONS", headers=headers)


def _check_preflight(answer: Answer, page: str, method: str) -> None:
    if not 200 <= answer.status < 300:
        raise Fault(f"preflight of {method} from {page} answered {answer}", CORS)
    _check_allowed(answer, page, f"preflight of {method}")
    for name, wanted in (("allow-methods", method), ("allow-headers", "range")):
        said = answer.headers.get(f"access-control-{name}", "")
        if _missing((wanted,), said):
            raise Fault(f"preflight of {method} from {page}: Access-Control-{name.title()} is {said!r}", CORS)


def _check_allowed(answer: Answer, page: str, what: str) -> None:
    allowed = answer.headers.get("access-control-allow-origin")
    if allowed not in ("*", page):
        raise Fault(f"{what} from {page}: Access-Control-Allow-Origin is {allowed!r}", CORS)


def _missing(wanted: Sequence[str], header: str) -> list[str]:
    given = {name.strip().lower() for name in header.split(",")}
    return [] if "*" in given else [name for name in wanted if name.lower() not in given]
