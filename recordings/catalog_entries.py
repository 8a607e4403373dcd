"""One row of `public.meeting_recordings`, and how a recording asset of 100ms becomes one.

Owns the row's fields and the judgement whose storage a path names. Knows no database (`recordings.catalog` does).

What 100ms says is kept as it says it, also a path that parses to nothing known; only what Postgres cannot hold (NUL,
lone surrogates, numbers beyond its types) is spelled otherwise, and a presigned URL loses its query, which is a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from recordings.errors import UsageError
from recordings.hms_models import RecordingAsset
from recordings.outputs import StorageProvider
from recordings.paths import Home, RecordingKind, parse
from recordings.redact import MASK

HMS: Final = "100ms"
"""`storage_provider` of what does not lie in a bucket of ours: 100ms gives presigned URLs for it."""

_LARGEST: Final = 2**63 - 1
_SECRET_QUERY: Final = re.compile(
    r"^(https?://[^?#]*)[?#].*|^(.*?)[?&][^?&]*(?:signature|credential|token)=.*", re.I | re.S
)
_KNOWN_SCHEMES: Final = frozenset({"s3", "gs", "oss", "azure"})
"""What 100ms documents as types of storage."""


class Standing(StrEnum):
    """Whose storage a path names, as far as it says."""

    OURS = "ours"
    ELSEWHERE = "elsewhere"
    """Another bucket: 100ms' own, or another stack's."""
    UNKNOWN = "unknown"
    """Of no documented form, in our bucket or anywhere."""


@dataclass(frozen=True)
class CatalogEntry:
    """One row. `size` in bytes, `duration` in seconds; `recorded_at` is when 100ms made the recording asset.

    `synced_at` is when 100ms was asked (None: now): what was asked earlier never overwrites what was asked later.
    """

    asset_id: str
    storage_provider: str
    type: str | None = None
    status: str | None = None
    file_path: str | None = None
    job_id: str | None = None
    room_id: str | None = None
    session_id: str | None = None
    size: int | None = None
    duration: float | None = None
    recorded_at: datetime | None = None
    synced_at: datetime | None = None


def entry_of(asset: RecordingAsset, home: Home, read_at: datetime) -> tuple[CatalogEntry, Standing]:
    """The row of an asset that 100ms told us of at `read_at` (aware), and whose storage its path names."""
    provider, standing = _judge(asset, home)
    return CatalogEntry(
        asset_id=storable(asset.id),
        storage_provider=provider,
        type=storable(asset.type),
        status=storable(asset.status),
        file_path=storable(_without_secret(asset.path)) if asset.path else None,
        job_id=_optional(asset.job_id),
        room_id=_optional(asset.room_id),
        session_id=_optional(asset.session_id),
        size=asset.size if asset.size is not None and 0 <= asset.size <= _LARGEST else None,
        duration=asset.duration,
        recorded_at=asset.created_at,
        synced_at=read_at,
    ), standing


def _judge(asset: RecordingAsset, home: Home) -> tuple[str, Standing]:
    try:
        place = home.source(asset.path) if "://" in asset.path else None
    except UsageError:
        return HMS, _elsewhere(asset.path)
    if place is None:  # a failed one may have no path at all
        return HMS, Standing.ELSEWHERE if not asset.path and asset.status == "failed" else Standing.UNKNOWN
    known = place.kind is not RecordingKind.UNKNOWN
    return StorageProvider(place.provider).value, Standing.OURS if known else Standing.UNKNOWN


def _elsewhere(path: str) -> Standing:
    try:
        return Standing.ELSEWHERE if parse(path).scheme in _KNOWN_SCHEMES else Standing.UNKNOWN
    except UsageError:
        return Standing.UNKNOWN


def _without_secret(path: str) -> str:
    match = _SECRET_QUERY.match(path)
    return path if match is None else f"{match[1] or match[2]}?{MASK}"


def storable(text: str) -> str:
    """`text` as Postgres can hold it: NUL and lone surrogates spelled out with a backslash."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def _optional(text: str | None) -> str | None:
    return None if text is None else storable(text)
