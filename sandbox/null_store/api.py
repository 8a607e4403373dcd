"""A 100ms workspace that holds nothing but recordings in 100ms' own storage, all of one size, for a backfill.

Its address says what is in it: `/api/<size>/<count>/<run>/v2`, where `run` makes the ids of one run differ from those
of another. It keeps nothing and checks no token.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from sandbox.null_store.wire import Request, Wire

PREFIX: Final = "/api/"
_PAGE: Final = 100
_JSON: Final = {"Content-Type": "application/json"}


def answer(wire: Wire, request: Request) -> None:
    """Answer what a backfill asks: recording assets, a presigned URL of one, and no template or room."""
    url = urlsplit(request.target)
    size, count, run, _, what, *rest = url.path.removeprefix(PREFIX).split("/")
    if what == "recording-assets" and rest:
        origin = f"{'http' if wire.plain else 'https'}://{request.headers['host']}"
        body: dict[str, Any] = {"id": rest[0], "url": f"{origin}/{size}/{rest[0]}", "expiry": 3600}
    elif what == "recording-assets":
        start = int(parse_qs(url.query).get("start", ["0"])[0])
        end = min(start + _PAGE, int(count))
        data = [_asset(run, number, int(size)) for number in range(start, end)]
        body = {"limit": _PAGE, "data": data, "last": str(end) if end < int(count) else ""}
    else:
        body = {"limit": _PAGE, "data": [], "last": ""}
    wire.answer("200 OK", _JSON, json.dumps(body).encode())


def _asset(run: str, number: int, size: int) -> dict[str, Any]:
    now = datetime.now(UTC)
    room = f"{run}{number}"
    name = f"Rec-{room}-{now.timestamp() * 1000:.0f}.mp4"
    return {
        "id": room,
        "room_id": room,
        "type": "room-composite",
        "status": "completed",
        "size": size,
        "path": f"s3://100ms/beam/{room}/{now:%Y%m%d}/{name}",
        "created_at": now.isoformat(),
    }
