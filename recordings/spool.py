"""A temporary database file for what is too much for memory: gone with the process, whatever becomes of that.

Owns opening and closing; what is kept and asked is its users' (`recordings.reconcile_spool`, `recordings.usage.spool`).
"""

from __future__ import annotations

import sqlite3
from types import TracebackType
from typing import Self


class SpoolFile:
    """Holds the tables of `schema`, some 8 MB of them in memory; use it as a context manager."""

    def __init__(self, schema: str) -> None:
        self._file = sqlite3.connect("", isolation_level=None)
        self._file.executescript(f"pragma journal_mode = off; pragma cache_size = -8000; begin; {schema}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()
