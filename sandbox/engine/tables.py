"""Tables and times as `pulumi`'s plain output has them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_WEEK: Final = 7 * _DAY
_MONTH: Final = 30 * _DAY
_YEAR: Final = 12 * _MONTH
_UNITS: Final = (
    (_YEAR, "year"), (_MONTH, "month"), (_WEEK, "week"), (_DAY, "day"), (_HOUR, "hour"), (_MINUTE, "minute"),
    (1, "second"),
)  # fmt: skip


def table(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """Lines with the columns two blanks apart, the first row being the heads; a cell may have several lines."""
    widths = [max(len(line) for cell in column for line in cell.split("\n")) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        for parts in zip_longest(*(cell.split("\n") for cell in row), fillvalue=""):
            padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
            lines.append(f"{indent}{'  '.join(padded).rstrip()}")
    return lines


def ago(seconds: float) -> str:
    """How long something is over: `3 minutes ago`, in the largest unit."""
    for length, name in _UNITS:
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    return "now"
