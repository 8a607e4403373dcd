"""A download is whole and the store's own, or it is not in place; nothing else is written."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import random
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from recordings.errors import CheckFailedError, StoreError, StoreUnreachableError, UsageError
from recordings.fetch import Fetched, Source, fetch
from recordings.retry import Attempts, RetryPolicy, Timing
from recordings.signing import file_name
from recordings.stores import SignedUrl
from recordings.stores.checksums import CRC32C, CRC64NVME

BODY = random.Random(7).randbytes(12 << 20)
MD5 = base64.b64encode(hashlib.md5(BODY, usedforsecurity=False).digest()).decode()
QUICK = Timing(sleep=lambda _: None)


def b64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


class Breaking(httpx.SyncByteStream):
    """A body that breaks off after so many bytes."""

    def __init__(self, body: bytes, limit: int | None) -> None:
        self.body, self.limit = body, limit

    def __iter__(self) -> Iterator[bytes]:
        yield self.body[: self.limit]
        if self.limit is not None:
            raise httpx.ReadError("reset")


class Server:
    """Serves one object with Range and If-Match, and misbehaves as told: a list of bytes until the next break."""

    def __init__(self, body: bytes = BODY) -> None:
        self.body = body
        self.etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        self.more: dict[str, str] = {}
        self.breaks: list[int | None] = []
        self.statuses: list[int] = []
        self.seen: list[str | None] = []
        self.signed = 0
        self.stated: dict[str, str] | StoreError = {}

    def checksums(self) -> dict[str, str]:
        if isinstance(self.stated, StoreError):
            raise self.stated
        return self.stated

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request.headers.get("range"))
        if self.statuses:
            return httpx.Response(self.statuses.pop(0), content=b"<Error><Code>X</Code></Error>")
        headers = {"etag": self.etag, **self.more}
        if request.headers.get("if-match", self.etag) != self.etag:
            return httpx.Response(412)
        limit = self.breaks.pop(0) if self.breaks else None
        start = int((request.headers.get("range") or "bytes=0-")[6:-1])
        if start and start >= len(self.body):
            return httpx.Response(416, headers={"content-range": f"bytes */{len(self.body)}"})
        rest = self.body[start:]
        headers["content-length"] = str(len(rest))
        if request.headers.get("range"):
            headers["content-range"] = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        return httpx.Response(206 if start else 200, headers=headers, stream=Breaking(rest, limit))

    def sign(self) -> SignedUrl:
        self.signed += 1
        return SignedUrl(f"https://b.invalid/k?signature={self.signed}", datetime.now(UTC))


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def run(server: Server, tmp_path: Path) -> Iterator[Callable[..., Fetched]]:
    with httpx.Client(transport=httpx.MockTransport(server)) as http:

        def refuse(status: int, body: bytes, what: str) -> StoreError:
            return StoreError(f"{what}: {status}")

        policy = RetryPolicy(attempts=3)
        source = Source(server.sign, refuse, "recording r", http, lambda: Attempts(policy, QUICK), server.checksums)
        yield lambda **how: fetch(source, tmp_path / "r.mp4", **how)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_whole_recording_is_in_place_with_nothing_beside_it(run: Callable[..., Fetched], tmp_path: Path) -> None:
    """Equal bytes, compared by the MD5 that a simple upload's ETag is; the partial file is gone."""
    done = run()
    assert (tmp_path / "r.mp4").read_bytes() == BODY
    assert (done.size, done.resumed_at, done.proof) == (len(BODY), 0, "MD5")
    assert left(tmp_path) == ["r.mp4"]


@pytest.mark.parametrize("seed", range(20))
def test_broken_connections_go_on_where_they_broke_off(
    server: Server, run: Callable[..., Fetched], tmp_path: Path, seed: int
) -> None:
    """Each try asks for the rest of the same version with a fresh URL; progress renews the patience."""
    chance = random.Random(seed)
    pieces = [chance.randrange(1, 3 << 20) for _ in range(4)]
    server.breaks = [*pieces]
    ends = [sum(pieces[: count + 1]) for count in range(4)]
    assert run().proof == "MD5"
    assert (tmp_path / "r.mp4").read_bytes() == BODY
    assert server.seen == [None, *(f"bytes={end}-" for end in ends)]
    assert server.signed == 5


def test_later_run_goes_on_from_an_earlier_one(server: Server, run: Callable[..., Fetched], tmp_path: Path) -> None:
    """What was downloaded before retries were used up is not asked for again."""
    server.breaks = [4 << 20, 0, 0, 0]
    with pytest.raises(StoreUnreachableError, match="goes on from byte 4194304"):
        run()
    assert left(tmp_path) == [".r.mp4.part", ".r.mp4.part.json"]
    assert run().resumed_at == 4 << 20
    assert (tmp_path / "r.mp4").read_bytes() == BODY


def test_object_that_changed_meanwhile_begins_anew(server: Server, run: Callable[..., Fetched], tmp_path: Path) -> None:
    """Halves of two versions are never joined."""
    server.breaks = [4 << 20, 0, 0, 0]
    with pytest.raises(StoreUnreachableError):
        run()
    server.body = BODY[::-1]
    server.etag = f'"{hashlib.md5(server.body, usedforsecurity=False).hexdigest()}"'
    assert run().proof == "MD5"
    assert (tmp_path / "r.mp4").read_bytes() == BODY[::-1]


@pytest.mark.parametrize("flip", [0, 1 << 20, len(BODY) - 1])
def test_changed_byte_is_found_and_not_put_in_place(
    server: Server, run: Callable[..., Fetched], tmp_path: Path, flip: int
) -> None:
    """The next run begins anew."""
    server.body = BODY[:flip] + bytes([BODY[flip] ^ 1]) + BODY[flip + 1 :]
    with pytest.raises(CheckFailedError, match="not those of the store"):
        run()
    assert "r.mp4" not in left(tmp_path)
    server.body = BODY
    assert run().resumed_at == 0


def test_partial_file_that_was_damaged_is_found(server: Server, run: Callable[..., Fetched], tmp_path: Path) -> None:
    """What an earlier run left is not believed either."""
    server.breaks = [4 << 20, 0, 0, 0]
    with pytest.raises(StoreUnreachableError):
        run()
    part = tmp_path / ".r.mp4.part"
    part.write_bytes(b"\0" + part.read_bytes()[1:])
    with pytest.raises(CheckFailedError):
        run()


@pytest.mark.parametrize("part", [5 << 20, 8 << 20])
def test_upload_in_parts_is_compared_by_the_parts(server: Server, run: Callable[..., Fetched], part: int) -> None:
    """Its ETag is the MD5 of the parts' MD5s; the size of the parts is found out."""
    blocks = [BODY[at : at + part] for at in range(0, len(BODY), part)]
    joined = b"".join(hashlib.md5(block, usedforsecurity=False).digest() for block in blocks)
    server.etag = f'"{hashlib.md5(joined, usedforsecurity=False).hexdigest()}-{len(blocks)}"'
    assert run().proof == "MD5 of the parts"


@pytest.mark.parametrize(
    ("etag", "more", "proof"),
    [
        ('"' + "0" * 32 + '-3"', {}, "length"),
        ('"' + "0" * 32 + '"', {"x-amz-server-side-encryption": "aws:kms"}, "length"),
        ('"opaque"', {}, "length"),
        ('"opaque"', {"x-amz-checksum-crc32": "AAAAAA==-3"}, "length"),
        ('"opaque"', {"x-amz-checksum-crc64nvme": "AAAAAAAAAAA=", "x-amz-checksum-type": "COMPOSITE"}, "length"),
        ('"opaque"', {"x-goog-hash": f"md5={MD5}"}, "MD5"),
    ],
)
def test_what_the_store_does_not_give_is_not_claimed(
    server: Server, run: Callable[..., Fetched], etag: str, more: dict[str, str], proof: str
) -> None:
    """Only the length is compared where an ETag is no checksum."""
    server.etag, server.more = etag, more
    assert run().proof == proof


CHECKSUMS = [
    ("CRC64NVME", "x-amz-checksum-crc64nvme", b64(CRC64NVME.update(memoryview(BODY), 0).to_bytes(8, "big"))),
    ("CRC32C", "x-amz-checksum-crc32c", b64(CRC32C.update(memoryview(BODY), 0).to_bytes(4, "big"))),
    ("CRC32C", "x-goog-hash", "md5=A,crc32c=" + b64(CRC32C.update(memoryview(BODY), 0).to_bytes(4, "big"))),
    ("CRC32", "x-amz-checksum-crc32", b64(zlib.crc32(BODY).to_bytes(4, "big"))),
    ("SHA-256", "x-amz-checksum-sha256", b64(hashlib.sha256(BODY).digest())),
    ("SHA-1", "x-amz-checksum-sha1", b64(hashlib.sha1(BODY, usedforsecurity=False).digest())),
    ("MD5", "x-goog-hash", f"md5={MD5}"),
]


@pytest.mark.parametrize(("name", "header", "right"), CHECKSUMS)
def test_strongest_checksum_of_the_whole_is_compared(
    server: Server, run: Callable[..., Fetched], name: str, header: str, right: str
) -> None:
    """In the answer or beside it; one that differs is an error, whatever the ETag says; it is said which it was."""
    server.more = {header: right}
    assert run().proof == name
    server.more, server.stated = {}, {"etag": server.etag, header: right}
    assert run(overwrite=True).proof == name
    server.stated[header] = right.replace(right[-6], "A" if right[-6] != "A" else "B")
    with pytest.raises(CheckFailedError):
        run(overwrite=True)


def test_checksum_beside_the_answer_must_be_of_the_same_version(server: Server, run: Callable[..., Fetched]) -> None:
    """An object that was replaced meanwhile is not what came; a store that says nothing more is no error."""
    server.stated = {"etag": '"another"', "x-amz-checksum-crc32": "AAAAAA=="}
    assert run().proof == "MD5"
    server.stated = StoreError("no")
    assert run(overwrite=True).proof == "MD5"


def test_resumed_download_is_compared_as_a_whole(server: Server, run: Callable[..., Fetched]) -> None:
    """An answer to a Range names no checksum: the store is asked."""
    server.etag, server.breaks = '"opaque"', [1 << 20]
    server.stated = {"etag": server.etag, "x-amz-checksum-crc64nvme": CHECKSUMS[0][2]}
    assert run().proof == "CRC64NVME"


def test_checksum_that_cannot_be_computed_here_is_not_claimed(
    server: Server, run: Callable[..., Fetched], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without awscrt the next best is compared."""
    monkeypatch.setattr("recordings.proofs.find_spec", lambda name: None)
    server.more = {"x-amz-checksum-crc64nvme": CHECKSUMS[0][2]}
    assert run().proof == "MD5"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_busy_store_is_asked_again(server: Server, run: Callable[..., Fetched], status: int) -> None:
    """And given up on only after the attempts."""
    server.statuses = [status, status]
    assert run().size == len(BODY)
    server.statuses = [status] * 3
    with pytest.raises(StoreUnreachableError, match=str(status)):
        run(overwrite=True)


def test_refusal_is_the_stores_own_error(server: Server, run: Callable[..., Fetched], tmp_path: Path) -> None:
    """At once, with no URL in it."""
    server.statuses = [403]
    with pytest.raises(StoreError, match="recording r: 403") as caught:
        run()
    assert "signature" not in str(caught.value)
    assert "r.mp4" not in left(tmp_path)


def test_file_that_is_there_is_kept_unless_told_otherwise(
    server: Server, run: Callable[..., Fetched], tmp_path: Path
) -> None:
    """Nothing is asked for; with overwrite it is replaced at once."""
    (tmp_path / "r.mp4").write_text("mine")
    with pytest.raises(UsageError, match="--force"):
        run()
    assert (server.seen, (tmp_path / "r.mp4").read_text()) == ([], "mine")
    assert run(overwrite=True).size == len(BODY)


def test_file_that_appears_meanwhile_is_kept(server: Server, run: Callable[..., Fetched], tmp_path: Path) -> None:
    """Between the first look and the last step."""

    def tick(done: int, total: int) -> None:
        (tmp_path / "r.mp4").write_text("mine")

    with pytest.raises(UsageError, match="meanwhile"):
        run(tick=tick)
    assert (tmp_path / "r.mp4").read_text() == "mine"


def test_symbolic_link_in_the_way_is_not_followed(run: Callable[..., Fetched], tmp_path: Path) -> None:
    """Somebody else's link beside the target leads nowhere."""
    (tmp_path / "other").write_text("precious")
    (tmp_path / ".r.mp4.part").symlink_to(tmp_path / "other")
    with pytest.raises(UsageError, match="cannot be written"):
        run()
    assert (tmp_path / "other").read_text() == "precious"


def test_two_downloads_to_one_file_do_not_mix(run: Callable[..., Fetched], tmp_path: Path) -> None:
    """The second is told so."""
    number = os.open(tmp_path / ".r.mp4.part", os.O_RDWR | os.O_CREAT)
    fcntl.flock(number, fcntl.LOCK_EX)
    try:
        with pytest.raises(UsageError, match="another process"):
            run()
    finally:
        os.close(number)


def test_empty_recording_is_a_file(run: Callable[..., Fetched], server: Server, tmp_path: Path) -> None:
    """Zero bytes are whole."""
    server.body = b""
    server.etag = f'"{hashlib.md5(b"", usedforsecurity=False).hexdigest()}"'
    assert run().size == 0
    assert (tmp_path / "r.mp4").read_bytes() == b""


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("a/b/Rec-1.mp4", "Rec-1.mp4"),
        ("..", "recording"),
        ("a/.hidden", "hidden"),
        ("a/..\\..\\x.mp4", "_.._x.mp4"),
        ("a/é\n.mp4", "é_.mp4"),
        ("", "recording"),
        ("a/" + "x" * 300 + ".mp4", "x" * 56 + ".mp4"),
    ],
)
def test_own_name_has_no_folder_in_it(key: str, name: str) -> None:
    """Whatever a row says, the file is in the folder where the command runs."""
    assert file_name(key) == name
