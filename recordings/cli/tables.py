"""Tables that a command prints: aligned, nothing cut off, wide enough in a pipe for what is copied out of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console, JustifyMethod
from rich.table import Table

_WIDE: Final = 160
"""Columns where there is no terminal that says how many it has."""
_ID: Final = 36
_ROOMY: Final = 72
"""Columns from which on an id, of `_ID` characters at most, and everything beside it have room."""


def show_table(
    out: Console,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    whole: bool = False,
    right: Sequence[str] = (),
) -> None:
    """Print rows of rich markup under `columns`; long words are folded, never cut.

    The first column is not folded if `whole`, for ids that are copied; those of `right`, figures, end together.
    """
    table, shown = Table(box=None, pad_edge=False), list(rows)
    whole = whole and out.width >= _ROOMY and all(len(row[0]) <= _ID for row in shown)
    for name in columns:
        justify: JustifyMethod = "right" if name in right else "default"
        table.add_column(name, overflow="fold", no_wrap=whole and name == columns[0], justify=justify)
    for row in shown:
        table.add_row(*row)
    if not out.is_terminal:
        out.width = max(out.width, _WIDE)
    out.print(table)
