"""What is still in 100ms' own storage, where it would lie here, and until when it can be fetched.

Owns the judgement of recording assets: which to move, soonest end first, and why not the others. Asks nobody; whether
an object is there already is looked at later (`recordings.backfill.planning`).

Sources: 100ms' pages on recording storage (15 days in 100ms' own storage; the forms of paths).
"""

from __future__ import annotations

import mimetypes
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final

from recordings.catalog_entries import Standing, entry_of
from recordings.errors import UsageError
from recordings.hms_models import RecordingAsset
from recordings.hms_wire import PAGE
from recordings.paths import Home, RecordingKind, parse
from recordings.signing import encode_key

KEPT: Final = timedelta(days=15)
"""How long 100ms keeps a recording in its own storage."""
_GRACE: Final = timedelta(days=1)
"""What is a little older may still be there: asking costs nothing."""
_TYPES: Final = {"mp4": "video/mp4", "webm": "video/webm", "srt": "application/x-subrip", "csv": "text/csv"}


@dataclass(frozen=True)
class Move:
    """One recording asset to move to `key`; `ends` (UTC) is when 100ms deletes it, None if it does not say."""

    asset: RecordingAsset
    key: str
    ends: datetime | None

    @property
    def content_type(self) -> str:
        """What the object is, by the end of its name."""
        extension = self.key.rpartition(".")[2].lower()
        return _TYPES.get(extension) or mimetypes.guess_type(self.key)[0] or "application/octet-stream"

    @property
    def last_day(self) -> date | None:
        """The last day on which it can be fetched (UTC)."""
        return self.ends.date() if self.ends else None

    @property
    def order(self) -> tuple[datetime, str]:
        """Soonest end first; what says no time might end at once."""
        return (self.ends or datetime.min.replace(tzinfo=UTC), self.asset.id)


@dataclass(frozen=True)
class Unmovable:
    """A recording asset that cannot be moved, why, and the last day of it at 100ms."""

    asset_id: str
    reason: str
    last_day: date | None


@dataclass
class Found:
    """What was met: `moves` in their order, `unmovable`, and how many lie in the stack's bucket, elsewhere, nowhere."""

    moves: list[Move] = field(default_factory=list)
    unmovable: list[Unmovable] = field(default_factory=list)
    ours: int = 0
    elsewhere: int = 0
    deleted: int = 0

    def leave(self, buckets: Collection[str]) -> None:
        """Do not move what lies in these: they are somebody's own, not 100ms'."""
        moves = [move for move in self.moves if parse(move.asset.path).bucket not in buckets]
        self.elsewhere += len(self.moves) - len(moves)
        self.moves = moves


def find(assets: Iterable[RecordingAsset], home: Home, now: datetime) -> Found:
    """Judge the recording assets that 100ms lists, newest first: after a page that it has deleted there are no more."""
    found, older = Found(), 0
    for asset in assets:
        is_old = asset.created_at is not None and asset.created_at + KEPT + _GRACE < now
        older = older + 1 if is_old else 0
        if older >= PAGE:
            break
        if asset.status != "completed" or not asset.path:
            continue
        _, standing = entry_of(asset, home, now)
        ends = asset.created_at + KEPT if asset.created_at else None
        if standing is Standing.OURS:
            found.ours += 1
        elif is_old:
            found.deleted += 1
        else:
            _judge(found, asset, home, ends)
    found.moves.sort(key=lambda move: move.order)
    return found


def _judge(found: Found, asset: RecordingAsset, home: Home, ends: datetime | None) -> None:
    try:
        location = parse(asset.path)
        if home.holds(location):
            found.ours += 1
            return
        key = destination(location.key, home, asset.room_id)
        encode_key(key)
        if key.lower().endswith(".m3u8"):
            raise UsageError("an unzipped VOD: 100ms gives a presigned URL for its list alone, not for its segments")
    except UsageError as error:
        found.unmovable.append(Unmovable(asset.id, str(error), ends.date() if ends else None))
        return
    found.moves.append(Move(asset, key, ends))


def destination(key: str, home: Home, room_id: str | None) -> str:
    """Where a recording of 100ms' storage belongs here: its documented path under our prefix.

    100ms puts a prefix of its own before that path; what has no documented form keeps its whole key.
    Raises UsageError for a key that leads elsewhere.
    """
    segments = key.split("/")
    for begin in (number for number, segment in enumerate(segments) if segment):
        place = home.own(home.prefix + "/".join(segments[begin:]))
        if place.kind is not RecordingKind.UNKNOWN and room_id in (None, place.room_id):
            return place.key
    return home.own(home.prefix + key.lstrip("/")).key
