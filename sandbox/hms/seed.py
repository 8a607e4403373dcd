"""What the fake 100ms comes with, and making more of it for tests (`POST /_sandbox/seed`)."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any, Final

from sandbox.hms.http import Json, Refusal
from sandbox.hms.rooms import Rooms
from sandbox.hms.state import State, new_id, now
from sandbox.hms.storage import Storage
from sandbox.hms.templates import Templates
from sandbox.servers.settings import Settings

_SUBDOMAIN: Final = "sandbox-videoconf.app.100ms.live"
_MOST: Final = 20_000

SETTINGS: Final[Json] = {
    "region": "eu",
    "recording": None,
    "roomState": {"messageInterval": 5, "sendPeerList": False, "stopRoomStateOnJoin": True, "enabled": False},
    "noiseCancellation": {"enabled": True, "default": "off"},
}
"""Settings of the template that is there from the start; `noiseCancellation` stands for fields that no page names."""

_ROLES: Final[Json] = {
    "host": {"name": "host", "permissions": {"endRoom": True, "browserRecording": True}, "priority": 1},
    "guest": {"name": "guest", "permissions": {}, "priority": 2},
}

_HLS: Final[Json] = {
    "hlsDestinations": {
        "hls": {
            "name": "hls",
            "maxDuration": 28800,
            "layers": [{"width": 1280, "height": 720, "videoBitrate": 1500, "audioBitrate": 32}],
            "recording": {"hlsVod": True, "singleFilePerLayer": False, "enableZipUpload": False},
        }
    }
}

_EARLIER_UPLOAD: Final[Json] = {
    "type": "s3",
    "location": "earlier-recordings",
    "prefix": "earlier",
    "options": {"region": "eu-west-1"},
    "credentials": {"key": "AKIAEARLIERRECORDING", "secretKey": "earlier-secret-of-the-sandbox"},
}


def first_state(state: State, settings: Settings, templates: Templates, rooms: Rooms) -> None:
    """Fill an empty state: a ready template, one for HLS that points at other storage, and a room."""
    if state.templates:
        return
    ready = {"name": "sandbox-videoconf", "roles": _ROLES, "settings": copy.deepcopy(SETTINGS)}
    hls = {
        "name": "sandbox-hls",
        "roles": _ROLES,
        "destinations": _HLS,
        "settings": {**copy.deepcopy(SETTINGS), "recording": {"compositeMode": "grid", "upload": _EARLIER_UPLOAD}},
    }
    for template_id, body in ((settings.hms_template, ready), (settings.hms_hls_template, hls)):
        template = templates.made(body)
        state.templates[template_id] = {**template, "id": template_id, "_id": template_id, "_subdomain": _SUBDOMAIN}
    room = rooms.made({"name": "sandbox-room", "template_id": settings.hms_template})
    state.rooms[settings.hms_room] = {**room, "id": settings.hms_room}
    state.save()


class Seeder:
    """Makes templates, rooms and recording assets. Entries are as the API takes or shows them, all fields optional."""

    def __init__(self, state: State, templates: Templates, rooms: Rooms, own: Storage, default_room: str) -> None:
        self._state = state
        self._templates = templates
        self._rooms = rooms
        self._own = own
        self._default_room = default_room

    def seed(self, wanted: Json) -> Json:
        """`{"templates": [...], "rooms": [...], "assets": [...]}` → the ids made.

        An entry with `"count": n` is made n times. A template has a subdomain unless `"subdomain": false`.
        Raises Refusal (400).
        """
        made: dict[str, list[str]] = {}
        makers = {"templates": self._template, "rooms": self._room, "assets": self._asset}
        for kind, entries in wanted.items():
            if kind not in makers or not isinstance(entries, list):
                raise Refusal(400, f"unknown kind {kind}: lists of templates, rooms, assets are expected")
            made[kind] = [makers[kind](entry, number) for entry in entries for number in range(_taken_count(entry))]
        self._state.save()
        return made

    def _template(self, entry: Json, number: int) -> str:
        template = self._templates.made({"roles": _ROLES, "settings": copy.deepcopy(SETTINGS), **entry})
        template["_subdomain"] = _SUBDOMAIN if entry.get("subdomain", True) else None
        self._state.templates[template["id"]] = template
        return str(template["id"])

    def _room(self, entry: Json, number: int) -> str:
        room = self._rooms.made(entry)
        self._state.rooms[room["id"]] = room
        return str(room["id"])

    def _asset(self, entry: Json, number: int) -> str:
        asset_id = new_id()
        room_id = entry.get("room_id") or self._default_room
        object_key = self._own.recording_path(room_id, datetime.now(UTC)).replace(".mp4", f"-{number}.mp4")
        asset: dict[str, Any] = {
            "id": asset_id,
            "job_id": new_id(),
            "room_id": room_id,
            "session_id": new_id(),
            "type": "room-composite",
            "status": "completed",
            "path": self._own.url(object_key),
            "size": 1_048_576,
            "duration": 60,
            "created_at": now(),
            "thumbnails": None,
            "metadata": {},
            **{name: value for name, value in entry.items() if name != "count"},
        }
        self._state.assets[asset["id"]] = asset
        return str(asset["id"])


def _taken_count(entry: Any) -> int:
    if not isinstance(entry, dict):
        raise Refusal(400, "an entry to seed is an object")
    count = entry.get("count", 1)
    if not isinstance(count, int) or not 0 <= count <= _MOST:
        raise Refusal(400, f"count is a number up to {_MOST}")
    return count
