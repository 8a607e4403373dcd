"""What a run that is ended in mid-copy leaves for the next: which upload, of which version, and whose it is just now.

Owns one remembered thing for each recording that is copied in parts (`recordings.memory`, in the bucket, encrypted),
and the claim in it: a run that copies renews it every few seconds, and whoever finds one that was not renewed for a
minute may go on in its place. Two that do so all the same do no harm: both upload the same bytes under the same
numbers, and only one can complete.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from recordings.backfill.source import Version
from recordings.errors import ConflictError, NotDueError
from recordings.memory import Memory

FOLDER: Final = "backfill/"
LEASE_SECONDS: Final = 60.0
"""After this long without a sign of life a run is taken for gone; it gives one four times as often."""
SAVE_SECONDS: Final = 2.0
"""Google takes one write a second of one object."""


@dataclass(frozen=True)
class State:
    """What is remembered. `checksums` are those of the parts that came from 100ms, by number.

    What the store says of a part is no substitute: it is of the bytes that came there, damaged ones too.
    """

    key: str
    version: Version
    part_size: int
    upload_id: str
    checksums: Mapping[int, int] = field(default_factory=dict)

    def fits(self, key: str, part_size: int) -> bool:
        """Whether a copy to this key in parts of this size can go on from it."""
        return self.key == key and self.part_size == part_size


class BusyError(NotDueError):
    """Another run is copying this recording now."""


class Record:
    """The remembered thing of one recording asset, as one run sees it. Thread-safe. Methods may raise StoreError."""

    def __init__(
        self,
        memory: Memory,
        asset_id: str,
        *,
        lease: float = LEASE_SECONDS,
        save: float = SAVE_SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._memory = memory
        self._name = f"{FOLDER}{quote(asset_id, safe='')}.json"
        self._lease, self._save, self._now = lease, save, now
        self._owner = secrets.token_hex(8)
        self._lock = threading.Lock()
        self._at: str | None = None
        self._state: State | None = None
        self._saved = now()

    def claim(self) -> State | None:
        """What was remembered, now this run's; None if nothing was. Raises BusyError while another run has it."""
        found = self._memory.read(self._name)
        if found is None:
            return None
        left = float(found.value["until"]) - self._now()
        if 0 < left <= self._lease and found.value["owner"] != self._owner:
            raise BusyError(
                f"another run is copying it now (seen {self._lease - left:.0f} s ago)", _moment(self._now() + left)
            )
        state = _loaded(found.value)
        self._at = found.version
        self.keep(state)
        return state

    def keep(self, state: State) -> None:
        """Remember it, as this run's. Raises BusyError if another run was quicker."""
        with self._lock:
            self._write(state)

    def part_done(self, number: int, checksum: int) -> None:
        """A part is there; it is written down now, or with those that follow within two seconds."""
        with self._lock:
            assert self._state is not None
            self._state = replace(self._state, checksums={**self._state.checksums, number: checksum})
            if self._now() - self._saved >= self._save:
                self._write(self._state)

    def renew(self) -> None:
        """Write down all parts that are done, and that this run lives. Raises BusyError if another has taken over."""
        with self._lock:
            if self._state is not None:
                self._write(self._state)

    def release(self) -> None:
        """Write down how far it came, and let others go on at once."""
        with self._lock:
            if self._state is not None:
                self._write(self._state, until=0.0)

    def forget(self) -> None:
        """The copy is done."""
        with self._lock:
            if self._state is not None:
                self._memory.delete(self._name)
                self._state = None

    def _write(self, state: State, until: float | None = None) -> None:
        ends = self._now() + self._lease if until is None else until
        try:
            self._at = self._memory.write(self._name, _dumped(state, self._owner, ends), self._at)
        except ConflictError:
            raise BusyError("another run has begun to copy it", _moment(self._now() + self._lease)) from None
        self._state, self._saved = state, self._now()


def _dumped(state: State, owner: str, until: float) -> dict[str, Any]:
    return {
        "key": state.key,
        "size": state.version.size,
        "etag": state.version.etag,
        "partSize": state.part_size,
        "uploadId": state.upload_id,
        "checksums": {str(number): value for number, value in state.checksums.items()},
        "owner": owner,
        "until": until,
    }


def _loaded(value: Mapping[str, Any]) -> State:
    checksums = {int(number): int(found) for number, found in value["checksums"].items()}
    version = Version(int(value["size"]), str(value["etag"]))
    return State(str(value["key"]), version, int(value["partSize"]), str(value["uploadId"]), checksums)


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
