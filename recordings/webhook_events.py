"""What a webhook event of 100ms names: ids to ask about, and the error of a recording that failed.

Owns reading the envelope. Believes nothing in it: paths, sizes and presigned URLs are not read, for whatever is
written comes from the API (`recordings.webhook`). Ids are only such as may stand in a request.

Sources: 100ms' pages "Recording webhooks" and "HLS webhooks" (envelope `{version, id, account_id, app_id,
timestamp, type, data}`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from recordings.errors import UsageError
from recordings.redact import redact

SUCCESSES: Final = frozenset(
    {
        "beam.recording.success",
        "hls.recording.success",
        "recording.success",
        "track.recording.success",
        "stream.recording.success",
    }
)
FAILURES: Final = frozenset({"beam.failure", "hls.failure", "recording.failed"})
MOST_IDS: Final = 50
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_DEEPEST: Final = 4


@dataclass(frozen=True)
class Event:
    """One event that concerns recordings. `error` is 100ms' error type, `message` its text with no secret in it.

    `has_chat`: it speaks of a chat too, a recording asset of its own for which events have no id.
    """

    type: str
    asset_ids: tuple[str, ...] = ()
    has_chat: bool = False
    room_id: str | None = None
    session_id: str | None = None
    job_id: str | None = None
    account_id: str | None = None
    error: str | None = None
    message: str = ""


def parse_event(envelope: Any) -> Event | None:
    """The event in an envelope, None for one that concerns no recording. Raises UsageError for what is no envelope."""
    if not isinstance(envelope, Mapping) or not isinstance(envelope.get("type"), str):
        raise UsageError("no event of 100ms: an object with a type is expected")
    kind, data = envelope["type"], envelope.get("data")
    if kind not in SUCCESSES | FAILURES:
        return None
    if not isinstance(data, Mapping):
        raise UsageError(f"a {kind} event has an object `data`")
    failed = kind in FAILURES
    return Event(
        type=kind,
        asset_ids=tuple(dict.fromkeys(_asset_ids(data)))[:MOST_IDS],
        has_chat=bool(data.get("chat_recording_path")),
        room_id=_id(data.get("room_id")),
        session_id=_id(data.get("session_id")),
        job_id=_id(data.get("job_id") or data.get("beam_id")),
        account_id=_id(envelope.get("account_id")),
        error=_error(data) if failed else None,
        message=_text(data.get("error_message")) if failed else "",
    )


def _asset_ids(value: Any, depth: int = 0) -> Iterator[str]:
    """The ids of recording assets: `recording_id` and what ends in `asset_id`, also in lists of files."""
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for name, inner in value.items():
            if name == "recording_id" or name.endswith("asset_id"):
                if found := _id(inner):
                    yield found
            else:
                yield from _asset_ids(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _asset_ids(inner, depth + 1)


def _id(value: Any) -> str | None:
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _error(data: Mapping[str, Any]) -> str:
    return next((found for name in ("error_type", "error", "error_code") if (found := _id(data.get(name)))), "unknown")


def _text(value: Any) -> str:
    """One line with no query of a URL and no control character."""
    text = redact(value) if isinstance(value, str) else ""
    return "".join(char if char.isprintable() else "?" for char in text)
