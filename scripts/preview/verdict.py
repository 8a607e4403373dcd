"""Whether a preview is safe, needs a look, or is dangerous, and by which flags.

Owns the judgement alone: what happens is in `changes`, which rules are broken in `policy`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from policy.evaluation import evaluate
from policy.model import Finding, Severity
from policy.plans import gather, is_ours
from recordings.errors import UsageError
from scripts.preview.changes import Resource, resources
from scripts.preview.document import Document
from scripts.preview.secrecy import Veil


class Verdict(StrEnum):
    """What whoever approves should do."""

    SAFE = "safe"
    LOOK = "needs a look"
    DANGEROUS = "dangerous"


class Flag(StrEnum):
    """What `--fail-on` may name."""

    DANGEROUS = "dangerous"
    LOOK = "look"
    REPLACE = "replace"
    DELETE = "delete"
    PUBLIC = "public"
    SECRET = "secret"  # noqa: S105
    MANDATORY = "mandatory"
    ADVISORY = "advisory"
    ERROR = "error"
    CHANGE = "change"


FLAGS: Final = {
    Flag.DANGEROUS: "the verdict is dangerous",
    Flag.LOOK: "the verdict is needs a look, or dangerous",
    Flag.REPLACE: "a resource is replaced",
    Flag.DELETE: "a resource is deleted",
    Flag.PUBLIC: "a rule against public access is broken",
    Flag.SECRET: "a secret is not marked as one",
    Flag.MANDATORY: "a mandatory rule is broken",
    Flag.ADVISORY: "an advisory rule is broken, or a rule cannot be judged yet",
    Flag.ERROR: "the preview did not come to its end",
    Flag.CHANGE: "anything changes at all",
}
"""Each flag and when it is up."""
_PUBLIC: Final = frozenset({"public-access-block", "public-principal", "acl"})
_HOLDING: Final = frozenset(
    {
        "aws:s3:Bucket",
        "aws:iam:User",
        "aws:iam:AccessKey",
        "gcp:storage:Bucket",
        "gcp:serviceaccount:Account",
        "gcp:storage:HmacKey",
    }
)
"""What holds recordings or opens them: its loss cannot be undone by the next deployment."""
_HARMLESS: Final = frozenset({"tags", "tagsAll", "labels", "displayName", "description"})


@dataclass(frozen=True)
class Judgement:
    """A preview as it is reported; nothing in it is secret."""

    stack: str
    verdict: Verdict
    reasons: Sequence[str]
    flags: frozenset[Flag]
    resources: Sequence[Resource]
    findings: Sequence[Finding]
    errors: Sequence[str]
    unchanged: int
    ruled: bool
    """Whether the guard rules speak of this stack: it has recordings in it."""


def judge(document: Document, now: datetime) -> Judgement:
    """Judge a preview. Raises UsageError for one that is nested too deeply to be read."""
    try:
        return _judge(document, now)
    except RecursionError:
        raise UsageError("the preview is nested too deeply to be read") from None


def _judge(document: Document, now: datetime) -> Judgement:
    veil = Veil.over(document)
    facts = gather(document.steps, document.config, now)
    ruled = is_ours(facts.resources)
    findings = [_veiled(finding, veil) for finding in evaluate(facts)] if ruled else []
    found = resources(document, veil)
    errors = [veil.text(text) for text in document.errors]
    dangers, looks = list(_dangers(found, findings)), list(_looks(found, findings, errors))
    verdict = Verdict.DANGEROUS if dangers else Verdict.LOOK if looks else Verdict.SAFE
    flags = frozenset(_flags(verdict, found, findings, errors))
    stack = veil.text(facts.stack)
    return Judgement(stack, verdict, [*dangers, *looks], flags, found, findings, errors, document.unchanged, ruled)


def _veiled(finding: Finding, veil: Veil) -> Finding:
    """The finding with secrets masked in what it quotes."""
    waiver = finding.waiver and replace(finding.waiver, reason=veil.text(finding.waiver.reason))
    urn, name, message = map(veil.text, (finding.urn, finding.name, finding.message))
    return replace(finding, urn=urn, name=name, message=message, waiver=waiver)


def _dangers(found: Sequence[Resource], findings: Sequence[Finding]) -> Iterator[str]:
    stopping = [finding for finding in findings if finding.stops]
    if stopping:
        yield f"{_counted(len(stopping), 'finding')} of mandatory rules"
    for operation, done in (("replace", "replaced"), ("delete", "deleted")):
        held = [item for item in found if item.operation == operation and item.kind in _HOLDING]
        if held:
            yield f"{_counted(len(held), 'bucket, user or key', 'buckets, users or keys')} {done}"


def _looks(found: Sequence[Resource], findings: Sequence[Finding], errors: Sequence[str]) -> Iterator[str]:
    if errors:
        yield "the preview did not come to its end"
    open_ = [finding for finding in findings if not finding.stops]
    if open_:
        yield f"{_counted(len(open_), 'finding')} that {'stops' if len(open_) == 1 else 'stop'} nothing"
    for operation, done in (("replace", "replaced"), ("delete", "deleted")):
        other = [item for item in found if item.operation == operation and item.kind not in _HOLDING]
        if other:
            yield f"{_counted(len(other), 'other resource')} {done}"
    changed = [item for item in found if item.operation in ("update", "import") and not item.paths <= _HARMLESS]
    if changed:
        yield f"{_counted(len(changed), 'resource')} changed in more than labels"


def _counted(number: int, one: str, many: str = "") -> str:
    return f"1 {one}" if number == 1 else f"{number} {many or one + 's'}"


def _flags(
    verdict: Verdict, found: Sequence[Resource], findings: Sequence[Finding], errors: Sequence[str]
) -> Iterator[Flag]:
    operations = {item.operation for item in found}
    broken = {finding.rule.id for finding in findings if finding.decided and finding.waiver is None}
    mandatory = any(finding.stops for finding in findings)
    severities = {finding.rule.severity for finding in findings if finding.waiver is None and not finding.stops}
    raised = {
        Flag.DANGEROUS: verdict is Verdict.DANGEROUS,
        Flag.LOOK: verdict is not Verdict.SAFE,
        Flag.REPLACE: "replace" in operations,
        Flag.DELETE: "delete" in operations,
        Flag.PUBLIC: bool(broken & _PUBLIC),
        Flag.SECRET: "secret-in-clear" in broken,
        Flag.MANDATORY: mandatory,
        Flag.ADVISORY: Severity.ADVISORY in severities or Severity.MANDATORY in severities,
        Flag.ERROR: bool(errors),
        Flag.CHANGE: bool(operations),
    }
    yield from (flag for flag, is_up in raised.items() if is_up)


def flags_named(text: str) -> list[Flag]:
    """Read `--fail-on`: flags with commas between them. Raises UsageError that names the legal ones."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in set(Flag)]
    if unknown or not names:
        legal = ", ".join(flag.value for flag in Flag)
        raise UsageError(f"--fail-on {text!r}: {', '.join(unknown) or 'nothing'} is no flag; legal: {legal}")
    return [Flag(name) for name in names]
