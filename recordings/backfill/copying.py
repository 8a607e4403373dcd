"""One recording from 100ms' storage into the bucket: what to do with each range, and what ends it.

Owns the decisions: in one request or in parts, new or going on, there already or in the way. Knows no thread; `mover`
calls `open`, then `part` for each number that it gave, from any thread, then `finish`, or `give_up` instead.

An object comes into being once, whole, by one conditional request, after the store has compared the checksum of the
bytes that came from 100ms. So there is nothing half-visible to clean up, and nothing is ever overwritten.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from recordings.backfill.moves import Move
from recordings.backfill.record import Record, State
from recordings.backfill.source import ChangedError, Piece, Source, Version
from recordings.backfill.wire import FAILURES, Answer, Wire
from recordings.errors import ConflictError, ObjectNotFoundError, PreconditionError, StoreError, StoreUnreachableError
from recordings.retry import Attempts, parse_retry_after
from recordings.stores.landing import Landed, LandedPart, Landing, Request, Target

PART_BYTES: Final = 16 << 20
MOST_PARTS: Final = 10_000
"""Of S3 and Google alike."""
_DAMAGED: Final = (b"BadDigest", b"InvalidDigest", b"XAmzContentChecksumMismatch", b"RequestTimeout")
"""What the store says of bytes that were damaged or late on the way: sent again, they may arrive."""


@dataclass(frozen=True)
class Tools:
    """What every copy of a run shares. `source` and `record` are made for one move; `attempts` for one call."""

    landing: Landing
    wire: Wire
    source: Callable[[Move], Source]
    record: Callable[[Move], Record]
    attempts: Callable[[], Attempts] = Attempts
    part_bytes: int = PART_BYTES
    took: Callable[[int], None] = lambda _: None


class Copy:
    """One recording; `size` is known once `open` has returned."""

    def __init__(self, move: Move, tools: Tools) -> None:
        self._tools = tools
        self._landing = tools.landing
        self._target = Target(move.key, move.content_type, move.asset.id)
        self._source = tools.source(move)
        self._record = tools.record(move)
        self._may_be_large = move.asset.size is None or move.asset.size > tools.part_bytes
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
        state = self._record.claim() if self._may_be_large else None
        if state is not None:
            left = self._go_on(state)
            if left is not None:
                return left
        return self._begin(buffer)

    def part(self, number: int, buffer: memoryview) -> None:
        """Copy one part."""
        first = (number - 1) * self._tools.part_bytes
        piece = self._source.read(first, buffer, self._version, self._tools.took)
        self._upload(number, piece, buffer)

    def finish(self) -> None:
        """Make the object out of its parts, if that is not done yet. Raises as `open`."""
        if self._upload_id:
            self._complete()

    def give_up(self, error: BaseException) -> None:
        """Leave what is done to the next run, or throw it away if it is of no use."""
        if isinstance(error, ChangedError | ConflictError):
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
            checksum = state.checksums.get(number) if part.checksum is None else part.checksum
            if checksum is not None and part.size == self._length(number):
                self._parts[number] = LandedPart(number, part.size, part.etag, checksum)
                self._tools.took(part.size)
        return [number for number in numbers if number not in self._parts]

    def _start_over(self) -> None:
        if self._upload_id:
            self._landing.abort(self._target, self._upload_id)
        self._record.forget()
        self._parts, self._upload_id, self._version = {}, "", Version(0, "")

    def _begin(self, buffer: memoryview) -> list[int]:
        room = self._tools.part_bytes
        piece = self._source.read(0, buffer[:room], None, self._tools.took)
        self._version = piece.version
        if self.size <= room:
            self._put(piece, buffer)
            return []
        count = -(-self.size // room)
        if count > MOST_PARTS:
            raise StoreError(f"it has {self.size:,} bytes; this copies at most {MOST_PARTS * room:,}")
        if (landed := self._landing.look(self._target)) is not None:
            self._compare(landed, piece, buffer)
            return []
        self._upload_id = self._landing.begin(self._target)
        self._record.keep(State(self._target.key, piece.version, room, self._upload_id))
        self._upload(1, piece, buffer)
        return list(range(2, count + 1))

    def _put(self, piece: Piece, buffer: memoryview) -> None:
        """The whole of a small recording in one request."""

        def request() -> Request:
            return self._landing.single(self._target, piece.count, piece.checksum)

        try:
            self._send(request, buffer[: piece.count])
        except PreconditionError:
            self._accept(self._landing.look(self._target), piece.checksum)

    def _upload(self, number: int, piece: Piece, buffer: memoryview) -> None:
        def request() -> Request:
            return self._landing.part(self._target, self._upload_id, number, piece.count, piece.checksum)

        answer = self._send(request, buffer[: piece.count])
        etag = answer.headers.get("etag", "").strip('"')
        with self._lock:
            self._parts[number] = LandedPart(number, piece.count, etag, piece.checksum)
        self._record.part_done(number, piece.checksum)

    def _complete(self) -> None:
        parts = [self._parts[number] for number in sorted(self._parts)]
        checksum = self._landing.checksum.of_parts((part.checksum or 0, part.size) for part in parts)
        self._record.save()
        try:
            self._landing.complete(self._target, self._upload_id, parts, checksum)
        except (PreconditionError, ObjectNotFoundError, StoreUnreachableError) as error:
            landed = self._landing.look(self._target)  # maybe by this very request, whose answer was lost
            if landed is None:
                raise ChangedError(f"{error}: it is begun anew") from None
            self._accept(landed, checksum)
        self._record.forget()

    def _compare(self, landed: Landed, piece: Piece, buffer: memoryview) -> None:
        """An object is there that may be this recording: without a mark of ours only all of its bytes can tell."""
        checksum, done = piece.checksum, piece.count
        if landed.mark != self._target.mark and landed.size == self.size and landed.checksum is not None:
            combine = self._landing.checksum.combine
            while done < self.size:
                more = self._source.read(done, buffer[: self._tools.part_bytes], self._version, self._tools.took)
                checksum, done = combine(checksum, more.checksum, more.count), done + more.count
        self._accept(landed, checksum if done == self.size else None)

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

    def _send(self, request: Callable[[], Request], body: memoryview) -> Answer:
        """Send until the store has it. Raises StoreError."""
        what, attempts = f"upload to {self._target.key}", self._tools.attempts()
        while True:
            wait, asked = None, request()
            try:
                answer = self._tools.wire.send(asked.method, asked.url, asked.headers, body)
            except FAILURES as error:
                reason = f"{what} broke off ({type(error).__name__})"
            else:
                if answer.status == 200:
                    return answer
                failure = self._landing.refusal(answer.status, answer.body, what)
                reason = str(failure)
                is_damaged = any(code in answer.body for code in _DAMAGED)
                if not isinstance(failure, StoreUnreachableError) and not is_damaged:
                    raise failure
                wait = parse_retry_after(answer.headers.get("retry-after"), time.time())
            if not attempts.wait_again(reason, wait):
                raise StoreUnreachableError(f"{reason}; gave up after {attempts.failures} tries")
