"""What must be refused, and for the right reason: every check here passes on a refusal alone.

A refusal for another reason (an unknown key, a missing bucket) proves nothing, so it fails and says what came.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import httpx

from recordings.errors import AccessDeniedError
from recordings.outputs import WriterAccess
from recordings.policies import OPERATOR_PREFIX
from recordings.verification.checks import EXPIRY, Fault, NotRun, Warned
from recordings.verification.context import Answer, Context

_PUBLIC: Final = "the bucket is public: bring back what refuses public access with `pulumi up`"
_TOO_MUCH: Final = (
    "permissions: this key may do more than the stack gives it. Look for other policies and roles of its owner, of "
    "groups and on the bucket, then `pulumi up`"
)
_PLAIN: Final = "permissions: the bucket policy no longer denies plain HTTP: restore it with `pulumi up`"
_PLAIN_BY_ORGANISATION: Final = (
    "a bucket of this provider cannot refuse plain HTTP, only an organisation policy can: ask the organisation's "
    "administrator (on Google for constraints/storage.secureHttpTransport). Signed URLs are made with https"
)


def unsigned_get(context: Context) -> str:
    """Nobody reads without a signature."""
    return _refused(context.fetch(context.reader.url(context.small_key), of=context.small_key), _PUBLIC)


def expired_url(context: Context) -> str:
    """A URL signed in the past for an hour that is over."""
    past = datetime.now(UTC) - timedelta(hours=2)
    signed = context.reader.sign(context.small_key, timedelta(hours=1), at=past)
    return _refused(context.fetch(signed.reveal(), of=context.small_key), EXPIRY, also=(400,))


def tampered_url(context: Context) -> str:
    """A signature with one digit changed, and a good signature on another key."""
    url = context.sign(context.small_key).reveal()
    other_digit = url[:-1] + ("0" if url[-1] != "0" else "1")
    other_key = context.reader.url(context.parts_key) + "?" + url.partition("?")[2]
    said = [_refused(context.fetch(forged, of=context.small_key), _PUBLIC) for forged in (other_digit, other_key)]
    return said[0]


def writer_outside(context: Context) -> str:
    """The writer puts nothing outside the prefix."""
    return _denied(lambda: context.writer.put(context.outside_key, b"verify"), f"put {context.outside_key}")


def writer_list_other(context: Context) -> str:
    """The writer lists nothing outside the prefix."""
    if not context.outputs.path_prefix and context.outputs.writer_access is WriterAccess.FULL:
        raise NotRun("pathPrefix is empty, so that the whole bucket is the writer's to list")
    return _denied(lambda: list(context.writer.list(OPERATOR_PREFIX)), f"list {OPERATOR_PREFIX}*")


def reader_write(context: Context) -> str:
    """The reader writes nothing, not even under the prefix."""
    key = f"{context.folder}by-reader"
    return _denied(lambda: context.reader.put(key, b"verify"), f"put {key}")


def plain_http(context: Context) -> str:
    """The same signed URL without TLS; no answer at all is a refusal too.

    Where no bucket can be told to refuse it, that it is served is a warning.
    """
    parts = urlsplit(context.reader.sign(context.small_key, timedelta(seconds=60)).reveal())
    url = urlunsplit(("http", *parts[1:]))
    try:
        response = context.http.get(url)
    except httpx.TransportError as error:
        return f"no answer without TLS ({type(error).__name__})"
    answer = Answer(response.status_code, response.headers, response.content)
    if answer.headers.get("location", "").startswith("https://"):
        return f"{answer.status}, sent to https"
    if answer.status in (400, 403) and answer.code in ("AccessDenied", ""):
        return str(answer)
    if answer.status == 200 and not context.reader.refuses_plain_http:
        raise Warned("it is served without TLS too", _PLAIN_BY_ORGANISATION)
    raise Fault(f"expected 403 AccessDenied, got {answer}", _PLAIN)


def writer_read(context: Context) -> str:
    """Whether the writer may read what it wrote, as `writerAccess` says."""
    return _as_configured(
        context,
        allowed=context.outputs.writer_access is not WriterAccess.UPLOAD_ONLY,
        act=lambda: context.writer.read(context.small_key),
        what=f"read {context.small_key}",
    )


def writer_list(context: Context) -> str:
    """Whether the writer may list the prefix, as `writerAccess` says."""
    return _as_configured(
        context,
        allowed=context.outputs.writer_access is WriterAccess.FULL,
        act=lambda: list(context.writer.list(context.folder)),
        what=f"list {context.folder}*",
    )


def writer_delete(context: Context) -> str:
    """Whether the writer may delete what it wrote, as `writerAccess` says."""
    return _as_configured(
        context,
        allowed=context.outputs.writer_access is WriterAccess.FULL,
        act=lambda: context.writer.delete(context.small_key),
        what=f"delete {context.small_key}",
    )


def _as_configured(context: Context, *, allowed: bool, act: Callable[[], object], what: str) -> str:
    access = f"writerAccess {context.outputs.writer_access.value}"
    if not allowed:
        return f"{access}: {_denied(act, what)}"
    context.usable(act)
    return f"{access}: allowed"


def _denied(act: Callable[[], object], what: str) -> str:
    try:
        act()
    except AccessDeniedError:
        return "denied"
    raise Fault(f"expected a denial, but it could {what}", _TOO_MUCH)


def _refused(answer: Answer, fix: str, *, also: tuple[int, ...] = ()) -> str:
    if answer.status in (401, 403, *also):
        return str(answer)
    raise Fault(f"expected 403, got {answer}", fix)
