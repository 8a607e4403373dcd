"""Requests to the XML API of Cloud Storage: one at a time, with timeouts, tried again where that may help.

Owns httpx, retries and the form of XML answers. Does not know who signs (an `httpx.Auth` does) nor what a request
means. Every request here may be repeated: a PUT or DELETE gives the same result twice, and beginning an upload twice
leaves an empty one that the bucket's lifecycle takes away. Two are told apart after a lost answer: completing an upload
(`Call.gone_is_done`), and a PUT by a writer that may not overwrite (`Call.needed_if_there`).
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode
from xml.etree import ElementTree

import httpx

from recordings.errors import PreconditionError, StoreError, StoreUnreachableError, UsageError
from recordings.outages import outages
from recordings.retry import Attempts, RetryPolicy, Timing, parse_retry_after
from recordings.signing import encode_key
from recordings.stores.gcs_errors import NEXT, from_xml

GOOGLE: Final = "https://storage.googleapis.com"
"""Where the stack outputs name no endpoint."""
TIMEOUT: Final = httpx.Timeout(60.0, connect=10.0)
"""Seconds for each phase of a call; none waits for ever."""
PARTY: Final = "Cloud Storage"
"""Who gives no answer, whichever of its two APIs is asked."""
_NOT_AGAIN: Final = (httpx.UnsupportedProtocol, httpx.LocalProtocolError)
_HEADERS: Final = {"Accept-Encoding": "identity"}
"""Objects come as they are stored: a compressed answer has another length than its object."""


@dataclass(frozen=True)
class Call:
    """One request: `what` says who does what to which thing; `key` is None for the bucket itself."""

    what: str
    method: str
    key: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    gone_is_done: str = ""
    """A code that, after an answer was lost, means that the lost one was a success."""
    needed_if_there: str = ""
    """A right that is asked for only if the thing is there: lacking it after a lost answer is a PreconditionError."""


class Wire:
    """Sends requests to one bucket at `base_url` (path style, no slash at the end) as whoever `auth` signs for."""

    def __init__(
        self,
        base_url: str,
        auth: httpx.Auth,
        *,
        transport: httpx.BaseTransport | None = None,
        policy: RetryPolicy | None = None,
        timing: Timing | None = None,
    ) -> None:
        for name in ("httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._base_url = base_url
        self._policy = policy or RetryPolicy()
        self._timing = timing or Timing()
        self._outages = outages()
        self._client = httpx.Client(
            auth=auth, transport=transport, timeout=TIMEOUT, headers=_HEADERS, follow_redirects=False
        )
        weakref.finalize(self, self._client.close)

    def send(self, call: Call) -> httpx.Response:
        """Send it until there is an answer, and give that if it is a success.

        Raises StoreError: what Google refused, StoreUnreachableError when attempts or budget are used up, and
        PreconditionError where a lost answer leaves open whose doing it is.
        """
        url = self._url(call)
        attempts = Attempts(self._policy, self._timing, self._outages, party=PARTY)
        is_lost = False
        while True:
            retry_after: float | None = None
            try:
                answer = self._client.request(call.method, url, headers=dict(call.headers), content=call.content)
            except httpx.TransportError as error:
                failure = _unanswered(error, call.what)
                is_lost = True
            except httpx.HTTPError as error:
                raise StoreError(f"{call.what}: {type(error).__name__}; {NEXT[StoreError]}") from None
            else:
                if answer.is_success:
                    return answer
                refusal = from_xml(answer.status_code, answer.content)
                if is_lost and call.gone_is_done and refusal.code == call.gone_is_done:
                    return answer
                failure = refusal.error(call.what)
                if is_lost and call.needed_if_there and call.needed_if_there in refusal.message:
                    raise PreconditionError(
                        f"{call.what}: it is there now, and an earlier try was not answered, so that this may be its "
                        "doing; read it before deciding"
                    )
                is_lost = is_lost or answer.status_code >= 500
                retry_after = parse_retry_after(answer.headers.get("retry-after"), self._timing.now())
            if not isinstance(failure, StoreUnreachableError) or not attempts.wait_again(
                f"{call.what}: no usable answer", retry_after
            ):
                raise failure

    def _url(self, call: Call) -> str:
        """The address; a key that a client on the way would change to another one is refused."""
        query = f"?{urlencode(call.query)}" if call.query else ""
        if call.key is None:
            return f"{self._base_url}{query}"
        if any(segment in (".", "..") for segment in call.key.split("/")):
            raise StoreError(f"{call.what}: the key has a '.' or '..' segment, which URLs cannot hold: rename it")
        try:
            return f"{self._base_url}/{encode_key(call.key)}{query}"
        except UsageError as error:
            raise StoreError(f"{call.what}: {error}") from None


def document(answer: httpx.Response, what: str) -> ElementTree.Element:
    """The XML document of an answer, its name space taken off. Raises StoreError if it is none."""
    try:
        root = ElementTree.fromstring(answer.content)  # noqa: S314 - the provider's own answer; expat bounds entities
    except ElementTree.ParseError:
        raise StoreError(f"{what}: the answer is no XML; is there a proxy or another service in between?") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _unanswered(error: httpx.TransportError, what: str) -> StoreError:
    """A broken connection may heal; a wrong address or a certificate that is not trusted will not."""
    text = str(error)
    if "CERTIFICATE_VERIFY_FAILED" in text:
        return StoreError(f"{what}: the server's certificate is not trusted; SSL_CERT_FILE names the authorities")
    if isinstance(error, _NOT_AGAIN):
        return StoreError(f"{what}: {type(error).__name__}; check endpointUrl in the stack outputs")
    return StoreUnreachableError(f"{what}: {type(error).__name__}; {NEXT[StoreUnreachableError]}")
