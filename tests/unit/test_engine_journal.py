"""The journal: nothing goes on before it is in the state file, and operations side by side share one write."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from sandbox.engine.journal import Journal
from sandbox.engine.state import Checkpoint, Resource


def _resource(number: int) -> Resource:
    return Resource(f"urn:pulumi:dev::golden::a:b:C::{number}", "a:b:C", custom=True)


class Disk:
    """Takes checkpoints; each write waits for `free`."""

    def __init__(self) -> None:
        self.begun, self.free = Event(), Event()
        self.written: list[set[str]] = []

    def save(self, checkpoint: Checkpoint) -> None:
        self.begun.set()
        assert self.free.wait(10)
        self.written.append({item.resource.name for item in checkpoint.pending})


def test_no_operation_begins_before_it_is_written() -> None:
    """However many wait for a slow write, each goes on only once a write that has it has ended."""
    disk = Disk()
    journal = Journal(Checkpoint("dev"), disk.save)

    def begin(number: int) -> bool:
        journal.begin(_resource(number), "creating")
        return any(str(number) in names for names in disk.written)

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(begin, 0)
        assert disk.begun.wait(10)
        rest = [pool.submit(begin, number) for number in range(1, 8)]
        assert not any(each.done() for each in (first, *rest))
        disk.free.set()
        assert all(each.result(10) for each in (first, *rest))


def test_one_write_does_for_all_that_waited() -> None:
    """What was noted while a write was under way is written once, not once for each."""
    disk = Disk()
    journal = Journal(Checkpoint("dev"), disk.save)
    with ThreadPoolExecutor(8) as pool:
        for number in range(8):
            pool.submit(journal.begin, _resource(number), "creating")
        while len(journal.checkpoint().pending) < 8:
            time.sleep(0.001)
        disk.free.set()
    assert disk.written[-1] == {str(number) for number in range(8)}
    assert len(disk.written) < 8


def test_failed_write_stops_whoever_waits_for_it() -> None:
    """A full disk is told to each operation that is not on it, not to the first alone."""
    journal = Journal(Checkpoint("dev"), _full)
    for number in range(2):
        with pytest.raises(OSError, match="no space"):
            journal.begin(_resource(number), "creating")


def _full(checkpoint: Checkpoint) -> None:
    raise OSError("no space left")
