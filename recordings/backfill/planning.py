"""Opening what a backfill works with, and looking at what is done already, so that a plan names only what is left.

Owns how the parts of this package are put together for a stack, and the questions that are asked before anything is
copied: which buckets are somebody's own, what was erased, what lies here already.
"""

from __future__ import annotations

import http
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from recordings.backfill.copying import Tools
from recordings.backfill.mover import Books, Mover, NoBooks
from recordings.backfill.moves import Found, Move
from recordings.backfill.record import LEASE_SECONDS, Record
from recordings.backfill.source import Source
from recordings.backfill.wire import FAILURES, Wire
from recordings.catalog_entries import CatalogEntry, entry_of
from recordings.hms import HmsClient
from recordings.hosts import Hosts
from recordings.memory import Memory
from recordings.outages import Outages, outages
from recordings.outputs import StackOutputs
from recordings.paths import Home
from recordings.retry import Attempts, RetryPolicy, Timing
from recordings.stores import SignedUrl, Store
from recordings.stores.landing import Landed, Landing, Target, open_landing
from recordings.upload_settings import upload_of

if TYPE_CHECKING:
    from recordings.catalog import Catalog
    from recordings.erasure.tombstones import Tombstones

URL_SECONDS: Final = 3600
"""How long a presigned URL of 100ms' shall live: a leaked one is of little use, and it is renewed."""
_LOOKS_AT_ONCE: Final = 8


class CatalogBooks:
    """The row of each recording, and the tombstones of erased ones, over one connection."""

    def __init__(self, catalog: Catalog, tombstones: Tombstones, home: Home) -> None:
        self._catalog, self._tombstones, self._home = catalog, tombstones, home
        self._lock = threading.Lock()

    def is_erased(self, move: Move) -> bool:
        """Ask the tombstones. Raises DatabaseError."""
        with self._lock:
            return bool(self._tombstones.erased([self._entry(move)]))

    def moved(self, move: Move, size: int) -> None:
        """Write the row. Raises DatabaseError."""
        entry = replace(
            self._entry(move),
            file_path=self._home.path(move.key),
            storage_provider=self._home.provider.value,
            size=size,
            synced_at=None,
        )
        with self._lock:
            self._catalog.upsert([entry])

    def is_written(self, move: Move) -> bool:
        """Whether the row says already that it lies in the bucket. Raises DatabaseError."""
        with self._lock:
            row = self._catalog.find(move.asset.id)
        return row is not None and row.file_path == self._home.path(move.key)

    def _entry(self, move: Move) -> CatalogEntry:
        return entry_of(move.asset, self._home, datetime.now(UTC))[0]


@dataclass
class Workshop:
    """A stack's backfill: 100ms, the bucket as the operator, and what is written down.

    `took` is told of bytes as they come, `began` of each recording, `outages` of what gives no answer.
    """

    outputs: StackOutputs
    hms: HmsClient
    store: Store
    memory: Memory
    books: Books = field(default_factory=NoBooks)
    took: Callable[[int], None] = lambda _: None
    began: Callable[[Move], None] = lambda _: None
    outages: Outages = field(default_factory=outages)
    lease: float = LEASE_SECONDS

    def __post_init__(self) -> None:
        self.landing: Landing = open_landing(self.outputs, self.store)
        self._looking = Wire()

    def mover(self) -> Mover:
        """What moves recordings; use it as a context manager."""
        reading, stopping = Wire(Hosts.of(self.outputs)), threading.Event()
        timing = Timing(sleep=lambda seconds: void(stopping.wait(seconds)))

        def attempts(party: str) -> Attempts:
            policy = RetryPolicy(attempts=1) if stopping.is_set() else RetryPolicy()
            return Attempts(policy, timing, self.outages, party)

        def source(move: Move) -> Source:
            what = f"recording {move.asset.id}"
            return Source(what, lambda: self._presigned(move.asset.id), reading, partial(attempts, "100ms' storage"))

        tools = Tools(
            landing=self.landing,
            wire=Wire(),
            source=source,
            record=lambda move: Record(self.memory, move.asset.id, lease=self.lease),
            attempts=partial(attempts, f"uploads to {self.store.bucket}"),
            took=self.took,
        )
        return Mover(
            tools,
            self.books,
            self._remove,
            stopping=stopping,
            cut=(reading,),
            renew_seconds=self.lease / 4,
            began=self.began,
        )

    def left(self, moves: Sequence[Move]) -> list[Move]:
        """Those that are not done: neither erased, nor here with their row."""
        with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
            return [move for move, is_done in zip(moves, pool.map(self._is_done, moves), strict=True) if not is_done]

    def close(self) -> None:
        """Close the connections that `left` looks over; a mover has its own."""
        self._looking.close()

    def _is_done(self, move: Move) -> bool:
        if self.books.is_erased(move):
            return True
        landed = self._landed(Target(move.key, move.content_type, move.asset.id))
        if landed is None or landed.mark != move.asset.id:
            return False
        return not isinstance(self.books, CatalogBooks) or self.books.is_written(move)

    def _landed(self, target: Target) -> Landed | None:
        """What is there. Whatever is no plain answer is asked again in full, with all its retries and errors."""
        request = self.landing.glance(target)
        with suppress(*FAILURES, KeyError, ValueError):
            answer = self._looking.head(request.url, request.headers)
            if answer.status == http.HTTPStatus.OK:
                return self.landing.seen(answer.headers)
            if answer.status == http.HTTPStatus.NOT_FOUND:
                return None
        return self.landing.look(target)

    def _presigned(self, asset_id: str) -> SignedUrl:
        answer = self.hms.presigned_url(asset_id, seconds=URL_SECONDS)
        lives = timedelta(seconds=answer.expiry or URL_SECONDS)
        return SignedUrl(answer.url.get_secret_value(), datetime.now(UTC) + lives)

    def _remove(self, key: str) -> None:
        """Remove what was just made, for good."""
        made = [version for version in self.store.list_versions(key) if version.key == key and version.is_latest]
        self.store.delete_versions(made)


def void(_: object) -> None:
    """Take a value for none."""


def others(hms: HmsClient, found: Found) -> frozenset[str]:
    """The buckets that templates and rooms of this workspace record into, which are somebody's own and not 100ms'.

    Asked only if there is something to move.
    """
    if not found.moves:
        return frozenset()
    uploads = (upload_of(hms.template_settings(template.id)) for template in hms.templates())
    named = {str(upload.get("location", "")) for upload in uploads if upload}
    rooms: Iterable[str] = (
        room.recording_info.upload_info.location
        for room in hms.rooms()
        if room.recording_info and room.recording_info.upload_info
    )
    return frozenset(named.union(rooms)) - {""}
