"""Everything outside of a backfill in this process: 100ms' storage, a bucket with uploads in parts, and the memory.

No socket: `World` stands in for the wires. Every request goes through `World.step`, where a test lets one fail, cuts a
body off, or ends the run as SIGKILL does: from then on nothing is answered any more.
"""

from __future__ import annotations

import itertools
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

from recordings.backfill.copying import Tools
from recordings.backfill.mover import Books, Mover, NoBooks, Outcome
from recordings.backfill.moves import Move
from recordings.backfill.record import Record
from recordings.backfill.source import Source
from recordings.backfill.wire import Answer
from recordings.errors import (
    AccessDeniedError,
    ObjectNotFoundError,
    PreconditionError,
    StoreError,
    StoreUnreachableError,
)
from recordings.hms_models import RecordingAsset
from recordings.memory import Memory
from recordings.retry import Attempts, RetryPolicy, Timing
from recordings.stores import SignedUrl
from recordings.stores.checksums import CRC64NVME
from recordings.stores.landing import DamagedError, Landed, LandedPart, Request, Target
from tests.unit.hms_fake import MemoryStore

PART = 64
SMALL = 32


class Killed(BaseException):
    """The process is gone."""


@dataclass
class World:
    """`sources`: bytes and ETag at 100ms by id. `objects`: bytes and mark by key. `fault` sees every request's name."""

    sources: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    objects: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    memory_store: MemoryStore = field(default_factory=MemoryStore)
    upload_numbers: Iterator[int] = field(default_factory=itertools.count)
    fault: Callable[[str, int], str | None] = lambda _name, _number: None
    tells_checksums: bool = True
    honours_conditions: bool = True
    taken: int = 0
    seen: list[str] = field(default_factory=list)
    signed: int = 0
    lifetime: float = 3600.0
    now: float = 0.0
    lock: threading.RLock = field(default_factory=threading.RLock)

    def step(self, name: str) -> str | None:
        """Count a request; gives the fault to inject, if any."""
        with self.lock:
            self.seen.append(name)
            return self.fault(name, len(self.seen))

    def run(self, moves: Sequence[Move], *, books: Books | None = None, in_flight: int = 2) -> list[Outcome]:
        """One run of its own: nothing is shared with another but what is out there. Raises Killed."""
        with self.mover(books=books, in_flight=in_flight) as mover:
            return [future.result() for future in [mover.submit(move) for move in moves]]

    def mover(self, *, books: Books | None = None, in_flight: int = 2, lease: float = 60.0) -> Mover:
        memory = Memory(Stepping(self), SecretStr("app secret"))
        timing = Timing(now=lambda: self.now, monotonic=lambda: 0.0, sleep=lambda _: None)

        def attempts() -> Attempts:
            return Attempts(RetryPolicy(attempts=4), timing)

        tools = Tools(
            landing=FakeLanding(self),
            wire=FakeWire(self),  # type: ignore[arg-type]
            source=lambda move: Source(move.asset.id, lambda: self.sign(move.asset.id), FakeWire(self), attempts),  # type: ignore[arg-type]
            record=lambda move: Record(memory, move.asset.id, lease=lease, save=0.0, now=lambda: self.now),
            attempts=attempts,
            took=self.took,
            part_bytes=PART,
            small_bytes=SMALL,
        )
        return Mover(tools, books or NoBooks(), self.remove, in_flight=in_flight)

    def took(self, count: int) -> None:
        with self.lock:
            self.taken += count

    def sign(self, asset_id: str) -> SignedUrl:
        self.step("presign")
        self.signed += 1
        return SignedUrl(f"{asset_id}?{self.signed}", datetime.now(UTC) + timedelta(seconds=self.lifetime))

    def add(self, asset_id: str, body: bytes, *, size: int | None = -1) -> Move:
        """A recording at 100ms; `size` is what 100ms says of it, by default the truth."""
        self.sources[asset_id] = (body, f'"{asset_id}-1"')
        said = len(body) if size == -1 else size
        asset = RecordingAsset(id=asset_id, type="room-composite", status="completed", size=said)
        return Move(asset, f"recordings/{asset_id}.mp4", None)

    def remove(self, key: str) -> None:
        self.step("remove")
        self.objects.pop(key, None)

    def count(self, name: str) -> int:
        """How many requests had a name that starts so."""
        return sum(1 for each in self.seen if each.startswith(name))


class Stepping:
    """The memory's store, each request of which is a step too."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.bucket = "bucket"

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            with self._world.lock:
                fault = self._world.step(f"memory {name}")
                if fault == "lost":
                    getattr(self._world.memory_store, name)(*arguments, **named)
                if fault:
                    raise StoreUnreachableError(f"memory: {fault}")
                return getattr(self._world.memory_store, name)(*arguments, **named)

        return call


@dataclass
class FakeExchange:
    """One request and its answer; `fault` `cut` breaks the body off in the middle."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    fault: str | None = None
    done: Callable[[bytes], Answer] = lambda _: Answer(200, {})
    written: bytearray = field(default_factory=bytearray)

    @property
    def length(self) -> int:
        return len(self.body)

    def small(self) -> Answer:
        return Answer(self.status, self.headers, self.body)

    def pieces(self, buffer: memoryview, *, keep: bool = False) -> Iterator[memoryview]:
        at = 0
        for begin in range(0, len(self.body), 7):
            if self.fault == "cut" and begin >= len(self.body) // 2:
                raise ConnectionResetError("cut")
            piece = self.body[begin : begin + 7]
            place = begin if keep else 0
            buffer[place : place + len(piece)] = piece
            yield buffer[place : place + len(piece)]
            at += len(piece)

    def write(self, piece: memoryview) -> None:
        self.written += piece
        if self.fault == "refused":
            raise BrokenPipeError("the store takes no more")

    def end(self) -> Answer:
        return self.done(bytes(self.written))


class FakeWire:
    """Both sides: GET is 100ms' storage, PUT the bucket."""

    def __init__(self, world: World) -> None:
        self._world = world

    def close(self) -> None:
        """Nothing is open."""

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[FakeExchange]:
        world, asset_id = self._world, url.partition("?")[0]
        fault = world.step("get pinned" if "If-Match" in headers else "get")
        if fault and fault.isdigit():
            yield FakeExchange(int(fault), {"location": "https://elsewhere"})
            return
        if fault in ("reset", "lost"):
            raise ConnectionResetError(fault)
        body, etag = world.sources.get(asset_id, (None, ""))
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", headers["Range"])
        assert match is not None
        if body is None:
            yield FakeExchange(404, {})
        elif world.honours_conditions and headers.get("If-Match", etag) != etag:
            yield FakeExchange(412, {})
        elif not body:
            yield FakeExchange(416, {"content-range": "bytes */0"}, b"<Error/>")
        else:
            found = body[int(match[1]) : int(match[2]) + 1]
            told = f"bytes {match[1]}-{int(match[1]) + len(found) - 1}/{len(body)}"
            yield FakeExchange(206, {"content-range": told, "etag": etag}, found, fault)

    @contextmanager
    def put(self, url: str, headers: Mapping[str, str], length: int) -> Iterator[FakeExchange]:
        world, (what, key, *rest) = self._world, url.split(" ")
        fault = world.step(f"put {what}")
        if fault == "reset":
            raise ConnectionResetError(fault)

        def done(body: bytes) -> Answer:
            if fault == "refused":
                return Answer(503, {"retry-after": "1"}, b"SlowDown")
            assert len(body) == length
            if fault and fault.isdigit():
                return Answer(int(fault), {}, b"AccessDenied")
            if fault == "damage":
                body = b"?" + body[1:]
            with world.lock:
                answer = self._part(key, rest, body) if what == "part" else self._single(key, rest, body)
            if fault == "lost":
                raise ConnectionResetError(fault)
            return answer

        yield FakeExchange(0, {}, fault=fault, done=done)

    def _part(self, upload_id: str, rest: list[str], body: bytes) -> Answer:
        parts = self._world.uploads.get(upload_id)
        if parts is None:
            return Answer(404, {}, b"NoSuchUpload")
        parts[int(rest[0])] = body
        said = {"checksum": str(CRC64NVME.update(memoryview(body), 0))} if self._world.tells_checksums else {}
        return Answer(200, {"etag": f'"{len(body)}"', **said})

    def _single(self, key: str, rest: list[str], body: bytes) -> Answer:
        if CRC64NVME.update(memoryview(body), 0) != int(rest[1]):
            return Answer(400, {}, b"BadDigest")
        if key in self._world.objects:
            return Answer(412, {}, b"PreconditionFailed")
        self._world.objects[key] = (body, rest[0])
        return Answer(200, {})


class FakeLanding:
    """The bucket, as `Landing` promises it."""

    checksum = CRC64NVME
    store: Any = None

    def __init__(self, world: World) -> None:
        self._world = world

    def look(self, target: Target) -> Landed | None:
        self._step("look")
        found = self._world.objects.get(target.key)
        if found is None:
            return None
        return Landed(len(found[0]), CRC64NVME.update(memoryview(found[0]), 0), found[1] or None)

    def glance(self, target: Target) -> Request:
        return Request("HEAD", f"look {target.key}")

    def seen(self, headers: Mapping[str, str]) -> Landed:
        raise NotImplementedError

    def single(self, target: Target, size: int, checksum: int) -> Request:
        return Request("PUT", f"single {target.key} {target.mark} {checksum}")

    def begin(self, target: Target) -> str:
        def act() -> str:
            upload_id = f"upload-{next(self._world.upload_numbers)}"
            self._world.uploads[upload_id] = {}
            return upload_id

        return str(self._do("begin", act))

    def part(self, target: Target, upload_id: str, number: int) -> Request:
        return Request("PUT", f"part {upload_id} {number}")

    def said(self, headers: Mapping[str, str]) -> int | None:
        return int(headers["checksum"]) if "checksum" in headers else None

    def parts(self, target: Target, upload_id: str) -> Sequence[LandedPart]:
        self._step("parts")
        if upload_id not in self._world.uploads:
            raise ObjectNotFoundError("NoSuchUpload")
        found = self._world.uploads[upload_id].items()
        tells = self._world.tells_checksums
        return [
            LandedPart(n, len(body), str(len(body)), CRC64NVME.update(memoryview(body), 0) if tells else None)
            for n, body in found
        ]

    def complete(self, target: Target, upload_id: str, parts: Sequence[LandedPart], checksum: int) -> None:
        def act() -> None:
            if upload_id not in self._world.uploads:
                raise ObjectNotFoundError("NoSuchUpload")
            if target.key in self._world.objects:
                raise PreconditionError("there is one")
            body = b"".join(self._world.uploads[upload_id][part.number] for part in parts)
            if CRC64NVME.update(memoryview(body), 0) != checksum:
                raise DamagedError("other bytes")
            del self._world.uploads[upload_id]
            self._world.objects[target.key] = (body, target.mark)

        self._do("complete", act)

    def abort(self, target: Target, upload_id: str) -> None:
        self._do("abort", lambda: self._world.uploads.pop(upload_id, None))

    def refusal(self, status: int, body: bytes, what: str) -> StoreError:
        if status >= 500:
            return StoreUnreachableError(f"{what}: {status}")
        kinds = {404: ObjectNotFoundError, 412: PreconditionError, 403: AccessDeniedError}
        return kinds.get(status, StoreError)(f"{what}: {status}")

    def _step(self, name: str) -> str | None:
        fault = self._world.step(name)
        if fault and fault != "lost":
            raise StoreUnreachableError(f"{name}: {fault}")
        return fault

    def _do(self, name: str, act: Callable[[], Any]) -> Any:
        with self._world.lock:
            fault = self._step(name)
            result = act()
        if fault == "lost":
            raise StoreUnreachableError(f"{name}: the answer was lost")
        return result
