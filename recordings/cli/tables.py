"""Tables that a command prints: aligned, nothing cut off, wide enough in a pipe for what is copied out of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

_WIDE: Final = 160
"""Columns where there is no terminal that says how many it has."""


def show_table(out: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows of rich markup under `columns`; long words are folded, never cut."""
    table = Table(box=None, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*row)
    if not out.is_terminal:
        out.width = max(out.width, _WIDE)
    out.print(table)
