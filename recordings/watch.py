"""Are finished recordings in the bucket? What 100ms lists, recording by recording, against the objects that are there.

Owns the judgement: `ok`, `on its way`, `late`, `failed`, `missing`. 100ms delivers within 15 to 20 minutes of the end
("Recordings", FAQ), so that a recording is late only after `late`. A recording of a template that the stack does not
name is none of its business, and is left out; which template that is, is asked only of a room whose recording lies
elsewhere. Changes nothing and remembers nothing. Memory is that of one window.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import takewhile
from typing import Final, TypeVar

from recordings.catalog_entries import CatalogEntry, entry_of
from recordings.doctor.assets import backfilled_key
from recordings.errors import HmsNotFoundError, ObjectNotFoundError, UsageError
from recordings.hms import HmsClient
from recordings.hms_models import ACTIVE, Recording, RecordingAsset
from recordings.hms_wire import PAGE
from recordings.outputs import StackOutputs
from recordings.paths import Home, RecordingKind, RecordingPath
from recordings.stores import ObjectInfo, Store
from recordings.watch_reasons import UNKNOWN, explain, reasons

LATE: Final = timedelta(minutes=45)
_AT_ONCE: Final = 8
_OVERLAP: Final = timedelta(days=1)
"""A recording may have begun so long before its asset was made: 12 hours is the longest room, and then some."""

T = TypeVar("T", Recording, RecordingAsset)


class State(StrEnum):
    """What became of a recording, worst last."""

    OK = "ok"
    ON_ITS_WAY = "on its way"
    LATE = "late"
    FAILED = "failed"
    MISSING = "missing"


ALARMS: Final = (State.LATE, State.FAILED, State.MISSING)


@dataclass(frozen=True)
class Watched:
    """One recording asset, or a recording that has none yet; `at` (UTC) is when it ended or was made."""

    id: str
    state: State
    detail: str
    type: str = ""
    room_id: str | None = None
    at: datetime | None = None
    reason: str = ""
    delivery_seconds: float | None = None
    """From the end of the recording to its asset, where both are known."""


@dataclass(frozen=True)
class Report:
    """What was watched from `since` to `now`; `running` recordings are not finished, `others` not the stack's."""

    now: datetime
    since: datetime
    watched: Sequence[Watched]
    running: int = 0
    others: int = 0

    @property
    def counts(self) -> dict[State, int]:
        """How many of each state."""
        return {state: sum(one.state is state for one in self.watched) for state in State}

    @property
    def alarms(self) -> list[Watched]:
        """What somebody should look at, oldest first."""
        found = [one for one in self.watched if one.state in ALARMS]
        return sorted(found, key=lambda one: (one.at or self.since, one.id))


@dataclass(frozen=True)
class Window:
    """From when on, and how late is late."""

    now: datetime
    since: datetime
    late: timedelta = LATE

    def is_late(self, since: datetime | None) -> bool:
        """Whether what ended then should have been there by now."""
        return since is not None and self.now - since > self.late


@dataclass(frozen=True)
class Seen:
    """What 100ms and the bucket say: assets, recordings with none, reasons of failures, objects by asset id."""

    recordings: Sequence[Recording]
    assets: Sequence[RecordingAsset]
    reasons: Mapping[str, str] = field(default_factory=dict)
    objects: Mapping[str, ObjectInfo | None] = field(default_factory=dict)
    """By asset id, of what lies in the stack's bucket or may have been moved there; None: it is not there."""
    others: frozenset[str] = frozenset()
    """Rooms whose template is not the stack's."""
    erased: frozenset[str] = frozenset()
    """Assets that `recordings erase` erased."""
    keeps_days: int | None = None
    """After how many days the bucket's lifecycle deletes recordings, None for never."""


def watch(
    outputs: StackOutputs,
    hms: HmsClient,
    reader: Store,
    window: Window,
    *,
    keeps_days: Callable[[], int | None] = lambda: None,
    erased: Callable[[Sequence[CatalogEntry]], frozenset[str]] = lambda _: frozenset(),
    tick: Callable[[int], None] = lambda _: None,
) -> Report:
    """Ask 100ms and the bucket, and judge. Raises HmsError and StoreError: what could not be asked is no result.

    `keeps_days` (after how many days the bucket deletes recordings) and `erased` (which ones were erased on purpose)
    are asked only where one is not there; `tick` is called with how many objects were looked for.
    """
    recordings = list(_since(hms.recordings(), window.since - _OVERLAP))
    assets = list(_since(hms.recording_assets(), window.since))
    home = Home.of(outputs)
    keys = {asset.id: key for asset in assets if asset.status != "failed" and (key := _key(asset, home))}
    objects: dict[str, ObjectInfo | None] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for id_, info in zip(keys, pool.map(lambda key: _head(reader, key), keys.values()), strict=True):
            objects[id_] = info
            tick(len(objects))
    days = keeps_days() if None in objects.values() else None
    seen = Seen(recordings, assets, _reasons(hms, recordings, assets, window), objects, keeps_days=days)
    gone = {one.id for one in judge(seen, window, home).watched if one.state is State.MISSING}
    if gone:
        entries = [entry_of(asset, home, window.now)[0] for asset in assets if asset.id in gone]
        seen = replace(seen, erased=erased(entries))
    strays = {one.room_id for one in judge(seen, window, home).watched if one.state is not State.OK and one.room_id}
    others = frozenset(room for room in strays if not _is_ours(hms, room, outputs.template_ids))
    return judge(replace(seen, others=others), window, home)


def judge(seen: Seen, window: Window, home: Home) -> Report:
    """The report on what was seen; asks nobody."""
    jobs = {recording.id: recording for recording in seen.recordings}
    delivered = {asset.job_id for asset in seen.assets}
    found = [_judge_asset(asset, seen, window, home, jobs.get(asset.job_id or "")) for asset in seen.assets]
    running = 0
    for recording in seen.recordings:
        ended = recording.stopped_at or recording.updated_at or recording.created_at
        if recording.id in delivered or (ended is not None and ended < window.since):
            continue
        one = _judge_recording(recording, seen, window, ended)
        running += one is None
        found += [one] if one else []
    mine = [one for one in found if one.state is State.OK or one.room_id not in seen.others]
    return Report(window.now, window.since, mine, running, len(found) - len(mine))


def _judge_asset(asset: RecordingAsset, seen: Seen, window: Window, home: Home, job: Recording | None) -> Watched:
    def as_(state: State, detail: str, reason: str = "") -> Watched:
        ended = job.stopped_at if job else None
        seconds = (asset.created_at - ended).total_seconds() if asset.created_at and ended else None
        took = max(0.0, seconds) if seconds is not None else None
        return Watched(asset.id, state, detail, asset.type, asset.room_id, asset.created_at, reason, took)

    if asset.status == "failed":
        reason = _told(seen.reasons, asset.job_id, asset.session_id)
        return as_(State.FAILED, explain(reason), reason)
    if asset.id in seen.erased:
        return as_(State.OK, "erased on purpose")
    info, path = seen.objects.get(asset.id), _place(asset, home)
    if path is None:
        is_moved = info is not None and asset.size in (None, info.size)
        elsewhere = f"it lies elsewhere: {_bucket_of(asset.path)}"
        return as_(State.OK, "moved into the bucket") if is_moved else as_(State.MISSING, elsewhere)
    if info is None:
        days, made = seen.keeps_days, asset.created_at
        if days is not None and made is not None and window.now - made >= timedelta(days=days):
            return as_(State.OK, f"deleted after {days} days, as the bucket's lifecycle says")
        return as_(State.MISSING, f"100ms says it is there, the bucket has no {asset.path}")
    is_whole = path.kind is RecordingKind.HLS_VOD or asset.size in (None, info.size)
    if not is_whole:
        return as_(State.MISSING, f"not whole: 100ms says {asset.size} bytes, the bucket has {info.size}")
    return as_(State.OK, asset.path)


def _judge_recording(recording: Recording, seen: Seen, window: Window, ended: datetime | None) -> Watched | None:
    """One that has no asset yet, or will never have; None while it is being made."""

    def as_(state: State, detail: str, reason: str = "") -> Watched:
        return Watched(recording.id, state, detail, "recording", recording.room_id, ended, reason)

    if recording.status in ACTIVE:
        is_stuck = recording.status == "starting" and window.is_late(recording.created_at)
        return as_(State.LATE, "still starting") if is_stuck else None
    if recording.status == "failed":
        reason = _told(seen.reasons, recording.id, recording.session_id)
        return as_(State.FAILED, explain(reason), reason)
    if window.is_late(ended):
        return as_(State.LATE, f"{recording.status}, and no recording asset")
    return as_(State.ON_ITS_WAY, recording.status)


def _since(items: Iterable[T], since: datetime) -> Iterator[T]:
    """Items, newest first, until a whole page of them in a row is older; older ones are left out."""
    older = 0

    def goes_on(item: T) -> bool:
        nonlocal older
        older = older + 1 if item.created_at is not None and item.created_at < since else 0
        return older < PAGE

    return (item for item in takewhile(goes_on, items) if item.created_at is None or item.created_at >= since)


def _reasons(
    hms: HmsClient, recordings: Iterable[Recording], assets: Iterable[RecordingAsset], window: Window
) -> Mapping[str, str]:
    statuses = {*(one.status for one in recordings), *(one.status for one in assets)}
    return reasons(hms, window.since - _OVERLAP, window.now) if "failed" in statuses else {}


def _told(known: Mapping[str, str], *ids: str | None) -> str:
    return next((known[id_] for id_ in ids if id_ is not None and id_ in known), UNKNOWN)


def _place(asset: RecordingAsset, home: Home) -> RecordingPath | None:
    with suppress(UsageError):
        return home.own(asset.path) if "://" in asset.path else None
    return None


def _key(asset: RecordingAsset, home: Home) -> str | None:
    """Where it lies in the stack's bucket, or lies once a backfill has moved it; None where it cannot."""
    path = _place(asset, home)
    return path.key if path else backfilled_key(asset.path, home, asset.room_id)


def _head(reader: Store, key: str) -> ObjectInfo | None:
    try:
        return reader.head(key)
    except ObjectNotFoundError:
        return None


def _is_ours(hms: HmsClient, room_id: str, template_ids: Sequence[str]) -> bool:
    """Whether the room's template is one of the stack's; all are where it names none."""
    if not template_ids:
        return True
    try:
        return hms.room(room_id).template_id in (None, *template_ids)
    except HmsNotFoundError:
        return True


def _bucket_of(path: str) -> str:
    scheme, mark, rest = path.partition("://")
    return f"{scheme}{mark}{rest.partition('/')[0]}" if mark else "no path"
