"""What the doctor finds: one line of its table, and the order in which the lines stand.

Owns severities and likelihood. Knows no bucket and no 100ms: each group of findings is a module beside this one that
turns gathered facts into findings by pure functions. A thing that could not be looked at is a finding too
(`not checked`), so that nothing passes by absence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from recordings.errors import RecordingsError
from recordings.verification.checks import NotRun, Warned, fix_for

SHOWN: Final = 20
"""How many of the things concerned the table names; all are counted."""


class Severity(StrEnum):
    """How bad it is, worst first."""

    FAULT = "fault"
    """Recordings do not arrive, get lost or can't be downloaded, now or soon."""
    WARNING = "warning"
    """It works, and will not for ever, or not as the stack says."""
    NOT_CHECKED = "not checked"
    FINE = "fine"


LIKELY: Final = (
    "100ms",
    "template",
    "key",
    "room-storage",
    "bucket",
    "failures",
    "object-missing",
    "at-100ms",
    "url",
    "cors",
    "recording-mode",
    "guard",
    "rights",
    "key-age",
    "row-missing",
    "object-unknown",
    "room-webhook",
    "clock",
    "database",
)
"""Ids, the most likely cause of recordings that do not arrive or do not download first, as users report it."""


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at (`id`, `title`), what was `seen`, and the `repair`: a command, or an act in words.

    `id` is one of LIKELY. `things` name what is concerned, worst first, at most `SHOWN` unless a caller wants all.
    """

    id: str
    title: str
    severity: Severity
    seen: str
    repair: str = ""
    things: tuple[str, ...] = ()


@dataclass(frozen=True)
class Look:
    """One thing to look at: `run` gives findings, or raises RecordingsError, NotRun or Warned."""

    id: str
    title: str
    run: Callable[[], Iterable[Finding]]


def fine(id_: str, title: str, seen: str) -> Finding:
    """It was looked at, and is as it should be."""
    return Finding(id_, title, Severity.FINE, seen)


def not_checked(id_: str, title: str, reason: str, repair: str = "") -> Finding:
    """It could not be looked at."""
    return Finding(id_, title, Severity.NOT_CHECKED, reason, repair)


def look(at: Look) -> list[Finding]:
    """Look, whatever comes of it: what cannot be looked at is not checked, for the reason that the error gives."""
    try:
        return list(at.run())
    except (NotRun, Warned) as reason:
        return [not_checked(at.id, at.title, str(reason), reason.fix)]
    except RecordingsError as error:
        return [not_checked(at.id, at.title, str(error), fix_for(error))]


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Worst first, and of one severity the most likely cause first; else as they came."""
    severities = list(Severity)
    return sorted(findings, key=lambda found: (severities.index(found.severity), LIKELY.index(found.id)))


def shown(things: Sequence[str]) -> tuple[str, ...]:
    """The first of many things, and how many more there are."""
    if len(things) <= SHOWN:
        return tuple(things)
    return (*things[:SHOWN], f"and {len(things) - SHOWN:,} more")
