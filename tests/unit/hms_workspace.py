"""A 100ms workspace in memory: the fake of the unit tests, with rooms and recordings beside templates.

Rooms are shown as 100ms does: reading leaves the credentials of their storage out, the answer to a change has them.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping
from typing import Any

import httpx

from tests.unit.hms_fake import CUSTOMER, FakeHms


class Workspace(FakeHms):
    """The fake of the unit tests, with rooms and recordings beside templates."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.rooms: dict[str, dict[str, Any]] = {}
        self.recordings: dict[str, dict[str, Any]] = {}
        self.configurations: dict[str, list[dict[str, Any]]] = {}

    def answer(self, request: httpx.Request, what: str) -> httpx.Response:
        path = request.url.path.removeprefix("/v2/")
        query = dict(request.url.params)
        first, _, id_ = path.partition("/")
        if path == "templates":
            return self.page([{"id": each, "customerId": CUSTOMER} for each in self.settings])
        if first == "templates" and id_.endswith("/recordings"):
            return httpx.Response(200, json=self.configurations.get(id_.removesuffix("/recordings"), []))
        if first == "rooms":
            return self.room(request, id_, query)
        if first == "recordings":
            return self.page([r for r in self.recordings.values() if r["status"] == query["status"]])
        return super().answer(request, what)

    def page(self, items: list[dict[str, Any]]) -> httpx.Response:
        return httpx.Response(200, json={"limit": 100, "data": [_public(item) for item in items], "last": ""})

    def room(self, request: httpx.Request, id_: str, query: Mapping[str, str]) -> httpx.Response:
        if not id_:
            return self.page([r for r in self.rooms.values() if json.dumps(r["enabled"]) == query["enabled"]])
        if id_ not in self.rooms:
            return self.refusal(404, "room not found")
        room = self.rooms[id_]
        if request.method == "POST":
            sent = json.loads(request.content)
            info = sent.get("recording_info", {})
            room.update(sent, recording_source_template=False, updated_at=f"{self.clock.time}-{len(self.log)}")
            room["_credentials"] = info["upload_info"].pop("credentials")
            shown = copy.deepcopy(_public(room))
            shown["recording_info"]["upload_info"]["credentials"] = dict(room["_credentials"])
            return httpx.Response(200, json=shown)
        return httpx.Response(200, json=_public(room))

    def add_room(self, id_: str, template: str, own: dict[str, Any] | None = None, **fields: Any) -> None:
        """A room; with `own` it has storage of its own, as one sends it."""
        room = {"id": id_, "name": f"name-{id_}", "enabled": True, "template_id": template, "customer_id": CUSTOMER}
        room |= {"description": "kept", "recording_source_template": own is None, "updated_at": "then", **fields}
        if own is not None:
            own = copy.deepcopy(own)
            room["_credentials"] = own["upload_info"].pop("credentials", {})
            room["recording_info"] = own
        self.rooms[id_] = room

    def key_of(self, room_id: str) -> str:
        """The id of the key that a recording in this room would have."""
        room = self.rooms[room_id]
        if "recording_info" in room:
            return str(room["_credentials"]["key"])
        upload = (self.settings[room["template_id"]].get("recording") or {}).get("upload") or {}
        return str((upload.get("credentials") or {}).get("key", ""))


def _public(item: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if not name.startswith("_")}
