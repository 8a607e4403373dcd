"""Which stored objects cannot be read until they are restored: told by the headers of an answer to HEAD.

On Google every class is read at once, so there is nothing to tell and no such header.

Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html (x-amz-storage-class, x-amz-restore,
x-amz-archive-status).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_ARCHIVES: Final = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""GLACIER_IR is read at once."""


@dataclass(frozen=True)
class Archived:
    """In this storage class, and not restored; `restoring` says whether somebody has asked for that."""

    storage_class: str
    restoring: bool


def archived(headers: Mapping[str, str]) -> Archived | None:
    """Judge by the headers (names in lower case, or a mapping that ignores case); None if it can be read."""
    restore = headers.get("x-amz-restore", "")
    if 'ongoing-request="false"' in restore:
        return None
    tier = headers.get("x-amz-archive-status", "")
    storage_class = headers.get("x-amz-storage-class", "")
    if tier:
        return Archived(f"{storage_class} ({tier})", bool(restore))
    return Archived(storage_class, bool(restore)) if storage_class in _ARCHIVES else None
