"""`/recordings`: start and stop of browser composite recordings, and what follows from them.

starting → running → stopping → post_processing → completed or failed. After the stop a real MP4 is uploaded with the
key, bucket and prefix that were registered when the recording began (100ms does not say; the worse case for who
rotates keys), the recording asset appears and the webhook is sent. Sources: 100ms' pages on recordings and on the
webhooks `beam.recording.success` and `beam.failure`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sandbox.hms.assets import Assets
from sandbox.hms.http import Json, Refusal, Request, Routes, filtered, not_found, page
from sandbox.hms.movie import Movie, ensure_movie
from sandbox.hms.rooms import Rooms
from sandbox.hms.state import State, new_id, now, public
from sandbox.hms.storage import Storage, storage_of
from sandbox.hms.templates import Templates
from sandbox.hms.uploads import Uploader, UploadError
from sandbox.hms.webhooks import Webhooks

_ACTIVE: Final = ("starting", "running")
_UNFINISHED: Final = ("stopping", "post_processing")
_FAILURES: Final = {
    "BEAM_STOPPED": "Beam stopped too early",
    "UPLOAD_ERROR": "Failed to upload recordings. Check if upload config is correct.",
}


class Recordings:
    """The endpoints and the work behind them. `own` is 100ms' own storage, `folder` where the movie is kept."""

    def __init__(
        self,
        state: State,
        templates: Templates,
        rooms: Rooms,
        assets: Assets,
        webhooks: Webhooks,
        uploader: Uploader,
        own: Storage,
        customer: str,
        folder: Path,
    ) -> None:
        self._state = state
        self._templates = templates
        self._rooms = rooms
        self._assets = assets
        self._webhooks = webhooks
        self._uploader = uploader
        self._own = own
        self._customer = customer
        self._folder = folder
        self._tasks: set[asyncio.Task[None]] = set()

    def routes(self, routes: Routes) -> None:
        """Add them."""
        routes.add("GET /recordings", self.list)
        routes.add("GET /recordings/{recording_id}", self.get)
        routes.add("POST /recordings/room/{room_id}/start", self.start)
        routes.add("POST /recordings/room/{room_id}/stop", self.stop_room)
        routes.add("POST /recordings/{recording_id}/stop", self.stop)

    def resume(self) -> None:
        """Take up what a stop of the server interrupted."""
        for recording in self._state.recordings.values():
            if recording["status"] == "starting":
                self._begin(self._run(recording))
            elif recording["status"] in _UNFINISHED:
                self._begin(self._finish(recording))

    def give_up(self) -> None:
        """Leave unfinished work as it is."""
        for task in list(self._tasks):
            task.cancel()

    async def close(self) -> None:
        """Leave unfinished work for `resume`."""
        self.give_up()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def list(self, request: Request) -> Json:
        """Recordings without their recording assets, paged."""
        found = filtered(request, self._state.recordings.values(), "room_id", "session_id", "status")
        shown = [public(recording) for recording in found]
        for recording in shown:
            del recording["recording_assets"]
        return page(request, shown)

    def get(self, request: Request, recording_id: str) -> Json:
        """One recording, with its recording assets once it has some."""
        recording = self._find(recording_id)
        assets = self._assets.of_job(recording_id)
        return {**public(recording), "recording_assets": assets or None}

    def start(self, request: Request, room_id: str) -> Json:
        """Start one; `meeting_url` is needed if the template has no subdomain. One at a time in a room."""
        room, body = self._rooms.find(room_id), request.object()
        template = self._templates.find(room["template_id"])
        if not room["enabled"]:
            raise Refusal(403, "room is disabled")
        if not body.get("meeting_url") and not template["_subdomain"]:
            raise Refusal(400, "Invalid body param: meeting_url is required")
        if any(r["room_id"] == room_id and r["status"] in _ACTIVE for r in self._state.recordings.values()):
            raise Refusal(409, "Error: beam already started")
        moment = now()
        recording: Json = {
            "id": new_id(),
            "room_id": room_id,
            "session_id": new_id(),
            "status": "starting",
            "created_at": moment,
            "started_at": None,
            "updated_at": moment,
            "stopped_at": None,
            "meeting_url": body.get("meeting_url") or f"https://{template['_subdomain']}/preview/{room_id}",
            "destination": body.get("destination") or "default",
            "started_by": "",
            "stopped_by": "",
            "asset_types": ["room-composite"],
            "recording_assets": None,
            "_storage": asdict(storage_of(room, template, self._customer) or self._own),
        }
        self._state.recordings[recording["id"]] = recording
        self._begin(self._run(recording))
        return public(recording)

    def stop_room(self, request: Request, room_id: str) -> Json:
        """Stop all that run in a room."""
        self._rooms.find(room_id)
        active = [r for r in self._state.recordings.values() if r["room_id"] == room_id and r["status"] in _ACTIVE]
        stopped = [self._stop(recording) for recording in active]
        return {"limit": len(stopped), "data": stopped, "last": stopped[-1]["id"] if stopped else ""}

    def stop(self, request: Request, recording_id: str) -> Json:
        """Stop one."""
        recording = self._find(recording_id)
        if recording["status"] not in _ACTIVE:
            raise Refusal(400, "recording is not running")
        return self._stop(recording)

    def _find(self, recording_id: str) -> Json:
        try:
            return self._state.recordings[recording_id]
        except KeyError:
            raise not_found("recording") from None

    def _stop(self, recording: Json) -> Json:
        if recording["status"] == "starting":
            self._fail(recording, "BEAM_STOPPED")
        else:
            self._move(recording, "stopping")
            self._begin(self._finish(recording))
        return public(recording)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _move(self, recording: Json, status: str, **fields: Any) -> None:
        recording.update(status=status, updated_at=now(), **fields)
        self._state.save()

    async def _run(self, recording: Json) -> None:
        await asyncio.sleep(self._state.options.start_delay)
        if recording["status"] == "starting":
            self._move(recording, "running", started_at=now())

    async def _finish(self, recording: Json) -> None:
        half = self._state.options.asset_delay / 2
        await asyncio.sleep(half)
        self._move(recording, "post_processing", stopped_at=recording["stopped_at"] or now())
        await asyncio.sleep(half)
        room = self._rooms.find(recording["room_id"])
        target = Storage(**recording["_storage"])
        started = datetime.fromisoformat(recording["started_at"]).astimezone(UTC)
        object_key = target.recording_path(recording["room_id"], started)
        try:
            movie = await asyncio.to_thread(self._upload, target, object_key)
        except UploadError as error:
            print(f"recording {recording['id']}: the upload was refused: {error}", flush=True)
            self._assets.add(recording, target, object_key, None, _FAILURES["UPLOAD_ERROR"])
            self._fail(recording, "UPLOAD_ERROR")
            return
        asset = self._assets.add(recording, target, object_key, movie)
        self._move(recording, "completed")
        self._succeeded(recording, room, asset, movie)

    def _upload(self, target: Storage, object_key: str) -> Movie:
        movie = ensure_movie(self._folder)
        if target == self._own:
            self._uploader.ensure_bucket(target)
        self._uploader.upload(target, object_key, movie.path)
        return movie

    def _fail(self, recording: Json, error_type: str) -> None:
        self._move(recording, "failed", stopped_at=recording["stopped_at"] or now())
        room = self._rooms.find(recording["room_id"])
        data = {
            **_common(recording, room),
            "job_id": recording["id"],
            "error_code": 1,
            "error_message": _FAILURES[error_type],
            "error_type": error_type,
            "recording_enabled": True,
        }
        self._webhooks.send("beam.failure", room, data)

    def _succeeded(self, recording: Json, room: Json, asset: Json, movie: Movie) -> None:
        data = {
            **_common(recording, room),
            "created_at": asset["created_at"],
            "duration": asset["duration"],
            "max_width": movie.width,
            "max_height": movie.height,
            "recording_id": asset["id"],
            "recording_path": asset["path"],
            "recording_presigned_url": self._assets.signed(asset["id"])["url"],
            "size": asset["size"],
            "started_at": recording["started_at"],
            "stopped_at": recording["stopped_at"],
        }
        self._webhooks.send("beam.recording.success", room, data)


def _common(recording: Json, room: Json) -> Json:
    return {
        "beam_id": recording["id"],
        "room_id": recording["room_id"],
        "session_id": recording["session_id"],
        "session_started_at": recording["created_at"],
        "template_id": room["template_id"],
        "peer_id": "",
        "meeting_url": recording["meeting_url"],
        "rtmp": [],
    }
