"""Durations as people write them: `30s`, `15m`, `1h`, `7d`, and joined, `1h30m`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from recordings.errors import UsageError

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_FORM = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?", re.ASCII)


def parse_duration(text: str) -> timedelta:
    """Parse a duration in whole seconds. Raises UsageError that shows the legal form."""
    match = _FORM.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        raise UsageError(f"{text!r} is no duration: legal are 30s, 15m, 1h, 7d, and joined, 1h30m")
    try:
        return timedelta(seconds=sum(int(n or 0) * _UNITS[u] for n, u in zip(match.groups(), "dhms", strict=True)))
    except OverflowError:
        raise UsageError(f"{text!r} is too long a duration") from None


def show_duration(length: timedelta) -> str:
    """The same form, of whole seconds: `1h30m`."""
    seconds = int(length.total_seconds())
    parts = []
    for unit, size in reversed(_UNITS.items()):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"
