"""Which stacks are test stacks past their time, and what is told of a sweep: judgement and report, as pure functions.

Owns the rule that nothing else is ever swept: a stack goes only if it says itself until when it is wanted, or, where
nothing of it is left to say so, our own lease of its template does. Takes nothing down (`recordings.teardown`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from recordings.leases import Lease
from recordings.outputs import KEPT
from recordings.stacks import Character

LEASE_GRACE: Final = timedelta(hours=2)
"""A lease comes before its stack: one without a stack may be released only when it is older than this."""


class Fate(StrEnum):
    """What becomes of a stack in a sweep, or of a lease whose stack is gone."""

    LEFT_ALONE = "left alone"
    WANTED = "wanted"
    EXPIRED = "expired"
    SWEPT = "swept"
    NOT_YET = "not yet"
    FAILED = "failed"
    RELEASED = "released"


@dataclass(frozen=True)
class Verdict:
    """One stack: what becomes of it and why. `expires` is UTC."""

    stack: str
    fate: Fate
    reason: str
    expires: datetime | None = None


def judge(stack: str, character: Character, lease: Lease | None, now: datetime) -> Verdict:
    """Whether the stack is past its time. Only EXPIRED may be taken down."""
    if character.protect:
        return Verdict(stack, Fate.LEFT_ALONE, "protected")
    if character.environment in KEPT:
        return Verdict(stack, Fate.LEFT_ALONE, f"its environment is {character.environment}")
    expires = character.expires
    if expires is None and lease is not None and character == Character():
        expires = lease.expires
    if expires is None:
        return Verdict(stack, Fate.LEFT_ALONE, "it has no expiresAt, so nothing says that it is a test stack")
    if expires > now:
        return Verdict(stack, Fate.WANTED, f"until {_shown(expires)}", expires)
    return Verdict(stack, Fate.EXPIRED, f"since {_shown(expires)}", expires)


def idle(leases: Iterable[Lease], stacks: Iterable[str], now: datetime) -> list[Lease]:
    """Leases whose stack is not there (any more)."""
    there = set(stacks)
    return [lease for lease in leases if lease.stack not in there and lease.since < now - LEASE_GRACE]


def as_json(verdicts: Iterable[Verdict]) -> dict[str, Any]:
    """The report: a list for each fate that came up, `failed` and `not yet` always."""
    found: dict[str, list[Mapping[str, Any]]] = {Fate.FAILED.value: [], Fate.NOT_YET.value: []}
    for verdict in verdicts:
        found.setdefault(verdict.fate.value, []).append(asdict(verdict))
    return {"sweep": found}


def as_markdown(verdicts: Iterable[Verdict]) -> str:
    """The report for people: what needs them first."""
    order = [Fate.FAILED, Fate.NOT_YET, Fate.EXPIRED, Fate.SWEPT, Fate.RELEASED, Fate.WANTED, Fate.LEFT_ALONE]
    rows = sorted(verdicts, key=lambda each: (order.index(each.fate), each.stack))
    failed = sum(each.fate is Fate.FAILED for each in rows)
    head = f"{failed} of them could not be taken down" if failed else "nothing failed"
    lines = [f"### Sweep of test stacks: {head}", ""]
    if not rows:
        return "\n".join([*lines, "There is no stack.", ""])
    lines += ["| stack | | why |", "| --- | --- | --- |"]
    return "\n".join([*lines, *(f"| {each.stack} | {each.fate} | {_cell(each.reason)} |" for each in rows), ""])


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"
