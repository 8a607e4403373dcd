"""`/rooms`: list, get, create, update, with storage of a room's own.

Sources: 100ms' pages "Room object", "Create via API" (a room of the same name is updated; `recording_info` is atomic),
"List rooms" (enabled rooms alone unless asked), "Retrieve a specific room" (storage of its own is shown without
`credentials`), "Update a room" (with them), "Disable/Enable a room".
"""

from __future__ import annotations

import re
import uuid
from typing import Any, Final

from sandbox.hms.http import Json, Refusal, Request, Routes, check_types, filtered, not_found, page
from sandbox.hms.state import State, new_id, now, public
from sandbox.hms.storage import checked_upload

_NAME: Final = re.compile(r"[A-Za-z0-9.\-:_]+")
_REGIONS: Final = ("in", "us", "eu", "auto", "")
_COPIED: Final = ("description", "region", "large_room", "size", "polls", "webhook", "enabled")
_FIELDS: Final = {
    "name": str,
    "description": str,
    "template_id": str,
    "region": str,
    "enabled": bool,
    "large_room": bool,
    "size": int,
    "max_duration_seconds": int,
    "polls": list,
    "webhook": dict,
}
_MIN_SECONDS: Final = 120
_MAX_SECONDS: Final = 43200


class Rooms:
    """The endpoints, over a state. `customer` is the workspace's id, `default_template` that of rooms without one."""

    def __init__(self, state: State, customer: str, app: str, default_template: str) -> None:
        self._state = state
        self._customer = customer
        self._app = app
        self._default_template = default_template

    def routes(self, routes: Routes) -> None:
        """Add them."""
        routes.add("GET /rooms", self.list)
        routes.add("POST /rooms", self.create)
        routes.add("GET /rooms/{room_id}", self.get)
        routes.add("POST /rooms/{room_id}", self.update)

    def find(self, room_id: str) -> Json:
        """The room. Raises Refusal (404)."""
        try:
            return self._state.rooms[room_id]
        except KeyError:
            raise not_found("room") from None

    def list(self, request: Request) -> Json:
        """Enabled rooms, or disabled ones with `enabled=false`, paged."""
        enabled = request.query.get("enabled", "true") or "true"
        if enabled not in ("true", "false"):
            raise Refusal(400, "Invalid query param: enabled")
        rooms = [room for room in self._state.rooms.values() if room["enabled"] == (enabled == "true")]
        rooms = filtered(request, rooms, "name", "template_id")
        after, before = request.query.get("after", ""), request.query.get("before", "~")
        return page(request, [_read(room) for room in rooms if after <= room["created_at"] <= before])

    def get(self, request: Request, room_id: str) -> Json:
        """One room."""
        return _read(self.find(room_id))

    def create(self, request: Request) -> Json:
        """A room; if the name is taken, that room is updated."""
        body = request.object()
        name = str(body.get("name") or "").lower()
        for room in self._state.rooms.values():
            if name and room["name"].lower() == name:
                return self._changed(room, body)
        room = self.made(body)
        self._state.rooms[room["id"]] = room
        return public(room)

    def update(self, request: Request, room_id: str) -> Json:
        """Change what the body names. `recording_info` replaces the old one as a whole."""
        return self._changed(self.find(room_id), request.object())

    def made(self, body: Json) -> Json:
        """A room from what a client sends. Raises Refusal (400)."""
        moment = now()
        room: Json = {
            "id": new_id(),
            "name": str(uuid.uuid4()),
            "enabled": True,
            "description": "",
            "customer_id": self._customer,
            "app_id": self._app,
            "recording_source_template": True,
            "enabled_source_template": True,
            "template_id": self._default_template,
            "region": "auto",
            "created_at": moment,
            "customer": self._customer,
            "large_room": False,
        }
        self._apply(room, body)
        return {**room, "key": f"{self._customer}:{room['name']}", "updated_at": moment}

    def _changed(self, room: Json, body: Json) -> Json:
        changed = dict(room)
        self._apply(changed, body)
        changed["updated_at"] = now()
        room.update(changed)
        return public(room)

    def _apply(self, room: Json, body: Json) -> None:
        _check(body)
        template_id = body.get("template_id") or room["template_id"]
        if template_id not in self._state.templates:
            raise Refusal(400, "Error: template not found")
        room["template_id"] = template_id
        room["template"] = self._state.templates[template_id]["name"]
        if body.get("name"):
            room["name"] = body["name"]
        room.update({name: body[name] for name in (*_COPIED, "max_duration_seconds") if body.get(name) is not None})
        if "recording_info" in body:
            room["recording_info"] = _checked_info(body["recording_info"])
            room["recording_source_template"] = False


def _read(room: Json) -> Json:
    """A room as reading calls show it: without the credentials of its storage."""
    info = room.get("recording_info") or {}
    if "upload_info" not in info:
        return public(room)
    upload = {name: value for name, value in info["upload_info"].items() if name != "credentials"}
    return {**public(room), "recording_info": {**info, "upload_info": upload}}


def _check(body: Json) -> None:
    check_types(body, _FIELDS)
    if "template" in body:
        raise Refusal(400, "Invalid body param: template. Use template_id")
    if body.get("name") and not _NAME.fullmatch(str(body["name"])):
        raise Refusal(400, "Invalid body param: name")
    if (body.get("region") or "") not in _REGIONS:
        raise Refusal(400, "Error: region not supported")
    webhook = body.get("webhook") or {}
    if webhook and not isinstance(webhook.get("url"), str):
        raise Refusal(400, "Invalid body param: webhook")
    check_types(webhook, {"headers": dict})
    seconds = body.get("max_duration_seconds") or _MIN_SECONDS
    if seconds < _MIN_SECONDS:
        raise Refusal(400, f"Invalid body param: max_duration_seconds less than {_MIN_SECONDS} seconds")
    if seconds > _MAX_SECONDS:
        raise Refusal(400, f"Invalid body param: max_duration_seconds greater than {_MAX_SECONDS} seconds")


def _checked_info(info: Any) -> Json:
    if not isinstance(info, dict):
        raise Refusal(400, "Invalid upload configuration")
    kept = {"enabled": bool(info.get("enabled", False))}
    upload = checked_upload(info.get("upload_info"), "secret")
    return kept if upload is None else {**kept, "upload_info": upload}
