"""One recording from 100ms' storage into the bucket: what to do with each range, and what ends it.

Owns the decisions: in one request or in parts, new or going on, there already or in the way. Knows no thread; `mover`
calls `open`, then `part` for each number that it gave, from any thread, then `finish`, or `give_up` instead.

An object comes into being once, whole, by one conditional request, after the store has compared the checksum of the
bytes that came from 100ms. So there is nothing half-visible to clean up, and nothing is ever overwritten.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from recordings.backfill.moves import Move
from recordings.backfill.record import Record, State
from recordings.backfill.source import ChangedError, Source, Version
from recordings.backfill.wire import FAILURES, Answer, Exchange, Wire
from recordings.errors import ConflictError, ObjectNotFoundError, PreconditionError, StoreError, StoreUnreachableError
from recordings.retry import Attempts, parse_retry_after
from recordings.stores.landing import DamagedError, Landed, LandedPart, Landing, Target

PART_BYTES: Final = 16 << 20
SMALL_BYTES: Final = 8 << 20
"""What is not larger goes in one request, out of a buffer."""
MOST_PARTS: Final = 10_000
"""Of S3 and Google alike."""
_DAMAGED: Final = (b"BadDigest", b"InvalidDigest", b"XAmzContentChecksumMismatch", b"RequestTimeout", b"IncompleteBody")
"""What the store says of bytes that were damaged, late or cut off on the way: sent again, they may arrive."""

T = TypeVar("T")


@dataclass(frozen=True)
class Tools:
    """What every copy of a run shares. `source` and `record` are made for one move; `attempts` for one call."""

    landing: Landing
    wire: Wire
    source: Callable[[Move], Source]
    record: Callable[[Move], Record]
    attempts: Callable[[], Attempts] = Attempts
    part_bytes: int = PART_BYTES
    small_bytes: int = SMALL_BYTES
    took: Callable[[int], None] = lambda _: None


class _Again(Exception):  # noqa: N818 - a signal inside this module, never seen outside
    """What was tried failed for `reason`; another try may do, after `wait` seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class Copy:
    """One recording; `size` is known once `open` has returned."""

    def __init__(self, move: Move, tools: Tools) -> None:
        self._tools = tools
        self._landing = tools.landing
        self._target = Target(move.key, move.content_type, move.asset.id)
        self._source = tools.source(move)
        self._record = tools.record(move)
        self._is_large = move.asset.size is not None and move.asset.size > tools.small_bytes
        self._parts: dict[int, LandedPart] = {}
        self._lock = threading.Lock()
        self._version = Version(0, "")
        self._upload_id = ""
        self.was_there = False

    @property
    def size(self) -> int:
        """Bytes of the recording."""
        return self._version.size

    def open(self, buffer: memoryview) -> Sequence[int]:
        """Begin, or go on where another run ended; gives the numbers of the parts that are left to do.

        Raises ChangedError (begin anew), BusyError (another run has it), ConflictError (another object is there), and
        whatever source and store raise.
        """
        if not self._is_large:
            if self._put_whole(buffer):
                return []
            self._is_large = True  # 100ms did not say so
        state = self._record.claim()
        left = self._go_on(state) if state is not None else None
        return self._begin(buffer) if left is None else left

    def part(self, number: int, buffer: memoryview) -> None:
        """Copy one part: every piece is sent on as soon as it is read."""
        checksum, answer = self._again(lambda: self._pour(number, buffer))
        etag = answer.headers.get("etag", "").strip('"')
        with self._lock:
            self._parts[number] = LandedPart(number, self._length(number), etag, checksum)
        self._record.part_done(number, checksum)

    def finish(self) -> None:
        """Make the object out of its parts, if that is not done yet. Raises as `open`."""
        if self._upload_id:
            self._complete()

    def renew(self) -> None:
        """Let other runs know that this one is alive."""
        self._record.renew()

    def give_up(self, error: BaseException) -> None:
        """Leave what is done to the next run, or throw it away if it is of no use."""
        if isinstance(error, ChangedError | ConflictError | DamagedError):
            self._start_over()
        else:
            self._record.release()

    def _go_on(self, state: State) -> list[int] | None:
        """Take up an earlier run's upload; None if that is of no use, and gone."""
        self._upload_id, self._version = state.upload_id, state.version
        if not state.fits(self._target.key, self._tools.part_bytes):
            self._start_over()
            return None
        numbers = range(1, -(-state.version.size // state.part_size) + 1)
        try:
            found = {part.number: part for part in self._landing.parts(self._target, state.upload_id)}
        except ObjectNotFoundError:  # thrown away, or completed by a run that was ended right then
            found = {n: LandedPart(n, self._length(n), "") for n in numbers if n in state.checksums}
            if len(found) < len(numbers) and not self._is_same(self._landing.look(self._target), None):
                self._start_over()
                return None
        for number, part in found.items():
            checksum = state.checksums.get(number)
            if checksum is not None and part.checksum in (None, checksum) and part.size == self._length(number):
                self._parts[number] = LandedPart(number, part.size, part.etag, checksum)
                self._tools.took(part.size)
        return [number for number in numbers if number not in self._parts]

    def _start_over(self) -> None:
        if self._upload_id:
            self._landing.abort(self._target, self._upload_id)
        self._record.forget()
        self._parts, self._upload_id, self._version = {}, "", Version(0, "")

    def _begin(self, buffer: memoryview) -> list[int]:
        """Look which version there is, and whether it is here already; else begin an upload."""
        with self._source.open(0, 1, None) as probe:
            self._version = probe.version
        if self.size <= self._tools.small_bytes and self._put_whole(buffer):  # 100ms said more
            return []
        room = self._tools.part_bytes
        count = max(1, -(-self.size // room))
        if count > MOST_PARTS:
            raise StoreError(f"it has {self.size:,} bytes; this copies at most {MOST_PARTS * room:,}")
        if (landed := self._landing.look(self._target)) is not None:
            self._compare(landed, buffer)
            return []
        self._upload_id = self._landing.begin(self._target)
        self._record.keep(State(self._target.key, self._version, room, self._upload_id))
        return list(range(1, count + 1))

    def _put_whole(self, buffer: memoryview) -> bool:
        """A small recording in one request; False, with nothing done, if it is not small."""
        count, checksum = self._again(lambda: self._read(buffer))
        if count < self.size:
            self._tools.took(-count)
            return False
        try:
            self._again(lambda: self._send(count, checksum, buffer))
        except PreconditionError:
            self._accept(self._landing.look(self._target), checksum)
        return True

    def _read(self, buffer: memoryview) -> tuple[int, int]:
        """Read as much as is small into the buffer; gives bytes and checksum."""
        checksum, told = 0, _Told(self._tools.took)
        try:
            with self._source.open(0, self._tools.small_bytes, None) as found:
                for piece in found.pieces(buffer, keep=True):
                    checksum = self._landing.checksum.update(piece, checksum)
                    told(len(piece))
        except FAILURES as error:
            told.take_back()
            raise _Again(f"reading {self._target.mark} broke off ({type(error).__name__})") from None
        self._version = found.version
        return found.count, checksum

    def _send(self, count: int, checksum: int, buffer: memoryview) -> None:
        request = self._landing.single(self._target, count, checksum)
        try:
            with self._tools.wire.put(request.url, request.headers, count) as upload:
                _write(upload, [buffer[:count]])
                answer = upload.end()
        except FAILURES as error:
            raise self._broken(error) from None
        self._judge(answer)

    def _pour(self, number: int, buffer: memoryview) -> tuple[int, Answer]:
        """One try of a part, from 100ms into the store; gives the checksum of what went through."""
        length, told = self._length(number), _Told(self._tools.took)
        checksum = 0

        def passing(pieces: Iterator[memoryview]) -> Iterator[memoryview]:
            nonlocal checksum
            for piece in pieces:
                checksum = self._landing.checksum.update(piece, checksum)
                told(len(piece))
                yield piece

        try:
            with self._source.open((number - 1) * self._tools.part_bytes, length, self._version) as found:
                request = self._landing.part(self._target, self._upload_id, number)
                with self._tools.wire.put(request.url, request.headers, length) as upload:
                    _write(upload, passing(found.pieces(buffer)))
                    answer = upload.end()
            self._judge(answer)
            if self._landing.said(answer.headers) not in (None, checksum):
                raise _Again(f"part {number} of {self._target.key} was damaged on the way")
        except FAILURES as error:
            told.take_back()
            raise self._broken(error) from None
        except _Again:
            told.take_back()
            raise
        return checksum, answer

    def _judge(self, answer: Answer) -> None:
        """Raises StoreError for a refusal, _Again for what may heal."""
        if answer.status == 200:
            return
        failure = self._landing.refusal(answer.status, answer.body, f"upload to {self._target.key}")
        if isinstance(failure, StoreUnreachableError) or any(code in answer.body for code in _DAMAGED):
            raise _Again(str(failure), parse_retry_after(answer.headers.get("retry-after"), time.time()))
        raise failure

    def _broken(self, error: Exception) -> _Again:
        return _Again(f"copying to {self._target.key} broke off ({type(error).__name__})")

    def _again(self, act: Callable[[], T]) -> T:
        """Do it, again where that may help. Raises StoreUnreachableError when the attempts are used up."""
        attempts = self._tools.attempts()
        while True:
            try:
                return act()
            except _Again as again:
                if not attempts.wait_again(str(again), again.wait):
                    raise StoreUnreachableError(f"{again}; gave up after {attempts.failures} tries") from None

    def _complete(self) -> None:
        parts = [self._parts[number] for number in sorted(self._parts)]
        checksum = self._landing.checksum.of_parts((part.checksum or 0, part.size) for part in parts)
        self._record.renew()
        try:
            self._landing.complete(self._target, self._upload_id, parts, checksum)
        except (PreconditionError, ObjectNotFoundError, StoreUnreachableError) as error:
            landed = self._landing.look(self._target)  # maybe by this very request, whose answer was lost
            if landed is None:
                raise ChangedError(f"{error}: it is begun anew") from None
            self._accept(landed, checksum)
            self.was_there = False
        self._record.forget()

    def _compare(self, landed: Landed, buffer: memoryview) -> None:
        """An object is there that may be this recording: without a mark of ours only all of its bytes can tell."""
        checksum: int | None = None
        if landed.mark != self._target.mark and landed.size == self.size and landed.checksum is not None:
            numbers = range(1, -(-self.size // self._tools.part_bytes) + 1)
            found = [
                (self._again(partial(self._checksum_of, number, buffer)), self._length(number)) for number in numbers
            ]
            checksum = self._landing.checksum.of_parts(found)
        self._accept(landed, checksum)

    def _checksum_of(self, number: int, buffer: memoryview) -> int:
        checksum = 0
        try:
            with self._source.open((number - 1) * self._tools.part_bytes, self._length(number), self._version) as found:
                for piece in found.pieces(buffer):
                    checksum = self._landing.checksum.update(piece, checksum)
        except FAILURES as error:
            raise self._broken(error) from None
        return checksum

    def _accept(self, landed: Landed | None, checksum: int | None) -> None:
        """Take what is there for this recording. Raises ConflictError if it is not."""
        if not self._is_same(landed, checksum):
            there = "nothing" if landed is None else f"{landed.size:,} bytes"
            raise ConflictError(
                f"another object is at {self._target.key} ({there}; the recording has {self.size:,}): it was not "
                "overwritten; move it away, then run this again"
            )
        self.was_there = True

    def _is_same(self, landed: Landed | None, checksum: int | None) -> bool:
        if landed is None or landed.size != self.size:
            return False
        if checksum is not None and landed.checksum is not None:
            return landed.checksum == checksum
        return landed.mark == self._target.mark

    def _length(self, number: int) -> int:
        return min(self._tools.part_bytes, self.size - (number - 1) * self._tools.part_bytes)


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


def _write(upload: Exchange, pieces: Iterable[memoryview]) -> None:
    """Send pieces, until the store takes no more: then its answer says why."""
    source = iter(pieces)
    for piece in source:
        try:
            upload.write(piece)
        except (BrokenPipeError, ConnectionResetError):
            return
