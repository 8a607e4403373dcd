"""Usage as a picture: a column for each month, stacked by kind, as SVG that needs no script, font or network.

Owns drawing. The picture says in words what it shows (`title`, `desc`, and the numbers of each column as its own
`title`), holds a contrast of at least 4.5 to 1 for text and 3 to 1 for shapes on both of its backgrounds (WCAG 2.2,
1.4.3 and 1.4.11), and follows the reader's light or dark scheme. Colours are those of Okabe and Ito, told apart with
every common kind of colour blindness, some darkened; each kind has a place in the stack too, the same in every column.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from recordings.shown import size
from recordings.usage.spool import Sum

MOST_MONTHS: Final = 36
"""Older ones are left out, and the picture says so."""
_KINDS: Final = 7
_WIDEST: Final = 76
"""Characters of a heading."""
_REST: Final = "all others"
_COLOURS: Final = ("#0072b2", "#c84e00", "#00825f", "#a6568a", "#8a6d00", "#3b7ea6", "#6b6b6b", "#8f3a3a")
_WIDTH, _HEIGHT = 900, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 78, 24, 76, 88
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")
_STYLE: Final = (
    "svg{background:#fff}text{font:13px system-ui,sans-serif;fill:#1f2328}.h{font-size:18px;font-weight:600}"
    ".s{fill:#57606a}.g{stroke:#d0d7de;stroke-width:1}.a{stroke:#57606a;stroke-width:1}rect.b{stroke:#fff}"
    "@media(prefers-color-scheme:dark){svg{background:#161b22}text{fill:#e6edf3}.s{fill:#9da7b3}"
    ".g{stroke:#30363d}.a{stroke:#9da7b3}rect.b{stroke:#161b22;filter:brightness(1.35)}rect.k{filter:brightness(1.35)}}"
)


@dataclass(frozen=True)
class _Scale:
    """From bytes to a height, and the ticks of the axis."""

    top: float
    step: float
    unit: float
    name: str

    def y(self, octets: float) -> float:
        return _HEIGHT - _BOTTOM - (_HEIGHT - _TOP - _BOTTOM) * octets / self.top

    def ticks(self) -> Iterator[tuple[float, str]]:
        for number in range(round(self.top / self.step) + 1):
            yield number * self.step, f"{number * self.step / self.unit:g} {self.name}"


def chart(title: str, by_month_and_kind: Sequence[Sum], note: str) -> str:
    """The picture as an SVG document; sums by month and kind, with a line of text under the title."""
    columns = _columns(by_month_and_kind)
    left_out = len(columns) - MOST_MONTHS
    columns = dict(sorted(columns.items())[-MOST_MONTHS:])
    kinds = _kinds(columns)
    scale = _scale(max((sum(column.values()) for column in columns.values()), default=0))
    if left_out > 0:
        note += f"; the {left_out} months before are not shown"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'aria-labelledby="title desc">',
        f'<title id="title">{escape(title)}</title><desc id="desc">{escape(_words(columns, kinds, note))}</desc>',
        f"<style>{_STYLE}</style>",
        f'<text class="h" x="{_LEFT}" y="28">{escape(_fitting(title))}</text>',
        f'<text class="s" x="{_LEFT}" y="50">{escape(note)}</text>',
        *_axis(scale),
        *_bars(columns, kinds, scale),
        *_legend(kinds),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _fitting(title: str) -> str:
    """Cut where the picture ends; the `title` has all of it."""
    return title if len(title) <= _WIDEST else title[: _WIDEST - 1] + "…"


def _columns(sums: Sequence[Sum]) -> dict[str, dict[str, int]]:
    """Bytes by kind, by month; the months between the first and the last without any are there, empty."""
    columns: dict[str, dict[str, int]] = {}
    for group in sums:
        month, kind = group.names
        column = columns.setdefault(month, {})
        column[kind] = column.get(kind, 0) + group.bytes
    months = sorted(columns)
    return {month: columns.get(month, {}) for month in (_through(months[0], months[-1]) if months else ())}


def _through(first: str, last: str) -> Iterator[str]:
    year, month = int(first[:4]), int(first[5:])
    while (now := f"{year:04}-{month:02}") <= last:
        yield now
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)


def _kinds(columns: Mapping[str, dict[str, int]]) -> list[str]:
    """The largest kinds, and one for the rest, which is folded in here."""
    amounts: dict[str, int] = {}
    for column in columns.values():
        for kind, octets in column.items():
            amounts[kind] = amounts.get(kind, 0) + octets
    ordered = sorted(amounts, key=lambda kind: (-amounts[kind], kind))
    if len(ordered) <= _KINDS + 1:
        return ordered
    for column in columns.values():
        column[_REST] = sum(column.pop(kind, 0) for kind in ordered[_KINDS:])
    return [*ordered[:_KINDS], _REST]


def _scale(most: int) -> _Scale:
    power = min(int(math.log10(most) // 3), len(_UNITS) - 1) if most > 0 else 0
    unit = 1000.0**power
    rough = max(most, 1) / unit / 4
    magnitude = 10 ** math.floor(math.log10(rough))
    step = next(n * magnitude for n in (1, 2, 2.5, 5, 10) if n * magnitude >= rough) * unit
    return _Scale(step * math.ceil(max(most, 1) / step), step, unit, _UNITS[power])


def _axis(scale: _Scale) -> Iterator[str]:
    for octets, label in scale.ticks():
        y = scale.y(octets)
        line = "a" if octets == 0 else "g"
        yield f'<line class="{line}" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="s" x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>'


def _bars(columns: Mapping[str, Mapping[str, int]], kinds: Sequence[str], scale: _Scale) -> Iterator[str]:
    slot = (_WIDTH - _LEFT - _RIGHT) / max(len(columns), 1)
    width = min(slot * 0.7, 72)
    every = math.ceil(len(columns) / 12)
    for number, (month, column) in enumerate(columns.items()):
        x, base = _LEFT + slot * number + (slot - width) / 2, 0
        said = ", ".join(f"{kind} {size(column[kind])}" for kind in kinds if column.get(kind))
        yield f"<g><title>{escape(f'{month}: {size(sum(column.values()))} ({said})' if said else month)}</title>"
        for kind, colour in zip(kinds, _COLOURS, strict=False):
            octets = column.get(kind, 0)
            if octets:
                top, bottom = scale.y(base + octets), scale.y(base)
                yield (
                    f'<rect class="b" x="{x:.1f}" y="{top:.1f}" width="{width:.1f}" height="{bottom - top:.1f}" '
                    f'fill="{colour}"/>'
                )
                base += octets
        yield "</g>"
        if number % every == 0:
            middle, y = x + width / 2, _HEIGHT - _BOTTOM + 18
            yield f'<text x="{middle:.1f}" y="{y}" text-anchor="middle">{month}</text>'


def _legend(kinds: Sequence[str]) -> Iterator[str]:
    x, y = float(_LEFT), _HEIGHT - 46
    for kind, colour in zip(kinds, _COLOURS, strict=False):
        wide = 34 + 7.4 * len(kind)
        if x + wide > _WIDTH:
            x, y = float(_LEFT), y + 22
        yield f'<rect class="k" x="{x:.0f}" y="{y}" width="12" height="12" rx="2" fill="{colour}"/>'
        yield f'<text x="{x + 18:.0f}" y="{y + 11}">{escape(kind)}</text>'
        x += wide


def _words(columns: Mapping[str, Mapping[str, int]], kinds: Sequence[str], note: str) -> str:
    if not columns:
        return f"No recordings. {note}"
    months = "; ".join(f"{month} {size(sum(column.values()))}" for month, column in columns.items())
    return f"Columns by month, stacked by kind ({', '.join(kinds)}). {months}. {note}."
