"""Findings about what 100ms lists: failures of late by reason, and recordings that are still in its own storage.

100ms keeps a recording for 15 days where it has no storage to upload to ("Storage configuration"); nothing says whose
bucket a path is in, so that one counts as 100ms' own unless it is the stack's, or a template or room names it as its
storage. The list comes newest first, so that the walk ends where the time of interest does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from recordings.backfill.moves import KEPT, destination
from recordings.catalog_entries import HMS, CatalogEntry, Standing, entry_of
from recordings.doctor.findings import Finding, Severity, fine, shown
from recordings.errors import HmsNotFoundError, UsageError
from recordings.hms import HmsClient
from recordings.hms_models import RecordingAsset
from recordings.paths import Home, parse
from recordings.shown import size as shown_size
from recordings.upload_settings import upload_of
from recordings.watch_reasons import UNKNOWN, explain

SOON: Final = timedelta(days=3)
FAILURES: Final = "failed recordings"
AT_HMS: Final = "recordings in 100ms' storage"

Place = tuple[str, str]
"""Scheme and bucket."""


@dataclass(frozen=True)
class Kept:
    """A recording in 100ms' storage; `lost` is the day (UTC) on which 100ms deletes it.

    `key` is where a backfill puts it, None where it cannot; 100ms goes on listing it after that.
    """

    entry: CatalogEntry
    lost: date
    place: Place
    key: str | None

    def __str__(self) -> str:
        entry = self.entry
        return f"{self.lost:%Y-%m-%d}: {entry.asset_id}, {shown_size(entry.size)}, room {entry.room_id or 'unknown'}"


@dataclass
class AssetFacts:
    """What a walk through the list comes to. Failures are those since `since`."""

    home: Home
    since: datetime
    now: datetime
    seen: int = 0
    failed: list[RecordingAsset] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    newest: RecordingAsset | None = None

    @property
    def earliest(self) -> datetime:
        """What is older than this is of no interest."""
        return min(self.since, self.now - KEPT)

    def clear(self) -> None:
        """Begin again."""
        self.seen, self.newest = 0, None
        self.failed.clear()
        self.kept.clear()

    def note(self, asset: RecordingAsset) -> None:
        """Look at one."""
        self.seen += 1
        created = asset.created_at
        if created is not None and (self.newest is None or created > (self.newest.created_at or created)):
            self.newest = asset
        if asset.status == "failed":
            if created is None or created >= self.since:
                self.failed.append(asset)
            return
        entry, standing = entry_of(asset, self.home, self.now)
        if entry.storage_provider == HMS and standing is Standing.ELSEWHERE and created is not None:
            lost = created + KEPT
            if lost > self.now:
                with suppress(UsageError):
                    at = parse(asset.path)
                    key = backfilled_key(asset.path, self.home, asset.room_id)
                    self.kept.append(Kept(entry, lost.date(), (at.scheme, at.bucket), key))


def noting(assets: Iterable[RecordingAsset], facts: AssetFacts) -> Iterator[RecordingAsset]:
    """The same assets, each noted on its way."""
    for asset in assets:
        facts.note(asset)
        yield asset


def backfilled_key(path: str, home: Home, room_id: str | None) -> str | None:
    """Where a backfill puts what 100ms has at `path`; None for what it cannot move."""
    try:
        return destination(parse(path).key, home, room_id)
    except UsageError:
        return None


def storages(hms: HmsClient) -> set[Place]:
    """The storage that each template of the workspace uploads to."""
    found: set[Place] = set()
    for template in hms.templates():
        with suppress(HmsNotFoundError):  # deleted in between
            upload = upload_of(hms.template_settings(template.id))
            if upload and upload.get("location"):
                found.add((str(upload.get("type")), str(upload["location"])))
    return found


def judge_failures(facts: AssetFacts, reasons: dict[str, str], repair: str) -> Iterator[Finding]:
    """By reason, the most frequent first; a fault if the newest recording of all failed, else it may be over."""
    if not facts.failed:
        yield fine("failures", FAILURES, f"none failed since {facts.since:%Y-%m-%d %H:%M} UTC")
        return
    told = {asset.id: reason_of(asset, reasons) for asset in facts.failed}
    counts = Counter(told.values())
    severity = Severity.FAULT if facts.newest and facts.newest.status == "failed" else Severity.WARNING
    for reason, count in counts.most_common():
        names = [f"{a.id}, {_at(a.created_at)}, room {a.room_id}" for a in facts.failed if told[a.id] == reason]
        yield Finding("failures", FAILURES, severity, f"{count:,} failed: {explain(reason)}", repair, shown(names))


def judge_kept(kept: Sequence[Kept], now: datetime, select: str, *, every: bool = False) -> Iterator[Finding]:
    """What is left to move, lost first coming first."""
    kept = sorted(kept, key=lambda k: (k.lost, k.entry.asset_id))
    if not kept:
        yield fine("at-100ms", AT_HMS, f"none of the last {KEPT.days} days")
        return
    first = kept[0].lost
    severity = Severity.FAULT if first <= (now + SOON).date() else Severity.WARNING
    total = shown_size(sum(k.entry.size or 0 for k in kept))
    seen = f"{len(kept):,} ({total}); the first is lost on {first:%Y-%m-%d}, the last on {kept[-1].lost:%Y-%m-%d}"
    things = [str(k) for k in kept]
    repair = f"recordings backfill {select}"
    yield Finding("at-100ms", AT_HMS, severity, seen, repair, tuple(things) if every else shown(things))


def reason_of(asset: RecordingAsset, reasons: dict[str, str]) -> str:
    """The reason of its job, else of its session."""
    known = (reasons.get(id_) for id_ in (asset.job_id, asset.session_id) if id_)
    return next((reason for reason in known if reason), UNKNOWN)


def _at(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else "at an unknown time"
