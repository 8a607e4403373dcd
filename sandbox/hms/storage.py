"""Where a recording goes: reading and checking the storage part of templates and rooms, and the path of a recording.

Sources: 100ms' pages "Update settings" (`secretKey` in, `secret` out), "Create via API" of rooms (`upload_info`,
`secret`, error texts), "Storage configuration" (path formats, default prefix).
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sandbox.hms.http import Json, Refusal

TYPES: Final = ("s3", "gs", "oss", "azure")
DEFAULT_REGION: Final = "ap-south-1"
"""The bucket's region if `options.region` is missing (legacy documentation)."""


@dataclass(frozen=True)
class Storage:
    """A bucket and the key that 100ms uploads with."""

    type: str
    location: str
    prefix: str
    region: str
    key: str
    secret: str = field(repr=False)

    def recording_path(self, room_id: str, started: datetime) -> str:
        """The object key of a browser composite recording."""
        name = f"Rec-{room_id}-{int(started.timestamp() * 1000)}.mp4"
        return posixpath.join(self.prefix.strip("/"), "beam", room_id, f"{started:%Y%m%d}", name)

    def url(self, object_key: str) -> str:
        """The path as recording assets and webhooks name it."""
        return f"{self.type}://{self.location}/{object_key}"


def checked_upload(upload: Any, secret_name: str) -> Json | None:
    """A storage setting in the form that is kept, with `credentials.secret`. None for none.

    `secret_name` is what the endpoint calls the secret: `secretKey` for templates, `secret` for rooms.
    Raises Refusal (400) as documented.
    """
    if not upload:
        return None
    if not isinstance(upload, dict) or not isinstance(upload.get("type"), str) or upload["type"] not in TYPES:
        raise Refusal(400, "Invalid upload configuration")
    if not upload.get("location"):
        raise Refusal(400, "Bucket location is missing")
    credentials, options = upload.get("credentials") or {}, upload.get("options") or {}
    if not isinstance(credentials, dict) or not isinstance(options, dict):
        raise Refusal(400, "Invalid upload configuration")
    needed = (credentials.get("key"), credentials.get(secret_name))
    texts = (upload["location"], upload.get("prefix") or "", options.get("region") or "", *needed)
    if not all(needed) or not all(isinstance(text, str) for text in texts):
        raise Refusal(400, "Invalid upload configuration")
    kept = {name: value for name, value in credentials.items() if name not in ("secret", "secretKey")}
    return {**upload, "credentials": {**kept, "secret": credentials[secret_name]}}


def storage_of(room: Json, template: Json, customer: str) -> Storage | None:
    """The storage of a room's recordings, None for 100ms' own.

    A room's `recording_info` is atomic: with it, the template's setting does not count at all.
    """
    info = room.get("recording_info")
    if info is not None:
        upload = info.get("upload_info")
    else:
        upload = (template["settings"].get("recording") or {}).get("upload")
    if not upload:
        return None
    options = upload.get("options") or {}
    return Storage(
        type=upload["type"],
        location=upload["location"],
        prefix=upload.get("prefix") or customer,
        region=options.get("region") or DEFAULT_REGION,
        key=upload["credentials"]["key"],
        secret=upload["credentials"]["secret"],
    )
