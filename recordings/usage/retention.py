"""What the bucket's lifecycle deletes next: dates, counts, bytes.

Owns the arithmetic on rules that `recordings.stores.base.Guards` shows. On a bucket that keeps versions an object that
expires only becomes an old version, and is gone for good some days later.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html (days are added, then rounded
up to the next midnight UTC) and https://cloud.google.com/storage/docs/lifecycle (age in days; done within about a day).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from recordings.stores.base import Guards, ObjectVersion

_DAY: Final = timedelta(days=1)


class End(StrEnum):
    """What happens to a version."""

    EXPIRES = "expires"
    REMOVED = "removed for good"


@dataclass
class Amount:
    """How many versions, and how large they are."""

    objects: int = 0
    bytes: int = 0


@dataclass
class Retention:
    """Fill it with `add`; `days` is by day (UTC) and end, with as many entries as there are days to come."""

    guards: Guards
    days: dict[tuple[date, End], Amount] = field(default_factory=dict)

    def add(self, version: ObjectVersion) -> None:
        """Count a version under the day on which a rule deletes it, if one does."""
        due = self.due(version)
        if due is not None and not version.is_marker:
            amount = self.days.setdefault(due, Amount())
            amount.objects += 1
            amount.bytes += version.size

    def due(self, version: ObjectVersion) -> tuple[date, End] | None:
        """The day on which a rule ends a version, and how; None if no rule does."""
        rules = [rule for rule in self.guards.lifecycle if version.key.startswith(rule.prefix)]
        if version.is_latest:
            days = _soonest(rule.expires_days for rule in rules)
            end = End.EXPIRES if self.guards.keeps_versions else End.REMOVED
            return None if days is None else (_midnight_after(version.last_modified, days), end)
        days = _soonest(rule.old_versions_days for rule in rules)
        since = version.noncurrent_since or version.last_modified
        return None if days is None else (_midnight_after(since, days), End.REMOVED)

    def next(self) -> list[tuple[date, End, Amount]]:
        """In the order of days."""
        return [(day, end, amount) for (day, end), amount in sorted(self.days.items())]


def _soonest(days: Iterable[int | None]) -> int | None:
    return min((count for count in days if count is not None), default=None)


def _midnight_after(start: datetime, days: int) -> date:
    end = start.astimezone(UTC) + timedelta(days=days)
    whole = end.replace(hour=0, minute=0, second=0, microsecond=0)
    return (whole if whole == end else whole + _DAY).date()
