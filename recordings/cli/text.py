"""Text of others on its way to a terminal: a name from 100ms, a path from a database, an object's key, an error."""

from __future__ import annotations

import io
import os
import re
import sys
from typing import Final

import typer
from rich import markup

_ACTS: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""What a terminal obeys in place of showing it, or cannot show: control characters but tab and newline, directions."""


def escape(text: str) -> str:
    """`visible` text as it is under rich's markup."""
    return markup.escape(visible(text))


def visible(text: str) -> str:
    """`text` with what a terminal would obey spelled out: `\\x1b`."""
    return _ACTS.sub(_spelled, text)


def prepare_output() -> None:
    """Let no character that the terminal's encoding lacks, and no closed standard output, end a command half-way."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the process ends
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def named(value: str | None) -> str | None:
    """The value of an option that narrows; an empty one, of a variable that is not set, must not mean everything."""
    if value is not None and not value.strip():
        raise typer.BadParameter("it is empty: give a value, or leave the option out for all")
    return value


def _spelled(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode()
