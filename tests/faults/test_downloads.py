"""A download that is cut, changed or refused on the way: in place is the whole recording, or nothing."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx

from recordings.errors import RecordingsError, StoreError
from recordings.fetch import Source, fetch
from recordings.retry import Attempts, RetryPolicy, Timing
from recordings.stores import SignedUrl
from tests.faults.trials import Trials

NAME = "recording.mp4"


class Cut(httpx.SyncByteStream):
    """A body of which only the first bytes come."""

    def __init__(self, body: bytes, length: int) -> None:
        self._body, self._length = body, length

    def __iter__(self) -> Iterator[bytes]:
        yield self._body[: self._length]
        if self._length < len(self._body):
            raise httpx.ReadError("reset by peer")


class Storage:
    """One object behind a presigned URL; while `bad` it cuts, changes, refuses and replaces it by chance."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.bad = rng, True
        self.put()

    def put(self) -> None:
        """Another version of the object."""
        self.body = self.rng.randbytes(self.rng.randrange(1, 200_000))
        self.etag = f'"{hashlib.md5(self.body, usedforsecurity=False).hexdigest()}"'

    def __call__(self, request: httpx.Request) -> httpx.Response:
        fault = self.rng.choice(["cut", "cut", "changed", "status", "replaced", "none"]) if self.bad else "none"
        if fault == "status":
            return httpx.Response(self.rng.choice([429, 500, 503]), headers={"retry-after": "1"})
        if fault == "replaced":
            self.put()
        if request.headers.get("if-match", self.etag) != self.etag:
            return httpx.Response(412)
        start = int(request.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        if start and start >= len(self.body):
            return httpx.Response(416)
        return self._part(start, fault)

    def _part(self, start: int, fault: str) -> httpx.Response:
        rest = bytearray(self.body[start:])
        if fault == "changed":
            rest[self.rng.randrange(len(rest))] ^= 1 << self.rng.randrange(8)
        length = self.rng.randrange(len(rest) + 1) if fault == "cut" else len(rest)
        headers = {"etag": self.etag, "content-length": str(len(rest))}
        if start:
            headers["content-range"] = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        return httpx.Response(206 if start else 200, headers=headers, stream=Cut(bytes(rest), length))


def _source(storage: Storage, http: httpx.Client) -> Source:
    def sign() -> SignedUrl:
        return SignedUrl("https://storage.invalid/key?signature=x", datetime.now(UTC))

    def refuse(status: int, body: bytes, what: str) -> StoreError:
        return StoreError(f"{what}: {status}")

    patience = Timing(sleep=lambda _: None)
    return Source(sign, refuse, "the recording", http, lambda: Attempts(RetryPolicy(attempts=4), patience))


def test_download_is_whole_or_not_there(trials: Trials, tmp_path: Path) -> None:
    """A run ends with the object's bytes in place, or with an error and nothing in place; the next run completes it."""
    for number, rng in enumerate(trials.of("truncated or changed download", 60)):
        storage, target = Storage(rng), tmp_path / str(number) / NAME
        target.parent.mkdir()
        with httpx.Client(transport=httpx.MockTransport(storage)) as http:
            source = _source(storage, http)
            for _ in range(3):
                if not _tried(source, target):
                    assert not target.exists()
                    continue
                assert target.read_bytes() == storage.body
                target.unlink()
            storage.bad = False
            # what earlier runs left may be damaged: it is found out, and then begun anew
            assert _tried(source, target) or _tried(source, target)
            assert target.read_bytes() == storage.body
            assert [path.name for path in target.parent.iterdir()] == [NAME]


def _tried(source: Source, target: Path) -> bool:
    try:
        fetch(source, target)
    except RecordingsError:
        return False
    return True
