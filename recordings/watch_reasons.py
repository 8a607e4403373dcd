"""Why recordings failed, as far as 100ms says it: in the history of what it sent to webhooks.

A failed recording or recording asset names no reason; the events `beam.failure`, `hls.failure` and `recording.failed`
do, and 100ms keeps what it sent for 30 days, whether it arrived or not. It needs a webhook to send to: without one, or
where 100ms does not show an event's error, the reason is unknown, and that is no error here.

Sources: 100ms' pages "List Webhook Events", "Webhook Events" (error types of each failure).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from recordings.errors import HmsError
from recordings.hms import HmsClient
from recordings.webhook_events import FAILURES

LONGEST: Final = timedelta(days=14) - timedelta(minutes=5)
"""100ms shows 14 days at once; the clocks may differ a little."""
UNKNOWN: Final = "not told by 100ms"
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{1,39}")
_IDS: Final = ("job_id", "beam_id", "session_id")

EXPLAINED: Final[Mapping[str, str]] = {
    "UPLOAD_ERROR": "100ms could not upload: key, region, prefix or rights",
    "CLOUD_ACCESS_ERROR": "100ms could not reach the bucket: key, region or rights",
    "BEAM_STOPPED": "stopped within the seconds that a recording takes to start",
    "MAX_RETRIES_REACHED": "the browser could not join the meeting URL",
    "INPUT_ERROR": "nobody sent audio or video",
}
"""What an error type means; the others are internal to 100ms."""
_OF_STORAGE: Final = frozenset({"UPLOAD_ERROR", "CLOUD_ACCESS_ERROR"})


def reasons(hms: HmsClient, since: datetime, now: datetime) -> dict[str, str]:
    """Error types by the id of job and session. Empty where 100ms does not tell; never raises HmsError."""
    found: dict[str, str] = {}
    for event in sorted(FAILURES):
        try:
            for delivery in hms.webhook_deliveries(event, max(since, now - LONGEST)):
                data = delivery.payload.event_data
                code = str(data.get("error_type") or "")
                if _CODE.fullmatch(code):
                    found |= {str(data[name]): code for name in _IDS if data.get(name)}
        except HmsError:
            continue  # a workspace or kind of event for which there is no history
    return found


def explain(reason: str) -> str:
    """The reason with its meaning."""
    return f"{reason}: {EXPLAINED[reason]}" if reason in EXPLAINED else reason


def is_of_storage(reason: str) -> bool:
    """Whether the bucket or its key is at fault, as far as is known."""
    return reason in _OF_STORAGE
