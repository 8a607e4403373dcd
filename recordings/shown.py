"""Times, lengths, sizes and counts as people read them, on the page and in tables.

A size is rounded where it is only to be known (`size`), and exact where a check compares it (`counted(n, "byte")`).
"""

from __future__ import annotations

from datetime import UTC, datetime


def moment(at: datetime | None) -> str:
    """`15 Jan 2026, 10:00 UTC`."""
    return f"{at.astimezone(UTC):%-d %b %Y, %H:%M} UTC" if at else "unknown"


def length(seconds: float | None) -> str:
    """`1:02:03` or `2:03`; a dash for what has none."""
    if seconds is None or not 0 <= seconds < 1e9:
        return "\u2013"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size(octets: int | None) -> str:
    """`12.3 MB`, in powers of a thousand; a dash for what has none."""
    if octets is None:
        return "\u2013"
    amount = float(octets)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def counted(number: int, thing: str, things: str = "") -> str:
    """`1 room`, `1,234 rooms`; `things` is the plural where it is not `thing` with an s."""
    return f"{number:,} {thing if number == 1 else things or f'{thing}s'}"
