"""One walk through 100ms' list, bucket and database: what is missing where, and what 100ms' list says by itself.

The comparison is `recordings.reconcile`, which writes nothing here; memory is flat however many there are. Without a
database the bucket is compared with 100ms' list alone: an object of a recording that 100ms has forgotten is then one
that nobody knows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import takewhile
from tempfile import TemporaryFile
from typing import Final, TextIO

from recordings.catalog_entries import HMS, CatalogEntry
from recordings.doctor import assets
from recordings.doctor.assets import AssetFacts, Place
from recordings.doctor.findings import Finding, Look, Severity, fine, look, not_checked
from recordings.doctor.patient import HMS_FIX, Patient
from recordings.errors import DatabaseError, ObjectNotFoundError, StoreError
from recordings.hms_models import RecordingAsset
from recordings.hms_wire import PAGE
from recordings.paths import Home
from recordings.reconcile import Findings as Gaps
from recordings.reconcile import Gap, Rows, reconcile
from recordings.shown import counted
from recordings.stores import ObjectInfo, Store, open_source
from recordings.watch_reasons import reasons

MISSING: Final = "recordings in the bucket"
UNKNOWN: Final = "objects that nobody knows"
ROWS: Final = "rows"
_AT_ONCE: Final = 8
QUICK: Final = "--quick leaves out what goes through every object"


class NoRows:
    """In the place of a database: nothing is written, and what a backfill may have moved into the bucket is known.

    With a database its row says so; here the place where it would lie is kept, in a temporary file.
    """

    def __init__(self, home: Home, spool: TextIO) -> None:
        self._home = home
        self._file = spool

    def write(self, entries: Sequence[CatalogEntry]) -> list[tuple[str, bool]]:
        """Nothing is missing."""
        for entry in entries:
            if entry.storage_provider == HMS and entry.file_path:
                key = assets.backfilled_key(entry.file_path, self._home, entry.room_id)
                if key is not None:
                    self._file.write(json.dumps([entry.asset_id, self._home.path(key)]) + "\n")
        return []

    def scan(self) -> Iterator[CatalogEntry]:
        """What may have been moved; `failed`, since it need not be there."""
        self._file.seek(0)
        for line in self._file:
            asset_id, path = json.loads(line)
            yield CatalogEntry(asset_id, self._home.provider.value, file_path=path, status="failed")

    def erased(self, entries: Sequence[CatalogEntry]) -> frozenset[str]:
        """None."""
        return frozenset()


@dataclass
class Walk:
    """How to walk: since when failures count, whether to go through everything, and the database if there is one.

    `database` opens the rows, to be read alone; None where there is none, for `no_database`.
    """

    since: timedelta = timedelta(days=7)
    quick: bool = False
    every: bool = False
    database: Callable[[], AbstractContextManager[Rows]] | None = None
    no_database: str = "DATABASE_URL is not set"
    tick: Callable[[Gaps], None] = field(default=lambda _: None)


def findings(patient: Patient, walk: Walk, rooms_storages: Callable[[], set[Place]]) -> list[Finding]:
    """Everything that needs 100ms' list of recordings; `rooms_storages` gives the storage of rooms that have some."""
    if patient.hms is None:
        titles = {
            "failures": assets.FAILURES,
            "at-100ms": assets.AT_HMS,
            "object-missing": MISSING,
            "object-unknown": UNKNOWN,
            "row-missing": ROWS,
        }
        return [not_checked(id_, title, patient.no_hms, HMS_FIX) for id_, title in titles.items()]
    now = patient.now()
    facts = AssetFacts(Home.of(patient.outputs), now - walk.since, now)
    found = look(Look("object-missing", MISSING, lambda: _walked(patient, walk, facts)))
    found += look(Look("failures", assets.FAILURES, lambda: _failures(patient, facts)))
    found += look(Look("at-100ms", assets.AT_HMS, lambda: _kept(patient, facts, rooms_storages, walk.every)))
    return found


def judge(gaps: Gaps, select: str, *, with_rows: bool) -> Iterator[Finding]:
    """What the comparison came to."""
    count, named = gaps.counts, gaps.examples
    lost = count[Gap.NO_OBJECT] + count[Gap.LOST]
    if lost:
        repair = f"recordings reconcile {select} names all; look for old versions, and see who deletes"
        things = (*named[Gap.NO_OBJECT], *named[Gap.LOST])
        yield Finding("object-missing", MISSING, Severity.FAULT, f"{lost:,} are not there", repair, things)
    else:
        yield fine("object-missing", MISSING, f"{counted(gaps.assets, 'recording')}, {counted(gaps.objects, 'object')}")
    if unknown := count[Gap.NO_RECORDING]:
        than = "no recording and no row" if with_rows else "no recording (the database was not asked)"
        repair = f"recordings reconcile {select} names all; see who put them there"
        seen = f"{counted(unknown, 'object')} that {than} names"
        yield Finding("object-unknown", UNKNOWN, Severity.WARNING, seen, repair, tuple(named[Gap.NO_RECORDING]))
    else:
        yield fine("object-unknown", UNKNOWN, counted(gaps.objects, "object"))
    if not with_rows:
        return
    rows = {gap: count[gap] for gap in (Gap.NO_ROW, Gap.OTHER_ROW) if count[gap]}
    if rows:
        seen = ", ".join(f"{number:,}: {gap.value}" for gap, number in rows.items())
        repair = f"recordings reconcile {select} --fix"
        things = tuple(name for gap in rows for name in named[gap])
        yield Finding("row-missing", ROWS, Severity.WARNING, seen, repair, things)
    else:
        yield fine("row-missing", ROWS, counted(gaps.rows, "row"))


def _walked(patient: Patient, walk: Walk, facts: AssetFacts) -> Iterator[Finding]:
    """Walk once. What cannot be compared is said, and the list is walked all the same."""
    hms = patient.need_hms()
    if walk.quick:
        for id_, title in (("object-missing", MISSING), ("object-unknown", UNKNOWN), ("row-missing", ROWS)):
            yield not_checked(id_, title, QUICK, "leave --quick out")
        _exhaust(recent(hms.recording_assets(), facts))
        return
    if walk.database is None:
        yield not_checked("row-missing", ROWS, walk.no_database, "set DATABASE_URL, as for `recordings sync`")
        yield from _without_rows(patient, walk, facts)
        return
    try:
        with walk.database() as rows:
            yield from _compared(patient, walk, facts, rows, with_rows=True)
    except DatabaseError as error:
        yield Finding("database", "database", Severity.FAULT, str(error), "recordings migrate")
        yield not_checked("row-missing", ROWS, "the database cannot be used")
        facts.clear()
        yield from _without_rows(patient, walk, facts)


def _without_rows(patient: Patient, walk: Walk, facts: AssetFacts) -> Iterator[Finding]:
    with TemporaryFile("w+", encoding="utf-8") as spool:
        yield from _compared(patient, walk, facts, NoRows(facts.home, spool), with_rows=False)


def _compared(patient: Patient, walk: Walk, facts: AssetFacts, rows: Rows, *, with_rows: bool) -> Iterator[Finding]:
    hms, home = patient.need_hms(), facts.home

    def objects(place: Home) -> Iterator[ObjectInfo]:
        return open_source(patient.outputs, place.bucket).list(place.prefix)

    listed = assets.noting(hms.recording_assets(), facts)
    days = retention(patient)
    kept_since = facts.now - timedelta(days=days) if days is not None else None
    gaps = reconcile(home, listed, objects, rows, tick=walk.tick, now=lambda: facts.now, kept_since=kept_since)
    erased = rows.erased([kept.entry for kept in facts.kept])
    facts.kept = [kept for kept in facts.kept if kept.entry.asset_id not in erased]
    yield from judge(gaps, patient.select, with_rows=with_rows)


def _failures(patient: Patient, facts: AssetFacts) -> Iterator[Finding]:
    told = reasons(patient.need_hms(), facts.since, facts.now) if facts.failed else {}
    yield from assets.judge_failures(facts, told, f"recordings verify {patient.select}")


def _kept(
    patient: Patient, facts: AssetFacts, rooms_storages: Callable[[], set[Place]], every: bool
) -> Iterator[Finding]:
    elsewhere = assets.storages(patient.need_hms()) | rooms_storages() if facts.kept else set()
    left = [kept for kept in facts.kept if kept.place not in elsewhere]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        is_here = pool.map(lambda kept: _is_here(patient.reader, kept), left)
        left = [kept for kept, here in zip(left, is_here, strict=True) if not here]
    yield from assets.judge_kept(left, facts.now, patient.select, every=every)


def _is_here(reader: Store, kept: assets.Kept) -> bool:
    """Whether a backfill has moved it."""
    try:
        return kept.key is not None and reader.head(kept.key).size == (kept.entry.size or 0)
    except ObjectNotFoundError:
        return False


def recent(listed: Iterable[RecordingAsset], facts: AssetFacts) -> Iterator[RecordingAsset]:
    """Assets, noted, until a whole page of them in a row is too old to be of interest."""
    older = 0

    def goes_on(asset: RecordingAsset) -> bool:
        nonlocal older
        is_old = asset.created_at is not None and asset.created_at < facts.earliest
        older = older + 1 if is_old else 0
        return older < PAGE

    return assets.noting(takewhile(goes_on, listed), facts)


def _exhaust(items: Iterable[object]) -> None:
    for _ in items:
        pass


def keeps_days(store_rules: Iterable[tuple[str, int | None]], prefix: str) -> int | None:
    """After how many days the bucket's lifecycle deletes recordings under `prefix`, None if it never does."""
    days = [days for under, days in store_rules if days is not None and prefix.startswith(under)]
    return min(days, default=None)


def retention(patient: Patient) -> int | None:
    """The same of the stack's bucket; None also where nobody here may see it."""
    try:
        rules = patient.operator.guards().lifecycle
    except StoreError:
        return None
    return keeps_days(((rule.prefix, rule.expires_days) for rule in rules), patient.outputs.path_prefix)
