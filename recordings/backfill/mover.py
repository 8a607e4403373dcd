"""Moving many recordings at once, with a fixed number of parts in flight and memory for no more than those.

Owns threads, buffers and the order: parts of a recording that ends sooner come before those of one that ends later, so
that few are open at a time. What one recording needs is `recordings.backfill.copying`; here is when it runs, how often
it is begun anew, and what became of it.
"""

from __future__ import annotations

import heapq
import mmap
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from recordings.backfill.copying import Copy, Tools
from recordings.backfill.moves import Move
from recordings.backfill.record import LEASE_SECONDS
from recordings.backfill.source import ChangedError
from recordings.backfill.wire import PIECE, Wire
from recordings.errors import RecordingsError
from recordings.stores.landing import DamagedError

IN_FLIGHT: Final = 4
_STOPPED: Final = "the run was stopped: the next one goes on where it was"
_TRIES: Final = 3
"""How often a recording is begun anew that changes meanwhile."""


class Result(StrEnum):
    """What became of a recording."""

    MOVED = "moved"
    THERE = "already there"
    ERASED = "erased"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """One recording: what became of it, its bytes, and why it failed (the error, whose message names no secret)."""

    move: Move
    result: Result
    size: int = 0
    error: RecordingsError | None = None


class Books(Protocol):
    """What is written down of recordings elsewhere than in the bucket. Methods may raise RecordingsError."""

    def is_erased(self, move: Move) -> bool:
        """Whether somebody asked for this recording to be deleted for good."""

    def moved(self, move: Move, size: int) -> None:
        """Write down that it lies in the bucket now."""


class NoBooks:
    """Without a database there is nothing to write down."""

    def is_erased(self, move: Move) -> bool:
        """Nobody says so."""
        return False

    def moved(self, move: Move, size: int) -> None:
        """Nothing to do."""


@dataclass
class _Job:
    move: Move
    future: Future[Outcome]
    tries: int = 0
    copy: Copy | None = None
    left: int = 1
    error: BaseException | None = None


@dataclass(order=True)
class _Unit:
    order: tuple[datetime, str]
    number: int
    job: _Job = field(compare=False)


class Mover:
    """Threads that move what is submitted; use it as a context manager. `began` is told of each recording's begin.

    `stopping` is set, and the connections of `cut` are ended, when it is told to stop.
    """

    def __init__(
        self,
        tools: Tools,
        books: Books,
        remove: Callable[[str], None],
        *,
        stopping: threading.Event | None = None,
        cut: Sequence[Wire] = (),
        in_flight: int = IN_FLIGHT,
        renew_seconds: float = LEASE_SECONDS / 4,
        began: Callable[[Move], None] = lambda _: None,
    ) -> None:
        self._tools, self._books, self._remove, self._began = tools, books, remove, began
        self._units: list[_Unit] = []
        self._change = threading.Condition()
        self._is_ending = False
        self._stopping, self._wires = stopping or threading.Event(), (tools.wire, *cut)
        self._open: set[Copy] = set()
        self._renewing = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(in_flight)]
        self._threads.append(threading.Thread(target=self._renew, args=(renew_seconds,), daemon=True))

    def __enter__(self) -> Mover:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.stop()
        with self._change:
            self._is_ending = True
            self._change.notify_all()
        for thread in self._threads[:-1]:
            thread.join()
        self._renewing.set()
        self._threads[-1].join()
        for wire in self._wires:
            wire.close()

    def submit(self, move: Move) -> Future[Outcome]:
        """Have a recording moved. The future gives an outcome, a failed one too; it raises only for a fault of ours."""
        future: Future[Outcome] = Future()
        self._add([_Unit(move.order, 0, _Job(move, future))])
        return future

    def stop(self) -> None:
        """End soon: cut what is in flight; what is done stays for the next run."""
        self._stopping.set()
        for wire in self._wires:
            wire.close()

    def _add(self, units: list[_Unit]) -> None:
        with self._change:
            for unit in units:
                heapq.heappush(self._units, unit)
            self._change.notify_all()

    def _take(self) -> _Unit | None:
        with self._change:
            while not self._units:
                if self._is_ending:
                    return None
                self._change.wait()
            return heapq.heappop(self._units)

    def _work(self) -> None:
        buffer: memoryview | None = None
        while (unit := self._take()) is not None:
            if buffer is None:
                buffer = memoryview(mmap.mmap(-1, max(PIECE, self._tools.small_bytes)))
            job = unit.job
            try:
                if job.error is None:
                    self._do(unit, buffer)
            except BaseException as error:
                job.error = job.error or error
            with self._change:
                job.left -= 1
                is_last = job.left == 0
            if is_last:
                self._end(job)

    def _do(self, unit: _Unit, buffer: memoryview) -> None:
        job = unit.job
        if self._stopping.is_set():
            raise StoppedError(_STOPPED)
        if unit.number:
            assert job.copy is not None
            job.copy.part(unit.number, buffer)
            return
        if self._books.is_erased(job.move):
            raise ErasedError("it was erased")
        self._began(job.move)
        job.copy = Copy(job.move, self._tools)
        self._open.add(job.copy)
        numbers = job.copy.open(buffer)
        with self._change:
            job.left += len(numbers)
        self._add([_Unit(unit.order, number, job) for number in numbers])

    def _end(self, job: _Job) -> None:
        """The last unit of a job has run: settle it, or begin it anew."""
        try:
            outcome = self._settle(job)
        except BaseException as error:
            job.future.set_exception(error)
            return
        finally:
            if job.copy is not None:
                self._open.discard(job.copy)
        if outcome is not None:
            job.future.set_result(outcome)

    def _renew(self, seconds: float) -> None:
        """Renew the claims of what is open; one that cannot be renewed now may be so the next time."""
        while not self._renewing.wait(seconds):
            for copy in self._open.copy():
                with suppress(RecordingsError):
                    copy.renew()

    def _settle(self, job: _Job) -> Outcome | None:
        try:
            if job.error is not None:
                raise job.error
            assert job.copy is not None
            job.copy.finish()
            self._write_down(job.move, job.copy.size)
        except ErasedError:
            return Outcome(job.move, Result.ERASED)
        except RecordingsError as error:
            if job.copy is not None:
                _give_up(job.copy, error)
            if self._stopping.is_set():
                return Outcome(job.move, Result.FAILED, error=StoppedError(_STOPPED))
            if isinstance(error, ChangedError | DamagedError) and job.tries < _TRIES and not self._stopping.is_set():
                self._add([_Unit(job.move.order, 0, _Job(job.move, job.future, job.tries + 1))])
                return None
            return Outcome(job.move, Result.FAILED, error=error)
        return Outcome(job.move, Result.THERE if job.copy.was_there else Result.MOVED, job.copy.size)

    def _write_down(self, move: Move, size: int) -> None:
        """Write the row; asked again, since who erased meanwhile may have looked before the object was there."""
        if self._books.is_erased(move):
            self._remove(move.key)
            raise ErasedError("it was erased while it was being copied")
        self._books.moved(move, size)


class StoppedError(RecordingsError):
    """The run was told to end."""


class ErasedError(RecordingsError):
    """Somebody asked for the recording to be deleted for good."""


def _give_up(copy: Copy, error: RecordingsError) -> None:
    """What cannot be written down now is no second fault: the claim runs out by itself."""
    try:
        copy.give_up(error)
    except RecordingsError as second:
        error.add_note(f"and what was done could not be written down: {second}")
