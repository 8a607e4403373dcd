"""Downloading one recording to a file: resumed where it broke off, checked, and in place only when it is whole.

Owns the partial file and the requests for the rest; how it is compared is `recordings.proofs`. Knows no store: it is
given a way to sign, so that an expired URL is signed anew. What is there is never written over unless asked for, and
nothing but the target and two hidden files beside it is ever written.

Source: RFC 9110 (Range, If-Match).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from recordings.errors import CheckFailedError, StoreError, StoreUnreachableError, UsageError
from recordings.proofs import proven
from recordings.retry import Attempts, parse_retry_after
from recordings.stores import SignedUrl

Refuse = Callable[[int, bytes, str], StoreError]
Tick = Callable[[int, int], None]


@dataclass(frozen=True)
class Fetched:
    """What was downloaded. `proof` says how it was compared with what the store has: a checksum, or `length`."""

    path: Path
    size: int
    resumed_at: int
    proof: str


@dataclass
class Source:
    """Where it comes from: `sign` gives a URL that works now, `refuse` the error of an answer, `what` its name.

    `checksums` gives what the store says of the whole object beside its answers: `Store.checksums`.
    """

    sign: Callable[[], SignedUrl]
    refuse: Refuse
    what: str
    http: httpx.Client
    attempts: Callable[[], Attempts] = Attempts
    checksums: Callable[[], Mapping[str, str]] = dict


def fetch(source: Source, target: Path, *, overwrite: bool = False, tick: Tick = lambda done, total: None) -> Fetched:
    """Download to `target`; `tick` gets bytes so far and in all.

    Raises UsageError for a target that cannot be written, StoreError for what the store refuses or when retries are
    used up (run it again: it goes on), CheckFailedError if the bytes are not the store's (then it begins anew).
    """
    if not overwrite and target.exists():
        raise UsageError(f"{str(target)!r} is there already: give another name with -o, or --force")
    with _partial(target) as partial:
        begun = partial.size if partial.etag else 0
        headers = _complete(source, partial, tick)
        proof = proven(partial.file, _with_checksums(headers, source))
        if proof is None:
            partial.discard()
            raise CheckFailedError(f"{source.what}: the bytes that came are not those of the store; run it again")
        os.fsync(partial.file.fileno())
        size = partial.size
        partial.into(target, overwrite=overwrite)
    return Fetched(target, size, begun, proof)


def _with_checksums(headers: Mapping[str, str], source: Source) -> Mapping[str, str]:
    """What the answer said, with what else the store says of that version; a store that says no more is no error."""
    try:
        stated = source.checksums()
    except StoreError:
        return headers
    return {**headers, **stated} if stated.get("etag") == headers.get("etag") else headers


def _complete(source: Source, partial: _Partial, tick: Tick) -> Mapping[str, str]:
    """Ask for the rest until it is whole; gives the headers of the last answer."""
    attempts = source.attempts()
    while True:
        before, wait = partial.size, None
        try:
            with source.http.stream("GET", source.sign().reveal(), headers=partial.wanted()) as answer:
                status = answer.status_code
                if status == 429 or status >= 500:
                    reason, wait = f"{source.what} answered {status}", _asked_to_wait(answer)
                elif status in (412, 416) and before:  # it changed meanwhile, or there is no rest
                    partial.discard()
                    continue
                elif status not in (200, 206):
                    answer.read()
                    raise source.refuse(status, answer.content, source.what)
                else:
                    total = _take(partial, answer, tick)
                    if partial.size == total:
                        return answer.headers
                    reason = f"{source.what} ended at {partial.size} of {total} bytes"
        except httpx.TransportError as error:
            reason = f"{source.what} broke off ({type(error).__name__})"
        if partial.size > before:
            attempts = source.attempts()
        elif not attempts.wait_again(reason, wait):
            raise StoreUnreachableError(f"{reason}; gave up, run it again: it goes on from byte {partial.size}")


def _take(partial: _Partial, answer: httpx.Response, tick: Tick) -> int:
    """Write what comes; gives the size of the whole."""
    start, total = 0, int(answer.headers.get("content-length", "0"))
    if answer.status_code == 206:
        match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", answer.headers.get("content-range", ""))
        if match is None or int(match[1]) != partial.size:
            partial.discard()
            raise httpx.RemoteProtocolError("not the range that was asked for")
        start, total = int(match[1]), int(match[2])
    partial.begin(start, answer.headers.get("etag", ""))
    tick(start, total)
    for block in answer.iter_raw():
        partial.file.write(block)
        tick(partial.file.tell(), total)
    return total


class _Partial:
    """The hidden file beside the target that bytes come into, and which version of the object they are of."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file = file
        self._path = path
        self._note = path.with_name(f"{path.name}.json")
        self.etag = ""
        with suppress(OSError, ValueError, KeyError, TypeError):
            self.etag = str(json.loads(self._note.read_text(encoding="utf-8"))["etag"])

    @property
    def size(self) -> int:
        """Bytes that are there."""
        self.file.flush()
        return os.fstat(self.file.fileno()).st_size

    def wanted(self) -> dict[str, str]:
        """Headers that ask for the rest of the same version, or for all of it."""
        rest = {"Range": f"bytes={self.size}-", "If-Match": self.etag} if self.etag and self.size else {}
        return {"Accept-Encoding": "identity", **rest}

    def begin(self, at: int, etag: str) -> None:
        """What comes now is written from `at` on; a weak ETag does not name bytes."""
        self.file.seek(at)
        self.file.truncate(at)
        if at == 0:
            self.etag = "" if etag.startswith("W/") else etag
            self._note.write_text(json.dumps({"etag": self.etag}), encoding="utf-8")

    def discard(self) -> None:
        """Forget what came."""
        self.file.truncate(0)
        self.etag = ""
        self._note.unlink(missing_ok=True)

    def into(self, target: Path, *, overwrite: bool) -> None:
        """Become the target, at once and whole. Raises UsageError if there is one by now."""
        if overwrite:
            self._path.replace(target)
        else:
            try:
                os.link(self._path, target)
            except FileExistsError:
                raise UsageError(f"{str(target)!r} was made meanwhile: give another name, or --force") from None
            except OSError as error:  # a file system without links
                if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                    raise
                self._path.rename(target)
            self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)


@contextmanager
def _partial(target: Path) -> Iterator[_Partial]:
    """The partial file of a target, for one process at a time. Raises UsageError where it cannot be written."""
    path = target.with_name(f".{target.name}.part")
    try:
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(number, "r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UsageError(f"another process is downloading to {str(target)!r} now") from None
            partial = _Partial(file, path)
            try:
                yield partial
            finally:
                if not partial.size:  # nothing to go on from
                    partial.discard()
                    path.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(f"{str(target)!r} cannot be written: {error.strerror}") from None


def _asked_to_wait(answer: httpx.Response) -> float | None:
    return parse_retry_after(answer.headers.get("retry-after"), time.time())
