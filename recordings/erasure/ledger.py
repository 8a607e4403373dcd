"""The database's side of an erasure: tombstones, rows, and what makes the receipt whole after a kill.

Owns the statements. Before anything is removed it is written down by its digest (`note`), so that the receipt of an
erasure that was killed and run again counts what both runs removed; once the receipt is kept, the digests go.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import psycopg

from recordings.catalog_entries import CatalogEntry
from recordings.catalog_sql import readable
from recordings.database import mapped
from recordings.erasure.target import Kind, Scope, Target
from recordings.errors import ConflictError

_COLUMNS: Final = f"asset_id, storage_provider, file_path, job_id, room_id, session_id, {readable('recorded_at')}"
_RECORDING: Final = "(asset_id is not null or file_path is not null)"
"""A row with neither is the application's own."""
_ROWS: Final = (
    f"select {_COLUMNS} from public.meeting_recordings where {_RECORDING} and (room_id = any(%(rooms)s) "  # noqa: S608
    "or session_id = any(%(sessions)s) or job_id = any(%(jobs)s) or asset_id = any(%(assets)s))"
)
_DELETE: Final[Mapping[Kind, str]] = {
    Kind.ROOM: "room_id = %(id)s and (recorded_at is null or recorded_at <= %(until)s or job_id = any(%(jobs)s))",
    Kind.SESSION: "session_id = %(id)s",
    Kind.RECORDING: "job_id = any(%(jobs)s)",
}
_GONE: Final = (
    "encode(sha256(convert_to(file_path, 'UTF8')), 'hex') in "
    "(select object from recordings_internal.erased where erasure = %(erasure)s)"
)
_TOMBSTONE: Final = (
    "insert into recordings_internal.tombstones as t (kind, id, until) "
    "select kind, id, until from unnest(%(kinds)s::text[], %(ids)s::text[], %(untils)s::timestamptz[]) "
    "as given (kind, id, until) on conflict (kind, id) do update set until = greatest(t.until, excluded.until)"
)
_NOTE: Final = (
    "insert into recordings_internal.erased (erasure, object, version, kind, bytes) "
    "select %(erasure)s, object, version, kind, bytes from "
    "unnest(%(objects)s::text[], %(versions)s::text[], %(kinds)s::text[], %(bytes)s::bigint[]) "
    "as given (object, version, kind, bytes) on conflict do nothing"
)
_ENDED_SINCE: Final = (
    "select 1 from recordings_internal.erasures where kind = %s and target = %s and ended_at >= %s limit 1"
)
_STILL_OPEN: Final = "select 1 from recordings_internal.erasures where id = %s and ended_at is null for share"
Receipt = dict[str, Any]
ROW: Final = "row"
"""The kind under which deleted rows are noted."""


@dataclass(frozen=True)
class Noted:
    """Something that is about to be removed: a version of an object, an unfinished upload, or a row.

    `kind` is what the receipt counts it under, `bytes` its size.
    """

    object: str
    version: str
    kind: str
    bytes: int = 0


class Ledger:
    """Over one connection, which is to commit by itself. Every method raises DatabaseError."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def now(self) -> datetime:
        """The database's clock, which is also that of tombstones."""
        return self._fetch("select now()")[0][0]  # type: ignore[no-any-return]

    def rows(
        self, rooms: Sequence[str], sessions: Sequence[str], jobs: Sequence[str], assets: Sequence[str]
    ) -> list[CatalogEntry]:
        """Rows of any of these; '' as the asset id of one that has none."""
        given = {"rooms": rooms, "sessions": sessions, "jobs": jobs, "assets": assets}
        return [
            CatalogEntry(asset or "", provider, None, None, path, job, room, session, None, None, recorded)
            for asset, provider, path, job, room, session, recorded in self._fetch(
                _ROWS, {name: list(ids) for name, ids in given.items()}
            )
        ]

    def open_erasure(self, target: Target) -> str | None:
        """The id of an erasure of `target` that was begun and has not ended."""
        query = "select id::text from recordings_internal.erasures where kind = %s and target = %s and ended_at is null"
        return next((str(id_) for (id_,) in self._fetch(query, (target.kind.value, target.id))), None)

    def receipt(self, target: Target) -> dict[str, Any] | None:
        """The receipt of the last erasure of `target` that ended."""
        query = (
            "select receipt from recordings_internal.erasures where kind = %s and target = %s and ended_at is not null "
            "order by ended_at desc limit 1"
        )
        return next((dict(receipt) for (receipt,) in self._fetch(query, (target.kind.value, target.id))), None)

    def begin(self, scope: Scope) -> str:
        """Leave the tombstones, and give the id of the erasure: the one that has not ended, or a new one.

        Whoever is writing rows right now is waited for, and whoever writes later meets the tombstones. Raises
        ConflictError if another run ended such an erasure after this one was planned.
        """
        target = scope.target
        ids: list[tuple[str, str, datetime | None]] = [("recording", job, None) for job in scope.jobs]
        ids += [("asset", asset, None) for asset in scope.assets]
        ids += [("room", target.id, scope.until)] if target.kind is Kind.ROOM else []
        ids += [("session", target.id, None)] if target.kind is Kind.SESSION else []
        columns = {name: [line[n] for line in sorted(ids)] for n, name in enumerate(("kinds", "ids", "untils"))}
        with mapped(), self._connection.transaction():
            self._connection.execute("select set_config('lock_timeout', '10s', true)")
            self._connection.execute("lock table public.meeting_recordings in share row exclusive mode")
            if self._fetch(_ENDED_SINCE, (target.kind.value, target.id, scope.until)):
                raise ConflictError(
                    f"another run has erased {target} meanwhile: run the command again, to see what is left"
                )
            self._connection.execute(_TOMBSTONE.encode(), columns)
            known = self.open_erasure(target)
            if known is None:
                query = "insert into recordings_internal.erasures (kind, target) values (%s, %s) returning id::text"
                known = str(self._fetch(query, (target.kind.value, target.id))[0][0])
        return known

    def note(self, erasure: str, items: Iterable[Noted]) -> None:
        """Write down, by digest, what is about to be removed; what was written down before stays once.

        Raises ConflictError if another run has ended the erasure meanwhile.
        """
        noted = list(items)
        given = {
            "erasure": erasure,
            "objects": [digest(item.object) for item in noted],
            "versions": [digest(item.version) for item in noted],
            "kinds": [item.kind for item in noted],
            "bytes": [item.bytes for item in noted],
        }
        with mapped(), self._connection.transaction():
            if not self._connection.execute(_STILL_OPEN.encode(), (erasure,)).fetchall():
                raise ConflictError(
                    "another run has ended this erasure meanwhile, and there is more to remove: run the command again"
                )
            self._connection.execute(_NOTE.encode(), given)

    def delete_rows(self, erasure: str, scope: Scope) -> int:
        """Delete the scope's rows, and those that name an object that was noted; noted in the same transaction.

        Gives how many.
        """
        given = {
            "id": scope.target.id,
            "until": scope.until,
            "jobs": sorted(scope.jobs),
            "assets": sorted(scope.assets),
            "erasure": erasure,
        }
        query = (
            f"delete from public.meeting_recordings where {_RECORDING} and ({_DELETE[scope.target.kind]} "  # noqa: S608
            f"or asset_id = any(%(assets)s) or {_GONE}) returning asset_id, file_path"
        )
        with mapped(), self._connection.transaction():
            gone = self._connection.execute(query.encode(), given).fetchall()
            self.note(erasure, (Noted(f"row {asset}", f"{path} {n}", ROW) for n, (asset, path) in enumerate(gone)))
        return len(gone)

    def end(
        self, erasure: str, make: Callable[[Sequence[Noted], datetime, datetime], Receipt], *, close: bool
    ) -> Receipt:
        """Make the receipt of everything that was noted, when it was begun and now; with `close` the erasure ends.

        Then the receipt is kept, and the digests that it was made from are forgotten. If another run has ended the
        erasure already, its receipt counts.
        """
        query = "select begun_at, ended_at, receipt, now() from recordings_internal.erasures where id = %s for update"
        noted = (
            "select object, version, kind, bytes from recordings_internal.erased where erasure = %s "
            "order by object, version"
        )
        with mapped(), self._connection.transaction():
            begun, ended, kept, now = self._fetch(query, (erasure,))[0]
            if ended is not None:
                return dict(kept)
            receipt = make([Noted(*line) for line in self._fetch(noted, (erasure,))], begun, now)
            if close:
                self._fetch(
                    "update recordings_internal.erasures set ended_at = now(), receipt = %s::jsonb where id = %s "
                    "returning id",
                    (json.dumps(receipt), erasure),
                )
                self._fetch("delete from recordings_internal.erased where erasure = %s returning erasure", (erasure,))
        return receipt

    def _fetch(self, query: str, parameters: Any = None) -> list[Any]:
        with mapped():
            return self._connection.execute(query.encode(), parameters).fetchall()


def digest(text: str) -> str:
    """SHA-256, in hexadecimal: says whether a thing was among those that were erased, and not which it was."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
