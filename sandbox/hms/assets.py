"""`/recording-assets`: list, get, presigned URL. Source: 100ms' pages on recording assets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from sandbox.hms.http import Json, Listing, Refusal, Request, Routes, filtered, not_found, page
from sandbox.hms.movie import Movie
from sandbox.hms.state import State, new_id, now, public
from sandbox.hms.storage import Storage
from sandbox.hms.uploads import Uploader, UploadError

_DEFAULT_SECONDS: Final = 3 * 24 * 3600
_LONGEST_SECONDS: Final = 7 * 24 * 3600
_FILTERS: Final = ("room_id", "session_id", "status")


class Assets:
    """The endpoints, over a state. An asset remembers the storage that it was uploaded with, for presigned URLs."""

    def __init__(self, state: State, uploader: Uploader) -> None:
        self._state = state
        self._uploader = uploader
        self._all = Listing(())

    def routes(self, routes: Routes) -> None:
        """Add them."""
        routes.add("GET /recording-assets", self.list)
        routes.add("GET /recording-assets/{asset_id}", self.get)
        routes.add("GET /recording-assets/{asset_id}/presigned-url", self.presigned_url)

    def forget(self) -> None:
        """All are gone."""
        self._state.assets.clear()
        self._all = Listing(())

    def add(
        self, recording: Json, storage: Storage, object_key: str, movie: Movie | None, error: str | None = None
    ) -> Json:
        """List a recording asset; without a movie it is one that failed, with the error."""
        resolution = {"width": movie.width, "height": movie.height} if movie else {}
        asset: Json = {
            "id": new_id(),
            "job_id": recording["id"],
            "room_id": recording["room_id"],
            "session_id": recording["session_id"],
            "type": "room-composite",
            "status": "completed" if movie else "failed",
            "path": storage.url(object_key),
            "size": movie.size if movie else 0,
            "duration": movie.duration if movie else 0,
            "created_at": now(),
            "thumbnails": None,
            "metadata": {"resolution": resolution} if movie else {},
            "_storage": asdict(storage),
            "_key": object_key,
        }
        if error:
            asset["error"] = error
        self._state.assets[asset["id"]] = asset
        return public(asset)

    def of_job(self, recording_id: str) -> list[Json]:
        """The recording assets of one recording, in the form that a recording shows them."""
        left_out = ("job_id", "room_id", "session_id")
        found = [public(asset) for asset in self._state.assets.values() if asset["job_id"] == recording_id]
        return [{name: value for name, value in asset.items() if name not in left_out} for asset in found]

    def list(self, request: Request) -> Json:
        """Recording assets, newest first, paged."""
        if any(request.query.get(name) for name in _FILTERS):
            answer = page(request, filtered(request, self._state.assets.values(), *_FILTERS))
        else:
            if len(self._all) != len(self._state.assets):  # one is taken away only with all others, see `forget`
                self._all = Listing(self._state.assets.values())
            answer = self._all.page(request)
        return {**answer, "data": [public(asset) for asset in answer["data"]]}

    def get(self, request: Request, asset_id: str) -> Json:
        """One recording asset."""
        return public(self._find(asset_id))

    def presigned_url(self, request: Request, asset_id: str) -> Json:
        """A presigned URL, by default for three days."""
        text = request.query.get("presign_duration") or str(_DEFAULT_SECONDS)
        if not text.isdigit() or not 0 < int(text) <= _LONGEST_SECONDS:
            raise Refusal(400, "Invalid query param: presign_duration")
        return self.signed(asset_id, int(text))

    def signed(self, asset_id: str, seconds: int = _DEFAULT_SECONDS) -> Json:
        """The answer of `presigned_url`."""
        asset = self._find(asset_id)
        if asset["status"] != "completed" or "_storage" not in asset:
            raise Refusal(404, "recording asset file not found", "not found")
        try:
            url = self._uploader.sign(Storage(**asset["_storage"]), asset["_key"], seconds)
        except UploadError as error:
            raise Refusal(500, str(error)) from None
        return {"id": asset_id, "path": asset["path"], "url": url, "expiry": seconds}

    def _find(self, asset_id: str) -> Json:
        try:
            return self._state.assets[asset_id]
        except KeyError:
            raise not_found("recording asset") from None
