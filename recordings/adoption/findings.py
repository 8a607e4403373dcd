"""What taking over would cost: the form of a finding.

A finding that can be accepted is a loss or a change that somebody may want; one that can't says what to do first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from recordings.adoption.parts import Part
from recordings.errors import UsageError

OWN_TAGS: Final = ("recordings:", "aws:")
"""Tags that the stack writes itself, and AWS's, which nobody else can write, begin so."""


@dataclass(frozen=True)
class Finding:
    """`name` is what --accept takes; `text` says what is there, what becomes of it, and the way out."""

    name: str
    text: str
    acceptable: bool = True


@dataclass
class Proposal:
    """What to write under which full configuration key, what is taken over, and what that means."""

    values: dict[str, Any] = field(default_factory=dict)
    parts: list[Part] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def find(self, name: str, text: str, *, acceptable: bool = True) -> None:
        """Add a finding."""
        self.findings.append(Finding(name, text, acceptable))

    def set(self, name: str, value: Any) -> None:
        """Add a key of the namespace `recordings`."""
        self.values[f"recordings:{name}"] = value

    def open(self, accepted: Sequence[str]) -> list[Finding]:
        """What stands in the way, less what is accepted. Raises UsageError for a name that nothing has."""
        names = {finding.name for finding in self.findings if finding.acceptable}
        if unknown := sorted({*accepted} - names):
            legal = ", ".join(sorted(names)) or "nothing, as nothing is to be accepted"
            raise UsageError(f"--accept {', '.join(unknown)}: nothing of that name is found here; legal: {legal}")
        return [each for each in self.findings if each.name not in accepted]


def foreign_tags(tags: Mapping[str, str], own: tuple[str, ...] = OWN_TAGS) -> dict[str, str]:
    """The tags that the stack must be told of, or it would take them away."""
    return {key: value for key, value in tags.items() if not key.casefold().startswith(own)}


def check_owner(proposal: Proposal, what: str, tags: Mapping[str, str], stack: str) -> None:
    """Find that another tool, or another stack, looks after it already: two that do undo each other's work."""
    if (other := tags.get("aws:cloudformation:stack-name")) is not None:
        proposal.find(
            f"cloudformation:{other}", f"{what} belongs to the CloudFormation stack {other!r}: retain it there first"
        )
    check_stack(proposal, what, tags.get("recordings:stack", stack), stack)


def check_stack(proposal: Proposal, what: str, owner: str, stack: str) -> None:
    """Find that another stack of this project looks after it."""
    if owner != stack:
        proposal.find(
            f"stack:{owner}", f"{what} belongs to the stack {owner!r} of this project: take it out there first"
        )


def merge_tags(
    proposal: Proposal,
    configured: Mapping[str, str] | None,
    found: Iterable[tuple[str, Mapping[str, str]]],
    own: tuple[str, ...] = OWN_TAGS,
) -> None:
    """Keep the tags of everything taken over; one set serves all, so a second value for a key is a finding."""
    merged: dict[str, str] = dict(configured or {})
    for what, tags in found:
        for key, value in foreign_tags(tags, own).items():
            if merged.setdefault(key, value) != value:
                proposal.find(f"tag:{key}", f"the tag {key!r} of {what} is {value!r} and becomes {merged[key]!r}")
    if merged != (configured or {}):
        proposal.set("tags", merged)
