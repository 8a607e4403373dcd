"""Backfill between the servers that it is measured with: memory does not grow with the recording."""

from __future__ import annotations

from sandbox.bench_backfill import measured
from sandbox.null_store import NullStore

LIMIT = 160
"""MiB, with four parts of 16 MiB in flight."""


def test_memory_is_bounded_whatever_the_size() -> None:
    """A recording of many parts, and small ones that are each held as a whole, stay within the limit."""
    with NullStore() as store:
        large, small = measured(store, 400 << 20), measured(store, 8 << 20, 8)
    assert 0 < large.copying < large.seconds
    assert large.mebibytes < LIMIT
    assert small.mebibytes < LIMIT
