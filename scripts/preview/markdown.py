"""Text from anywhere as GitHub's Markdown, in which it can be nothing but text.

Names and values of a pull request are chosen by whoever opened it. They stand in `<code>`, where GitHub looks neither
for mentions nor for references, and every character that could be markup is an entity: it can't end the cell, the table
or the element, and makes no link. Owns escaping, tables and folding.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

_LONGEST: Final = 1000
_ASCII: Final = 127
_PLAIN: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 .:,;=/()+{}\"'%?^-")
"""What is no markup anywhere in a cell; a dot after www and a colon before a slash would make a link."""
_LINKS: Final = re.compile(r"(?<=www)\.|:(?=/)", re.IGNORECASE)


class _Entities(dict[int, str]):
    """Each character as it is written, worked out when it is first met."""

    def __missing__(self, point: int) -> str:
        """Markup as an entity; what is invisible, or turns text round, made visible; all else as it is."""
        character = chr(point)
        if unicodedata.category(character)[0] in "CZM" and character not in _PLAIN:
            written = f"&#92;u{point:04x}"
        else:
            written = character if point > _ASCII or character in _PLAIN else f"&#{point};"
        self[point] = written
        return written


_ENTITIES: Final = _Entities()


def code(text: str) -> str:
    """Any text as code; empty text as an empty cell."""
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return f"<code>{escaped(cut)}</code>" if cut.strip() else ""


def escaped(text: str) -> str:
    """Any text with all that could be markup as entities, and what is invisible made visible."""
    return _LINKS.sub(lambda match: f"&#{ord(match[0])};", text.translate(_ENTITIES))


def own(text: str) -> str:
    """Markdown that this project wrote, as a cell."""
    return text.replace("|", "\\|")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table; cells are Markdown already, of one line each."""
    return [_row(head), _row(["---"] * len(head)), *map(_row, rows)]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def folded(summary: str, lines: Sequence[str]) -> list[str]:
    """Lines that show when somebody opens them."""
    return ["<details>", f"<summary>{summary}</summary>", "", *lines, "", "</details>"]
