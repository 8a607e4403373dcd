"""What the sandbox's Google remembers: documents and object versions in one SQLite file, bytes in files beside it.

It owns layout and transactions, not meaning. One process with one thread uses it, and no handler awaits anything in
the middle of a change, so each change is whole; SQLite makes it survive a stop, or a kill at any moment.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sandbox.google.http import Json
from sandbox.servers.files import make_private

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS documents (
    kind TEXT NOT NULL, id TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS versions (
    bucket TEXT NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL, state TEXT NOT NULL, blob TEXT NOT NULL,
    body TEXT NOT NULL, PRIMARY KEY (bucket, name, generation)
) WITHOUT ROWID;
CREATE UNIQUE INDEX IF NOT EXISTS live ON versions (bucket, name) WHERE state = 'live';
"""


class State:
    """The SQLite file `state.db` and the folder `blobs` under `folder`."""

    def __init__(self, folder: Path) -> None:
        make_private(folder)
        self.blobs = folder / "blobs"
        make_private(self.blobs)
        self.sql = sqlite3.connect(folder / "state.db", isolation_level=None)
        (folder / "state.db").chmod(0o600)
        self.sql.execute("PRAGMA journal_mode = WAL")
        self.sql.execute("PRAGMA synchronous = NORMAL")
        self.sql.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file; nothing is pending."""
        self.sql.close()

    @contextmanager
    def change(self) -> Iterator[None]:
        """A change that happens as a whole or not at all. Must not await."""
        self.sql.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.sql.execute("ROLLBACK")
            raise
        self.sql.execute("COMMIT")

    def get(self, kind: str, id_: str) -> Json | None:
        """One document, or None."""
        row = self.sql.execute("SELECT body FROM documents WHERE kind = ? AND id = ?", (kind, id_)).fetchone()
        return None if row is None else json.loads(row[0])

    def put(self, kind: str, id_: str, body: Json) -> None:
        """Write one document."""
        self.sql.execute("INSERT OR REPLACE INTO documents VALUES (?, ?, ?)", (kind, id_, json.dumps(body)))

    def remove(self, kind: str, id_: str) -> None:
        """Remove one document; a missing one is no error."""
        self.sql.execute("DELETE FROM documents WHERE kind = ? AND id = ?", (kind, id_))

    def all(self, kind: str) -> list[Json]:
        """Every document of a kind, ordered by id."""
        rows = self.sql.execute("SELECT body FROM documents WHERE kind = ? ORDER BY id", (kind,))
        return [json.loads(body) for (body,) in rows]
