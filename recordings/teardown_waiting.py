"""The recordings that still go into a bucket after its templates were put back: which they are, waiting for them.

Owns what is remembered for that: the templates that recorded here, and since when they no longer do. A recording that
began later goes elsewhere and is nobody's to wait for. 100ms stops all recordings of a room at once, and tells of each
recording which room it is of, so rooms are looked up, each once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from recordings.errors import HmsNotFoundError, NotDueError
from recordings.hms_models import ACTIVE, Recording, Room
from recordings.registration import Place
from recordings.retry import Timing
from recordings.trial import USUAL
from recordings.upload_settings import Upload

NAME: Final = "teardown"
"""Under which it is remembered in the bucket."""
UNFINISHED: Final = ("starting", "running", "stopping", "post_processing")
LOST: Final = timedelta(hours=24)
"""A recording that was stopped this long ago and is not delivered will not be: 100ms says 15 to 20 minutes."""
_SKEW: Final = timedelta(minutes=5)
_SLOWEST_POLL: Final = 15.0


@dataclass(frozen=True)
class Waiting:
    """How long to wait for recordings before ending with "not due yet", and by which clock."""

    limit: timedelta = timedelta(0)
    timing: Timing = field(default_factory=Timing)

    def now(self) -> datetime:
        """This moment (UTC)."""
        return datetime.fromtimestamp(self.timing.now(), UTC)


@dataclass
class Recorders:
    """Who recorded into the bucket: `before` is what an earlier run remembered, `found` the templates of this one."""

    place: Place
    before: Mapping[str, Any]
    found: Mapping[str, str]
    waiting: Waiting = field(default_factory=Waiting)
    _rooms: dict[str, Room | None] = field(default_factory=dict)

    @property
    def templates(self) -> list[str]:
        """All of them."""
        return sorted({*self.before.get("templates", ()), *self.found})

    @property
    def is_remembered(self) -> bool:
        """Whether an earlier run noted them all."""
        return self.before.get("templates") == self.templates

    @property
    def back(self) -> datetime | None:
        """Since when no new recording goes into the bucket (UTC)."""
        at = self.before.get("back")
        return datetime.fromisoformat(at) if at else None

    def remember(self) -> None:
        """Note the templates, before the first is changed."""
        self._write({"templates": self.templates})

    def note_back(self) -> None:
        """Note that from now on recordings go elsewhere."""
        self._write({"templates": self.templates, "back": self.waiting.now().isoformat()})

    def rooms_of_their_own(self) -> list[str]:
        """Rooms that record into the bucket whatever their template says."""
        return [room.id for room in self.place.client.rooms() if self._is_own(room)]

    def unfinished(self) -> list[Recording]:
        """Recordings that still go into the bucket."""
        return [recording for recording in self._all() if self._is_ours(recording)]

    def _all(self) -> Iterator[Recording]:
        for status in UNFINISHED:
            yield from self.place.client.recordings(status=status)

    def _is_ours(self, recording: Recording) -> bool:
        began, ended = recording.created_at, recording.stopped_at or recording.created_at
        if began and self.back and began > self.back + _SKEW:
            return False
        if recording.status not in ACTIVE and ended and ended < self.waiting.now() - LOST:
            return False
        room = self._room(recording.room_id)
        if room is None:
            return False
        info = room.recording_info.upload_info if room.recording_info else None
        return self._is_own(room) if info and info.location else room.template_id in self.templates

    def _is_own(self, room: Room) -> bool:
        info = room.recording_info.upload_info if room.recording_info else None
        wanted = Upload.from_outputs(self.place.outputs)
        return info is not None and (info.type, info.location) == (wanted.type, wanted.location)

    def _room(self, room_id: str) -> Room | None:
        if room_id not in self._rooms:
            try:
                self._rooms[room_id] = self.place.client.room(room_id)
            except HmsNotFoundError:
                self._rooms[room_id] = None
        return self._rooms[room_id]

    def _write(self, value: Mapping[str, Any]) -> None:
        known = self.place.memory.read(NAME)
        self.place.memory.write(NAME, value, known.version if known else None)
        self.before = value


def wait_title(*, stop: bool) -> str:
    """What the step is called."""
    doing = "stop the recordings that still go into the bucket, and wait" if stop else "wait"
    return f"{doing} until 100ms has delivered every recording that goes into the bucket"


def wait_for_recordings(recorders: Recorders, *, stop: bool) -> None:
    """Wait until none is left, for as long as `recorders.waiting` says; with `stop`, stop those that run.

    Raises NotDueError that says when to come back.
    """
    waiting = recorders.waiting
    begun, pause = waiting.timing.monotonic(), 0.25
    left = recorders.unfinished()
    for room in sorted({recording.room_id for recording in left if recording.status in ACTIVE}) if stop else ():
        recorders.place.client.stop_recording(room)
    left = recorders.unfinished() if stop else left
    while left:
        if waiting.timing.monotonic() - begun >= waiting.limit.total_seconds():
            raise _not_due(left, waiting.now(), stop=stop)
        waiting.timing.sleep(pause)
        pause = min(pause * 1.5, _SLOWEST_POLL)
        left = recorders.unfinished()


def _not_due(left: Sequence[Recording], now: datetime, *, stop: bool) -> NotDueError:
    usual = max((each.stopped_at or now) + USUAL for each in left)
    until = max(usual, now + timedelta(minutes=1))
    named = ", ".join(f"{each.id} in room {each.room_id} ({each.status})" for each in left)
    running = any(each.status in ACTIVE for each in left) and not stop
    also = ", with --stop-recordings to stop those that run" if running else ""
    return NotDueError(
        f"recordings still go into the bucket: {named}. Run the command again at {until:%Y-%m-%d %H:%M:%S} UTC{also}",
        until,
    )
