"""One recording at 100ms, read in ranges: the presigned URL renewed when it runs out, the version pinned.

Owns what an answer of 100ms' storage means. Tries again what may heal, renews a URL that is refused, once for each URL,
and refuses to go on when the recording is no longer the one that the first range came from.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from recordings.backfill.wire import FAILURES, Answer, Exchange, Wire
from recordings.errors import HmsError, ObjectNotFoundError, PreconditionError, StoreError, StoreUnreachableError
from recordings.retry import Attempts, parse_retry_after
from recordings.stores import SignedUrl

_EARLY: Final = timedelta(seconds=60)
"""How long before its end a URL is renewed: a range may take a while."""
_RANGE: Final = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)")
_REFUSED: Final = (400, 401, 403)
"""How storage answers to a URL that has run out: S3 with 403, Google with 400."""


class ChangedError(PreconditionError):
    """The recording at 100ms is another than the one that was begun with."""


@dataclass(frozen=True)
class Version:
    """Which bytes: the size of the whole, and a strong ETag ('' where there is none: then the size alone)."""

    size: int
    etag: str


@dataclass(frozen=True)
class Range:
    """A range that is about to be read: of which version, how many bytes, and the exchange that they come by."""

    version: Version
    count: int
    exchange: Exchange

    def pieces(self, buffer: memoryview, *, keep: bool = False) -> Iterator[memoryview]:
        """The bytes, as `Exchange.pieces` gives them; none where there are none (then the body is an error's)."""
        return self.exchange.pieces(buffer, keep=keep) if self.count else iter(())


class Source:
    """One recording; `ask` makes a presigned URL at 100ms, `what` names the recording in messages."""

    def __init__(
        self, what: str, ask: Callable[[], SignedUrl], wire: Wire, attempts: Callable[[], Attempts] = Attempts
    ) -> None:
        self._what = what
        self._ask = ask
        self._wire = wire
        self._attempts = attempts
        self._lock = threading.Lock()
        self._url: SignedUrl | None = None

    @contextmanager
    def open(self, first: int, count: int, version: Version | None) -> Iterator[Range]:
        """Ask for `count` bytes (fewer at the end) from `first` on, of `version` if that is known.

        Raises ChangedError, ObjectNotFoundError if 100ms has it no longer, StoreError for another refusal,
        StoreUnreachableError when retries are used up, and what asking 100ms for a URL raises. A connection that breaks
        inside the block raises one of FAILURES.
        """
        with ExitStack() as stack:
            yield self._opened(stack, first, count, version)

    def _opened(self, stack: ExitStack, first: int, count: int, version: Version | None) -> Range:
        attempts, refused = self._attempts(), ""
        while True:
            url, wait = self._current(), None
            try:
                exchange = stack.enter_context(self._wire.get(url.reveal(), self._headers(first, count, version)))
                status, reason = exchange.status, f"{self._what}: 100ms' storage answered {exchange.status}"
                if status in (200, 206) or (status == 416 and first == 0):
                    return self._judge(exchange, first, count, version)
                answer = exchange.small()
                stack.close()
                if status in _REFUSED and url.reveal() != refused:
                    refused = url.reveal()
                    self._renew(url)
                    continue
                self._refuse(answer, reason)
                wait = parse_retry_after(answer.headers.get("retry-after"), time.time())
            except FAILURES as error:
                stack.close()
                reason = f"{self._what}: reading from 100ms' storage broke off ({type(error).__name__})"
            if not attempts.wait_again(reason, wait):
                raise StoreUnreachableError(f"{reason}; gave up after {attempts.failures} tries")

    def _headers(self, first: int, count: int, version: Version | None) -> dict[str, str]:
        headers = {"Range": f"bytes={first}-{first + count - 1}", "Accept-Encoding": "identity"}
        return headers | ({"If-Match": version.etag} if version is not None and version.etag else {})

    def _judge(self, exchange: Exchange, first: int, count: int, expected: Version | None) -> Range:
        """Which version an answer is of. Raises ChangedError, or an exception that is tried again."""
        match = _RANGE.fullmatch(exchange.headers.get("content-range", ""))
        length = 0 if exchange.status == 416 else exchange.length
        if exchange.status == 200:
            size, begin = length, 0
        elif match is None:
            raise ConnectionError("no Content-Range")
        else:
            size, begin = int(match[3]), int(match[1] or 0)
        if size is None or begin != first or length != min(count, size - first):
            raise ConnectionError("not the range that was asked for")
        etag = exchange.headers.get("etag", "")
        found = Version(size, "" if etag.startswith("W/") or exchange.status == 416 else etag)
        if expected is not None and found != expected:
            raise ChangedError(f"{self._what} changed at 100ms while it was being copied")
        return Range(found, length or 0, exchange)

    def _refuse(self, answer: Answer, reason: str) -> None:
        """Raise for what no other try will change."""
        status = answer.status
        if status in (412, 416):
            raise ChangedError(f"{self._what} changed at 100ms while it was being copied")
        if status in (404, 410):
            raise ObjectNotFoundError(f"{reason}: 100ms has it no longer")
        if 300 <= status < 400:
            raise HmsError(f"{reason} and points elsewhere, which is not followed")
        if status < 500 and status not in (408, 429):
            raise StoreError(f"{reason}, also to a fresh presigned URL")

    def _current(self) -> SignedUrl:
        with self._lock:
            if self._url is None or self._url.expires_at - datetime.now(UTC) < _EARLY:
                self._url = self._ask()
            return self._url

    def _renew(self, used: SignedUrl) -> None:
        """Ask for another URL, unless somebody has done so already."""
        with self._lock:
            if self._url is used:
                self._url = self._ask()
