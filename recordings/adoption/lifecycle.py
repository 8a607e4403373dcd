"""What an existing lifecycle configuration does, and whether the stack's does the same.

The stack's own rules, in `components.lifecycle`, replace all that are there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recordings.adoption.findings import Proposal
from recordings.adoption.stack_file import StackFile

if TYPE_CHECKING:
    from recordings.adoption.survey import BucketFacts, Document

_ALWAYS = frozenset({"abort", "markers", "old"})
"""What the stack does over the whole bucket in any case; after how many days is told apart."""


@dataclass(frozen=True)
class Effect:
    """One thing that a rule does after `days`, under `prefix` (None: only to objects that a filter picks)."""

    kind: str
    prefix: str | None
    days: int | None
    detail: str = ""

    def __str__(self) -> str:
        what = {
            "expire": "deletes recordings and other objects",
            "old": "deletes old versions",
            "markers": "removes delete markers",
            "abort": "ends unfinished uploads",
            "move": f"moves objects to {self.detail}",
        }.get(self.kind, self.detail)
        when = f" after {self.days} days" if self.days is not None else ""
        where = "objects that a filter picks" if self.prefix is None else f"prefix {self.prefix!r}"
        return f"{what}{when} ({where})"


def judge_lifecycle(proposal: Proposal, facts: BucketFacts, file: StackFile, prefix: str) -> None:
    """Find rules of S3 that go, and what the stack's rules would delete that was kept until now."""
    rules = []
    for number, rule in enumerate(facts.lifecycle, start=1):
        name = str(rule.get("ID") or number)
        if rule.get("Status") != "Enabled":
            proposal.notes.append(f"lifecycle rule {name!r} is disabled, and goes")
            continue
        rules.append((name, list(_effects(rule))))
    judge_rules(proposal, rules, file, prefix, versioned=bool(facts.versioning))


def judge_rules(
    proposal: Proposal, rules: Sequence[tuple[str, Sequence[Effect]]], file: StackFile, prefix: str, *, versioned: bool
) -> None:
    """The same for any provider: rules by name, and whether the bucket may hold old versions."""
    wanted = _Wanted(prefix, _days(file, "retentionDays"), _days(file, "oldVersionDays"), _moves(file))
    for name, effects in rules:
        if lost := [effect for effect in effects if not wanted.covers(effect)]:
            text = f"lifecycle rule {name!r} goes: it {'; '.join(map(str, lost))}"
            proposal.find(f"lifecycle:{name}", text + wanted.hint(lost))
    _judge_deletions(proposal, wanted, [effect for _, effects in rules for effect in effects], versioned=versioned)


@dataclass(frozen=True)
class _Wanted:
    prefix: str
    retention: int
    old_versions: int
    moves: Sequence[tuple[str, int | None]]

    def covers(self, effect: Effect) -> bool:
        if effect.kind in _ALWAYS and effect.prefix == "":
            return True
        if effect.kind == "move" and effect.prefix == self.prefix:
            return (effect.detail, effect.days) in self.moves
        return effect == Effect("expire", self.prefix, self.retention or None)

    def hint(self, lost: Sequence[Effect]) -> str:
        days = [effect.days for effect in lost if effect.kind == "expire" and effect.prefix == self.prefix]
        return f"; recordings:retentionDays: {days[0]} keeps that" if days and self.prefix else ""


def _judge_deletions(proposal: Proposal, wanted: _Wanted, there: Sequence[Effect], *, versioned: bool) -> None:
    if wanted.retention and not any(
        effect.kind == "expire"
        and effect.prefix is not None
        and wanted.prefix.startswith(effect.prefix)
        and (effect.days or wanted.retention + 1) <= wanted.retention
        for effect in there
    ):
        proposal.find(
            "retentionDays",
            f"recordings:retentionDays is {wanted.retention}: recordings under {wanted.prefix!r} that are older, and "
            "were kept until now, are deleted; set it to 0 to keep them",
        )
    kept = not any(e.kind == "old" and e.prefix == "" and (e.days or 0) <= wanted.old_versions for e in there)
    if versioned and kept:
        proposal.find(
            "oldVersionDays",
            f"recordings:oldVersionDays is {wanted.old_versions}: versions that were replaced or deleted longer ago, "
            "in the whole bucket, are deleted for good; give a greater number to keep them",
        )


def _effects(rule: Document) -> Iterator[Effect]:
    prefix = _prefix(rule)
    expiration: Mapping[str, Any] = rule.get("Expiration", {})
    if "Days" in expiration:
        yield Effect("expire", prefix, expiration["Days"])
    if "Date" in expiration:
        yield Effect("date", prefix, None, f"deletes objects on {expiration['Date']}")
    if expiration.get("ExpiredObjectDeleteMarker"):
        yield Effect("markers", prefix, None)
    for step in rule.get("Transitions", ()):
        yield Effect("move", prefix, step.get("Days"), str(step.get("StorageClass")))
    old: Mapping[str, Any] = rule.get("NoncurrentVersionExpiration", {})
    if "NewerNoncurrentVersions" in old:
        yield Effect("newer", prefix, old.get("NoncurrentDays"), "deletes all but the newest old versions")
    elif old:
        yield Effect("old", prefix, old.get("NoncurrentDays"))
    for step in rule.get("NoncurrentVersionTransitions", ()):
        yield Effect(
            "old-move", prefix, step.get("NoncurrentDays"), f"moves old versions to {step.get('StorageClass')}"
        )
    if abort := rule.get("AbortIncompleteMultipartUpload"):
        yield Effect("abort", prefix, abort.get("DaysAfterInitiation"))


def _prefix(rule: Document) -> str | None:
    """The one condition of a rule, if that is a prefix; an empty filter is the whole bucket."""
    condition: Mapping[str, Any] = rule.get("Filter") or {"Prefix": rule.get("Prefix", "")}
    return str(condition["Prefix"]) if set(condition) == {"Prefix"} else None


def _days(file: StackFile, name: str) -> int:
    """A number of days; what is none is refused when the settings are read, before anything is declared."""
    value = str(file.value(name) or 0)
    return int(value) if value.isdigit() else 0


def _moves(file: StackFile) -> list[tuple[str, int | None]]:
    steps = file.value("storageClasses") or []
    return [(str(step.get("class")), step.get("afterDays")) for step in steps if isinstance(step, dict)]
