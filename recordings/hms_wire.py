"""The wire to 100ms: one request at a time, retries of what may be repeated, and the map from answers to errors.

Owns httpx, timeouts, paging and redaction. Knows no endpoint (`recordings.hms` does) and decides nothing about
writes: a GET is tried again on 429, 5xx and a broken connection, a POST never, because its answer may be lost after it
took effect. Such a POST raises HmsUncertainError; `Wire.settle` is the loop that reads, decides and only then writes
again.

No secret gets into a message: bodies are redacted, and errors are raised without the httpx exception, which holds the
signed request.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from recordings.errors import (
    HmsError,
    HmsNotFoundError,
    HmsRefusedError,
    HmsUnauthorisedError,
    HmsUncertainError,
    HmsUnreachableError,
    UsageError,
)
from recordings.hms_auth import HmsCredentials
from recordings.outages import outages
from recordings.redact import redact
from recordings.retry import Attempts, RetryPolicy, Timing, parse_retry_after

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""Seconds for each phase of a call; none waits for ever."""
PAGE = 100
"""Objects a page; 100ms allows 10 to 100."""
_DIRECT = {"all://127.0.0.1": None, "all://localhost": None, "all://[::1]": None}
"""The loopback interface is never reached through a proxy."""
_MAY_HEAL = frozenset({408, 429})
"""Refusals that another try may overcome, beside every 5xx."""

T = TypeVar("T")


class _Again(Exception):  # noqa: N818 - a signal inside this module, never seen outside
    """No usable answer, for `reason`; another try may get one, after `retry_after` seconds."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class Wire:
    """Sends requests to one 100ms workspace.

    `get`, `post` and `pages` raise HmsUnauthorisedError (401, 403), HmsNotFoundError (404), HmsRefusedError (other
    4xx), HmsUnreachableError (retries used up; after a POST HmsUncertainError) or HmsError (an answer of another form
    than documented).
    """

    def __init__(
        self,
        credentials: HmsCredentials,
        *,
        transport: httpx.BaseTransport | None = None,
        policy: RetryPolicy | None = None,
        timing: Timing | None = None,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> None:
        self._policy = policy or RetryPolicy()
        self._timing = timing or Timing()
        self._outages = outages()
        self._secrets = credentials.secrets()
        self._client = httpx.Client(
            base_url=credentials.api_url,
            auth=credentials.auth(self._timing.now),
            transport=transport,
            mounts=None if transport else _DIRECT,
            timeout=timeout,
            follow_redirects=False,
            headers={"Accept": "application/json"},
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """GET a JSON body, again and again until there is one or the retries are used up."""
        attempts = self._attempts()
        while True:
            try:
                return self._send("GET", path, params=params)
            except _Again as again:
                if not attempts.wait_again(again.reason, again.retry_after):
                    raise HmsUnreachableError(
                        f"{again.reason}; gave up after {attempts.failures} tries in {attempts.spent:.0f} s: "
                        "run the command again later"
                    ) from None

    def post(self, path: str, body: Any) -> Any:
        """POST a JSON body, once. Raises HmsUncertainError if no usable answer came: it may have taken effect."""
        try:
            return self._send("POST", path, body=body)
        except _Again as again:
            raise HmsUncertainError(again.reason, again.retry_after) from None

    def pages(self, path: str, params: Mapping[str, str] | None = None) -> Iterator[Any]:
        """Every object of a list, page by page: `start` is the `last` of the page before ("Pagination")."""
        start = ""
        while True:
            query = {**(params or {}), "limit": str(PAGE)} | ({"start": start} if start else {})
            answer = as_object(self.get(path, query), f"page of /{path}")
            items = as_list(answer.get("data"), f"page of /{path}")
            yield from items
            last = answer.get("last")
            if not items or not last:
                return
            if last == start:
                raise HmsError(f"100ms GET /{path} gave the same page twice (last {redact(str(last))!r})")
            start = str(last)

    def settle(self, send: Callable[[], T], took_effect: Callable[[], T | None]) -> T:
        """Run `send`, one write; when its answer is lost ask `took_effect`, and send again only if that gives None.

        Raises HmsUncertainError when the attempts are used up, and whatever else `send` and `took_effect` raise. What
        it cannot see: a write that 100ms carries out only after `took_effect` has read; the wait in between (half a
        second, doubling) makes that unlikely.
        """
        attempts = self._attempts()
        while True:
            try:
                return send()
            except HmsUncertainError as error:
                lost = error
            may_repeat = attempts.wait_again(str(lost), lost.retry_after)
            done = took_effect()
            if done is not None:
                return done
            if not may_repeat:
                raise lost

    def _attempts(self) -> Attempts:
        return Attempts(self._policy, self._timing, self._outages, party="100ms")

    def _send(self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Any = None) -> Any:
        what = f"100ms {method} /{path}"
        try:
            response = self._client.request(method, path, params=params, json=body)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict) as error:
            raise _failure(what, error) from None
        return self._answer(what, response, _secrets_in(body))

    def _answer(self, what: str, response: httpx.Response, sent: list[str]) -> Any:
        status = response.status_code
        if status in _MAY_HEAL or status >= 500:
            wait = parse_retry_after(response.headers.get("retry-after"), self._timing.now())
            raise _Again(f"{what} answered {status}", wait)
        if status >= 400:
            raise _refusal(what, status, redact(_reason(response), [*self._secrets, *sent]))
        if not response.is_success:
            raise HmsError(f"{what} answered {status}: is HMS_API_URL right?")
        try:
            return response.json() if response.content else None
        except ValueError:
            kind = redact(response.headers.get("content-type", "no content type"))
            reason = f"{what} answered {status} with a body that is not JSON ({kind})"
            raise (_Again(reason) if response.request.method == "POST" else HmsError(reason)) from None


def path(first: str, *rest: str) -> str:
    """`first` as it is, then each of `rest` as one quoted segment. Raises UsageError for an id that is none."""
    for part in rest:
        if part in ("", ".", ".."):
            raise UsageError(f"{part!r} is not an id that 100ms could have given (asked for /{first}/…)")
    return "/".join([first, *(quote(part, safe="") for part in rest)])


def as_object(body: Any, what: str) -> dict[str, Any]:
    """`body` if it is a JSON object, else HmsError that names `what`."""
    if not isinstance(body, dict):
        raise HmsError(f"100ms gave {_kind(body)} for the {what}, not an object")
    return body


def as_list(body: Any, what: str) -> list[Any]:
    """`body` if it is a JSON array; null is an empty one (100ms answers so); else HmsError that names `what`."""
    if body is None:
        return []
    if not isinstance(body, list):
        raise HmsError(f"100ms gave {_kind(body)} for the {what}, not an array")
    return body


def _failure(what: str, error: Exception) -> Exception:
    """A broken connection or body may heal; a certificate that does not fit, or a request that is none, will not."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return HmsUnreachableError(f"{what}: the server's certificate is not trusted ({cause.verify_message})")
        cause = cause.__cause__ or cause.__context__
    hopeless = isinstance(error, (httpx.UnsupportedProtocol, httpx.LocalProtocolError))
    if isinstance(error, (httpx.TransportError, httpx.DecodingError)) and not hopeless:
        return _Again(f"{what} got no usable answer ({type(error).__name__})")
    return HmsError(f"{what} cannot be sent ({type(error).__name__}): check HMS_API_URL and the credentials")


def _refusal(what: str, status: int, reason: str) -> HmsError:
    text = f"{what} answered {status}" + (f": {reason}" if reason else "")
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return HmsUnauthorisedError(
            f"{text}. Check that HMS_ACCESS_KEY and HMS_APP_SECRET (or HMS_MANAGEMENT_TOKEN, which lives 14 days at "
            "most) belong to this workspace and are still valid"
        )
    if status == httpx.codes.NOT_FOUND:
        return HmsNotFoundError(f"{text}. Check the id, and that the credentials belong to its workspace")
    return HmsRefusedError(text)


def _reason(response: httpx.Response) -> str:
    """100ms' own message: `{"code", "message", "details": [...]}` ("Make API calls", Errors)."""
    try:
        body = response.json()
    except ValueError:
        return ""
    if not isinstance(body, dict):
        return ""
    details = body.get("details")
    parts = [body.get("message"), *(details if isinstance(details, list) else [])]
    return "; ".join(str(part) for part in parts if part)


def _secrets_in(body: Any) -> list[str]:
    """The strings of a request that must not come back in a message, wherever they lie."""
    if isinstance(body, Mapping):
        own = [value for name, value in body.items() if name in ("secret", "secretKey") and isinstance(value, str)]
        return own + [secret for value in body.values() for secret in _secrets_in(value)]
    return [secret for item in body for secret in _secrets_in(item)] if isinstance(body, list) else []


def _kind(body: Any) -> str:
    return "null" if body is None else f"a JSON {type(body).__name__}"
