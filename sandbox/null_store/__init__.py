"""Two servers that cost as little as a server can: a source of bytes, and an S3 that forgets what it is given.

They exist for measuring the clients between them (`sandbox.bench_backfill`): each is a process of its own, so that
neither shares an interpreter with what is measured. They check no signature and keep nothing. `NullStore` starts both.
"""

from __future__ import annotations

from sandbox.null_store.process import NullStore

__all__ = ["NullStore"]
