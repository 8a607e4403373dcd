"""Waivers: which guard rule a stack is let off, why, and until when.

Owns their form in the configuration (`recordings:waivers`). What they let off is decided in `policy`, which also
refuses one that has run out or names no rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

LEGAL: Final = (
    "must be a list of {id, reason, expires}: the rule's id, why it does not hold here (at least 10 characters), and "
    "the last day in UTC, in quotes, as '2027-01-31'"
)
_SHORTEST_REASON: Final = 10


@dataclass(frozen=True)
class Waiver:
    """The rule `id` is waived for `reason` up to and with the day `expires` (UTC, as 2027-01-31)."""

    id: str
    reason: str
    expires: str

    def is_over(self, now: datetime) -> bool:
        """Whether its last day has passed at `now` (UTC)."""
        day = datetime.strptime(self.expires, "%Y-%m-%d").replace(tzinfo=UTC)
        return now >= day + timedelta(days=1)


def parse_waivers(value: object) -> tuple[Waiver, ...]:
    """Read the list of waivers, or its JSON text as Pulumi hands it over; ValueError says what is legal."""
    try:
        loaded = json.loads(value) if isinstance(value, str) and value else value or []
    except (ValueError, RecursionError):
        raise ValueError(LEGAL) from None
    if not isinstance(loaded, list | tuple):
        raise ValueError(LEGAL)
    found = tuple(item if isinstance(item, Waiver) else _waiver(item) for item in loaded)
    if len({waiver.id for waiver in found}) != len(found):
        raise ValueError("must not waive a rule twice")
    return found


def _waiver(raw: Any) -> Waiver:
    if not isinstance(raw, Mapping) or set(raw) != {"id", "reason", "expires"}:
        raise ValueError(LEGAL)
    id_, reason, expires = (raw[key] for key in ("id", "reason", "expires"))
    # YAML reads a date without quotes as a time, which Pulumi hands over as midnight
    day = expires.removesuffix("T00:00:00Z") if isinstance(expires, str) else ""
    legal = isinstance(id_, str) and re.fullmatch(r"[a-z0-9-]{1,64}", id_)
    if not legal or not isinstance(reason, str) or len(reason.strip()) < _SHORTEST_REASON or not _is_day(day):
        raise ValueError(LEGAL)
    return Waiver(id_, reason.strip(), day)


def _is_day(text: str) -> bool:
    try:
        return datetime.strptime(text, "%Y-%m-%d").strftime("%Y-%m-%d") == text
    except ValueError:
        return False
