"""What is to be erased: a room, a session or a recording, and what of 100ms and of the database belongs to it.

Owns the judgement by ids. Where things lie, and whether a path may be believed, is `recordings.erasure.places`; nothing
is changed here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol

from recordings.catalog_entries import CatalogEntry, entry_of
from recordings.errors import HmsNotFoundError, UsageError
from recordings.hms_models import Recording, RecordingAsset
from recordings.paths import Home

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_FOLDERS: Final = frozenset({"beam", "hls", "chat", "transcript", "summary"})
"""Folders of all rooms: no room has such an id."""
UNFINISHED: Final = frozenset({"starting", "running", "stopping", "post_processing"})
"""Statuses of a recording whose recording assets may still come."""


class Kind(StrEnum):
    """What a request for erasure names."""

    ROOM = "room"
    SESSION = "session"
    RECORDING = "recording"


@dataclass(frozen=True)
class Target:
    """One request."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @classmethod
    def of(cls, *, room: str | None, session: str | None, recording: str | None) -> Target:
        """From the options of the command. Raises UsageError unless exactly one is given, and is an id."""
        given = {Kind.ROOM: room, Kind.SESSION: session, Kind.RECORDING: recording}
        named = [cls(kind, id_) for kind, id_ in given.items() if id_ is not None]
        if len(named) != 1:
            raise UsageError("give exactly one of --room ID, --session ID and --recording ID")
        id_ = named[0].id
        if not _ID.fullmatch(id_) or id_ in _FOLDERS:
            raise UsageError(f"{id_!r} is no id of a {named[0].kind}: legal are letters, digits, '-' and '_', up to 64")
        return named[0]


class Hms(Protocol):
    """The part of the 100ms client that is asked."""

    def recording(self, recording_id: str) -> Recording:
        """One recording."""

    def recording_asset(self, asset_id: str) -> RecordingAsset:
        """One recording asset."""

    def recordings(self, *, room_id: str | None = None, session_id: str | None = None) -> Iterable[Recording]:
        """Recordings."""

    def recording_assets(
        self, *, room_id: str | None = None, session_id: str | None = None
    ) -> Iterable[RecordingAsset]:
        """Recording assets."""


Rows = Callable[[Sequence[str], Sequence[str], Sequence[str], Sequence[str]], Sequence[CatalogEntry]]
"""Rows of any of these rooms, sessions, jobs or recording assets; '' for an asset id that a row has not."""


@dataclass(frozen=True)
class Claim:
    """A path that somebody says is a recording's. 100ms is believed more than the database."""

    path: str
    entry: CatalogEntry
    by_hms: bool


@dataclass(frozen=True)
class Scope:
    """A target, and everything that belongs to it. `until` (UTC): of a room, what was recorded until then."""

    target: Target
    until: datetime
    rooms: frozenset[str]
    sessions: frozenset[str]
    jobs: frozenset[str]
    assets: frozenset[str]
    claims: tuple[Claim, ...]
    foreign: frozenset[str]
    """Paths that belong to other recordings of the same rooms."""
    unfinished: tuple[Recording, ...]
    rows: int

    @property
    def is_known(self) -> bool:
        """Whether 100ms or the database has anything of it."""
        return bool(self.claims or self.jobs or self.assets or self.rows)


@dataclass(frozen=True)
class _Ids:
    """What a target means, before its recordings are looked at; `jobs` are the recordings that 100ms knows of it."""

    target: Target
    until: datetime
    rooms: frozenset[str]
    jobs: frozenset[str] = frozenset()
    job: str | None = None

    def covers(self, entry: CatalogEntry) -> bool:
        """Whether a recording asset or row belongs to the target."""
        match self.target.kind:
            case Kind.ROOM:
                began_in_time = entry.recorded_at is None or entry.recorded_at <= self.until
                return entry.room_id == self.target.id and (began_in_time or entry.job_id in self.jobs)
            case Kind.SESSION:
                return entry.session_id == self.target.id
            case Kind.RECORDING if self.job is not None:
                return entry.job_id == self.job
            case _:
                return entry.asset_id == self.target.id


def survey(target: Target, hms: Hms, rows: Rows, home: Home, until: datetime) -> Scope:
    """Ask 100ms and the database what belongs to `target`. Raises HmsError and DatabaseError; changes nothing."""
    ids, known = _resolve(target, hms, rows, until)
    listed = [asset for room in sorted(ids.rooms) for asset in hms.recording_assets(room_id=room)]
    if target.kind is Kind.SESSION:
        listed += hms.recording_assets(session_id=target.id)
    elif target.kind is Kind.RECORDING and ids.job is None and not ids.rooms:
        listed += known
    assets = list({asset.id: asset for asset in listed}.values())
    by_hms = [(asset, entry_of(asset, home, datetime.now(UTC))[0]) for asset in assets]
    jobs = {ids.job} if ids.job else ids.jobs
    stored = rows(
        sorted(ids.rooms),
        [target.id] if target.kind is Kind.SESSION else [],
        sorted(jobs) if target.kind is Kind.RECORDING else [],
        [target.id] if target.kind is Kind.RECORDING else [],
    )
    return _scope(ids, by_hms, stored, _recordings(ids, hms))


def _resolve(target: Target, hms: Hms, rows: Rows, until: datetime) -> tuple[_Ids, list[RecordingAsset]]:
    """Which rooms to look at, and for a recording which one: an id of a recording asset means all of its recording."""
    if target.kind is Kind.ROOM:
        jobs = frozenset(recording.id for recording in hms.recordings(room_id=target.id))
        return _Ids(target, until, frozenset({target.id}), jobs), []
    if target.kind is Kind.SESSION:
        found = list(hms.recordings(session_id=target.id))
        said = {recording.room_id for recording in found}
        said |= {asset.room_id for asset in hms.recording_assets(session_id=target.id) if asset.room_id}
        said |= {row.room_id for row in rows([], [target.id], [], []) if row.room_id}
        return _Ids(target, until, frozenset(said), frozenset(recording.id for recording in found)), []
    try:
        recording = hms.recording(target.id)
        return _Ids(target, until, frozenset({recording.room_id}), frozenset({recording.id}), recording.id), []
    except HmsNotFoundError:
        pass
    try:
        asset = hms.recording_asset(target.id)
        room, job, assets = asset.room_id, asset.job_id, [asset]
    except HmsNotFoundError:
        stored = rows([], [], [target.id], [target.id])
        room = next((row.room_id for row in stored if row.room_id), None)
        job, assets = next((row.job_id for row in stored if row.job_id), None), []
    return _Ids(target, until, frozenset({room} if room else ()), frozenset({job} if job else ()), job), assets


def _recordings(ids: _Ids, hms: Hms) -> list[Recording]:
    """Recordings of the target that have not ended."""
    if ids.target.kind is Kind.SESSION:
        found = hms.recordings(session_id=ids.target.id)
    else:
        found = (recording for room in sorted(ids.rooms) for recording in hms.recordings(room_id=room))
    wanted = ids.jobs if ids.target.kind is not Kind.SESSION else None
    return [
        recording
        for recording in found
        if recording.status in UNFINISHED and (wanted is None or recording.id in wanted)
    ]


def _scope(
    ids: _Ids,
    by_hms: Sequence[tuple[RecordingAsset, CatalogEntry]],
    stored: Sequence[CatalogEntry],
    unfinished: Sequence[Recording],
) -> Scope:
    claims: list[Claim] = []
    foreign: set[str] = set()
    covered: list[CatalogEntry] = []
    for asset, entry in by_hms:
        paths = [path for path in (asset.path, *asset.thumbnail_paths) if path]
        if ids.covers(entry):
            covered.append(entry)
            claims += [Claim(path, entry, by_hms=True) for path in paths]
        else:
            foreign.update(paths)
    assets = {entry.asset_id for entry in covered}
    own = [row for row in stored if row.asset_id in assets or ids.covers(row)]
    foreign.update(row.file_path for row in set(stored) - set(own) if row.file_path)
    claims += [Claim(row.file_path, row, by_hms=False) for row in own if row.file_path]
    everything = [*covered, *own]
    return Scope(
        target=ids.target,
        until=ids.until,
        rooms=ids.rooms,
        sessions=frozenset(entry.session_id for entry in everything if entry.session_id),
        jobs=ids.jobs | frozenset(entry.job_id for entry in everything if entry.job_id),
        assets=frozenset(entry.asset_id for entry in everything if entry.asset_id),
        claims=tuple(claims),
        foreign=frozenset(foreign),
        unfinished=tuple(unfinished),
        rows=len(own),
    )
