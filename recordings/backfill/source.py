"""One recording at 100ms, read in ranges: the presigned URL renewed when it runs out, the version pinned.

Owns what an answer of 100ms' storage means. Tries again what may heal, renews a URL that is refused, once for each URL,
and refuses to go on when the recording is no longer the one that the first range came from.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from recordings.backfill.wire import FAILURES, Answer, Wire
from recordings.errors import HmsError, ObjectNotFoundError, PreconditionError, StoreError, StoreUnreachableError
from recordings.retry import Attempts, parse_retry_after
from recordings.stores import SignedUrl

if TYPE_CHECKING:
    from recordings.stores.checksums import Checksum

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
class Piece:
    """A range that was read: of which version, how many bytes, and their checksum."""

    version: Version
    count: int
    checksum: int


class Source:
    """One recording; `ask` makes a presigned URL at 100ms, `what` names the recording in messages."""

    def __init__(
        self,
        what: str,
        ask: Callable[[], SignedUrl],
        wire: Wire,
        checksum: Checksum,
        attempts: Callable[[], Attempts] = Attempts,
    ) -> None:
        self._what = what
        self._ask = ask
        self._wire = wire
        self._checksum = checksum
        self._attempts = attempts
        self._lock = threading.Lock()
        self._url: SignedUrl | None = None

    def read(self, first: int, into: memoryview, version: Version | None, took: Callable[[int], None]) -> Piece:
        """Read as many bytes as fit from `first` on, of `version` if that is known; `took` is told of progress.

        Raises ChangedError, ObjectNotFoundError if 100ms has it no longer, StoreError for another refusal,
        StoreUnreachableError when retries are used up, and what asking 100ms for a URL raises.
        """
        attempts, refused = self._attempts(), ""
        while True:
            wait, told = None, _Told(took)
            url = self._current()
            try:
                answer, value = self._fetch(url, first, into, version, told)
                reason = f"{self._what}: 100ms' storage answered {answer.status}"
                if answer.status in (200, 206) or (answer.status == 416 and first == 0):
                    return Piece(self._judge(answer, first, version, len(into)), answer.count, value)
                if answer.status in _REFUSED and url.reveal() != refused:
                    refused = url.reveal()
                    self._renew(url)
                    continue
                self._refuse(answer, reason)
                wait = parse_retry_after(answer.headers.get("retry-after"), time.time())
            except FAILURES as error:
                reason = f"{self._what}: reading from 100ms' storage broke off ({type(error).__name__})"
            told.take_back()
            if not attempts.wait_again(reason, wait):
                raise StoreUnreachableError(f"{reason}; gave up after {attempts.failures} tries")

    def _fetch(
        self, url: SignedUrl, first: int, into: memoryview, version: Version | None, told: _Told
    ) -> tuple[Answer, int]:
        value = 0

        def took(piece: memoryview) -> None:
            nonlocal value
            value = self._checksum.update(piece, value)
            told(len(piece))

        end = first + len(into) if version is None else min(first + len(into), version.size)
        headers = {"Range": f"bytes={first}-{end - 1}", "Accept-Encoding": "identity"}
        if version is not None and version.etag:
            headers["If-Match"] = version.etag
        return self._wire.fetch(url.reveal(), headers, into[: end - first], took), value

    def _judge(self, answer: Answer, first: int, expected: Version | None, room: int) -> Version:
        """Which version an answer is of. Raises ChangedError, or an exception that is tried again."""
        match = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        if answer.status == 200:
            size, begin = answer.count, 0
        elif match is None:
            raise ConnectionError("no Content-Range")
        else:
            size, begin = int(match[3]), int(match[1] or 0)
        etag = answer.headers.get("etag", "")
        found = Version(size, "" if etag.startswith("W/") else etag)
        if expected is not None and found != expected:
            raise ChangedError(f"{self._what} changed at 100ms while it was being copied")
        if begin != first or answer.count != min(room, size - first):
            raise ConnectionError("not the range that was asked for")
        return found

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


class _Told:
    """Progress of one try, to be taken back if it fails."""

    def __init__(self, took: Callable[[int], None]) -> None:
        self._took = took
        self._count = 0

    def __call__(self, count: int) -> None:
        self._count += count
        self._took(count)

    def take_back(self) -> None:
        self._took(-self._count)
