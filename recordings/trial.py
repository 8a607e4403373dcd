"""A trial recording: start one in a room, stop it, wait until 100ms delivers it, and prove what was delivered.

Owns the order of these, what may be taken up again after an interruption, and the checks of the delivered recording.
A recording that somebody else is making is never touched: 100ms stops all recordings of a room at once, so a room in
which one runs is refused. Nothing is remembered here: the recording's id is enough to resume.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

import httpx

from recordings.errors import CheckFailedError, NotDueError, StoreUnreachableError, UsageError
from recordings.guards import check_customer
from recordings.hms import HmsClient
from recordings.hms_models import ACTIVE, Recording, RecordingAsset
from recordings.outputs import StackOutputs
from recordings.paths import Home
from recordings.retry import Attempts, RetryPolicy, Timing
from recordings.shown import counted
from recordings.stores import ObjectInfo, Store
from recordings.upload_settings import Upload, differences
from recordings.verification.checks import PERMISSIONS, Check, Fault, Probe, run_probes

USUAL: Final = timedelta(minutes=20)
"""Within 15 to 20 minutes of the end, says 100ms, a browser composite recording is there."""
_ENDED: Final = frozenset({"completed", "failed"})
_SLOWEST_POLL: Final = 15.0
_URL_LIFE: Final = timedelta(hours=1)
_FAILED_FIX: Final = (
    "run `recordings verify`; if it passes, open the recording in the 100ms dashboard: a browser composite recording "
    "needs a meeting URL that a browser can join (--meeting-url)"
)


@dataclass(frozen=True)
class Proof:
    """What came of a trial: its checks, and as far as they got the path, the size in bytes and the SHA-256."""

    checks: Sequence[Check]
    recording_id: str
    path: str | None
    size: int | None
    sha256: str | None


@dataclass
class Trial:
    """One trial recording in one room. `reader` and `http` fetch what 100ms delivers."""

    outputs: StackOutputs
    hms: HmsClient
    reader: Store
    http: httpx.Client
    room_id: str
    timing: Timing = field(default_factory=Timing)
    tell: Callable[[str], None] = lambda _: None

    def check_room(self) -> None:
        """Raise before anything is started, if its recording could not arrive in our bucket.

        GuardError for another 100ms customer, CheckFailedError for a room or template with other storage.
        """
        room = self.hms.room(self.room_id)
        if room.template_id is None:
            return
        check_customer(self.outputs, [self.hms.template(room.template_id)])
        info = room.recording_info
        if info is not None and info.upload_info is not None and info.upload_info.location:
            if info.upload_info.location != self.outputs.bucket_name:
                raise CheckFailedError(
                    f"room {room.id} has storage of its own ({info.upload_info.location}), whatever its template says: "
                    "take another room"
                )
            return
        wrong = differences(self.hms.template_settings(room.template_id), Upload.from_outputs(self.outputs))
        if wrong:
            raise CheckFailedError(
                f"template {room.template_id} of room {room.id} does not upload to this stack's bucket "
                f"({', '.join(wrong)}): run `recordings register`"
            )

    def unfinished(self) -> Recording | None:
        """The newest recording of the room that was stopped and is not delivered yet: to be taken up, not repeated.

        Raises UsageError if one is being made.
        """
        waiting = None
        for recording in self.hms.recordings(room_id=self.room_id):
            if recording.status in ACTIVE:
                raise UsageError(
                    f"room {self.room_id} is being recorded (recording {recording.id}, {recording.status}): take a "
                    f"room that nobody uses or, if that one is yours, `--resume {recording.id}`"
                )
            if recording.status not in _ENDED and (waiting is None or _age(recording) > _age(waiting)):
                waiting = recording
        return waiting

    def resumed(self, recording_id: str) -> Recording:
        """The recording to take up. Raises UsageError if it is not of this room."""
        recording = self.hms.recording(recording_id)
        if recording.room_id != self.room_id:
            raise UsageError(
                f"recording {recording_id} is of room {recording.room_id}, not {self.room_id}: correct --room"
            )
        return recording

    def record(self, keep: timedelta, *, meeting_url: str | None, resume: Recording | None = None) -> Recording:
        """Start (or take up `resume`), keep it running for `keep`, stop it; it is stopped on an interruption too."""
        recording = resume or self.hms.start_recording(self.room_id, meeting_url=meeting_url)
        self.tell(f"recording {recording.id} of room {self.room_id}; after an interruption: --resume {recording.id}")
        try:
            recording = self._poll(recording, lambda status: status != "starting", timedelta(minutes=5))
            if recording.status == "running":
                self.timing.sleep(keep.total_seconds())
        finally:
            if recording.status in ACTIVE:
                self.hms.stop_recording(self.room_id)
        return self.hms.recording(recording.id)

    def wait(
        self, recording: Recording, limit: timedelta, tick: Callable[[Recording], None] = lambda _: None
    ) -> Recording:
        """Wait until 100ms has delivered or failed, calling `tick` after each look.

        Raises NotDueError when `limit` is over, and CheckFailedError when 100ms failed to record.
        """
        recording = self._poll(recording, lambda status: status in _ENDED, limit, tick)
        if recording.status == "failed":
            raise CheckFailedError(f"100ms says that recording {recording.id} failed: {_FAILED_FIX}")
        if recording.status != "completed":
            raise self.not_due(recording)
        return recording

    def not_due(self, recording: Recording) -> NotDueError:
        """The error that says when to come back, and how."""
        now = datetime.fromtimestamp(self.timing.now(), UTC)
        usual = (recording.stopped_at or recording.created_at or now) + USUAL
        until = max(usual, now + timedelta(minutes=1))
        return NotDueError(
            f"recording {recording.id} is {recording.status}; come back at {until:%Y-%m-%d %H:%M:%S} UTC with "
            f"`recordings test-recording --room {self.room_id} --resume {recording.id}`",
            until,
        )

    def prove(self, recording: Recording, report: Callable[[Check], None]) -> Proof:
        """Check the delivered recording: asset, path, object, size, download, Range."""
        delivered = _Delivered(self, recording)
        checks = run_probes(delivered.probes(), report)
        return Proof(checks, recording.id, delivered.path, delivered.size, delivered.sha256)

    def _poll(
        self,
        recording: Recording,
        until: Callable[[str], bool],
        limit: timedelta,
        tick: Callable[[Recording], None] = lambda _: None,
    ) -> Recording:
        begun, pause = self.timing.monotonic(), 0.25
        while not until(recording.status) and self.timing.monotonic() - begun < limit.total_seconds():
            self.timing.sleep(pause)
            pause = min(pause * 1.5, _SLOWEST_POLL)
            recording = self.hms.recording(recording.id)
            tick(recording)
        return recording


class _Delivered:
    """The checks of one completed recording; each leaves what the next needs."""

    def __init__(self, trial: Trial, recording: Recording) -> None:
        self._trial = trial
        self._recording = recording
        self._asset: RecordingAsset
        self._key: str
        self._info: ObjectInfo
        self.path: str | None = None
        self.size: int | None = None
        self.sha256: str | None = None

    def probes(self) -> Sequence[Probe]:
        return (
            Probe("asset", "100ms lists the recording asset", self._find_asset),
            Probe("path", "its path is in this stack's bucket and prefix", self._parse_path, ("asset",)),
            Probe("object", "the recording is in the bucket", self._head, ("path",)),
            Probe("size", "its size is what 100ms says", self._compare_size, ("object",)),
            Probe("download", "a signed URL downloads it whole", self._download, ("object",)),
            Probe("range", "a signed URL serves a Range", self._range, ("object",)),
        )

    def _find_asset(self) -> str:
        recording, hms = self._recording, self._trial.hms
        assets = recording.recording_assets or [
            asset
            for asset in hms.recording_assets(room_id=self._trial.room_id, session_id=recording.session_id)
            if asset.job_id in (None, recording.id)
        ]
        found = next((asset for asset in assets if asset.type.startswith("room-composite")), None)
        if found is None:
            types = ", ".join(asset.type for asset in assets) or "none at all"
            raise Fault(f"recording {recording.id} has no composite recording asset ({types})", _FAILED_FIX)
        if found.status != "completed":
            raise Fault(f"recording asset {found.id} is {found.status}", _FAILED_FIX)
        self._asset = found
        return f"{found.type} {found.id}"

    def _parse_path(self) -> str:
        try:
            parsed = Home.of(self._trial.outputs).own(self._asset.path)
        except UsageError as error:
            raise Fault(str(error), "template uses other storage: run `recordings register`") from None
        self._key, self.path = parsed.key, self._asset.path
        return f"{self._asset.path} ({parsed.kind.value})"

    def _head(self) -> str:
        self._info = self._trial.reader.head(self._key)
        return f"{self._info.content_type}, {counted(self._info.size, 'byte')}"

    def _compare_size(self) -> str:
        if self._asset.size is None:
            return "100ms names no size"
        if self._asset.size != self._info.size:
            raise Fault(
                f"100ms says {counted(self._asset.size, 'byte')}, the bucket has {self._info.size:,}",
                "the upload was cut short or overwritten: look at the object's versions, and record again",
            )
        return counted(self._info.size, "byte")

    def _download(self) -> str:
        size, digest = self._retried(partial(self._stream, {}, 200))
        if size != self._info.size:
            raise Fault(
                f"{counted(size, 'byte')} came, the bucket has {self._info.size:,}",
                "a proxy in between changes answers",
            )
        self.size, self.sha256 = size, digest
        return f"{counted(size, 'byte')}, SHA-256 {digest}"

    def _range(self) -> str:
        last = min(self._info.size, 1024) - 1
        size, _ = self._retried(partial(self._stream, {"Range": f"bytes=0-{last}"}, 206))
        if size != last + 1:
            raise Fault(f"asked for {counted(last + 1, 'byte')}, got {size:,}", "a proxy in between drops Range")
        return f"206, {counted(size, 'byte')}"

    def _stream(self, headers: dict[str, str], status: int) -> tuple[int, str]:
        signed = self._trial.reader.sign(self._key, _URL_LIFE)
        digest, size = hashlib.sha256(), 0
        with self._trial.http.stream("GET", signed.reveal(), headers=headers) as response:
            if response.status_code != status:
                raise Fault(f"expected {status}, got {response.status_code}", PERMISSIONS)
            for chunk in response.iter_raw():
                digest.update(chunk)
                size += len(chunk)
        return size, digest.hexdigest()

    def _retried(self, fetch: Callable[[], tuple[int, str]]) -> tuple[int, str]:
        attempts = Attempts(RetryPolicy(), self._trial.timing)
        while True:
            try:
                return fetch()
            except httpx.TransportError as error:
                reason = f"GET {self._key} broke off ({type(error).__name__})"
            if not attempts.wait_again(reason):
                raise StoreUnreachableError(f"{reason} in {attempts.failures} tries")


def _age(recording: Recording) -> float:
    """Seconds since 1970 of its creation: greater is newer."""
    return recording.created_at.timestamp() if recording.created_at else 0.0
