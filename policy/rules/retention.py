"""How long recordings and their old versions stay: neither gone too soon nor kept beyond what was agreed.

Owns reading lifecycle rules of both providers into one form, `Step`. What the components declare there is in
`components.s3_lifecycle` and `components.gcs_lifecycle`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy import scopes
from policy.model import Facts, Mark, NotKnownError, Planned, Properties, Rule, Severity, at, items, peek

_VERIFY: Final = ".verify/"
"""What `recordings verify` writes goes after a day; no recording lies there."""
_WEEK: Final = 7 * 24 * 3600
NEVER: Final = 10**9


@dataclass(frozen=True)
class Step:
    """What happens under `prefix` after `days`: `what` is current, old (versions) or abort (of uploads)."""

    what: str
    prefix: str
    days: int


Read = Callable[[Properties], list[Step]]


def s3_steps(inputs: Properties) -> list[Step]:
    """The steps of a BucketLifecycleConfiguration. Raises NotKnownError."""
    found = []
    for rule in items(inputs, "rules"):
        if at(rule, "status") != "Enabled":
            continue
        filter_ = at(rule, "filter")
        prefix = str(at(filter_, "prefix") or at(filter_, "and", "prefix") or at(rule, "prefix") or "")
        expiration = at(rule, "expiration")
        days = {
            "current": at(expiration, "days") or (1 if at(expiration, "date") else None),
            "old": at(rule, "noncurrentVersionExpiration", "noncurrentDays"),
            "abort": at(rule, "abortIncompleteMultipartUpload", "daysAfterInitiation"),
        }
        found += [Step(what, prefix, int(number)) for what, number in days.items() if number]
    return found


def inline_steps(inputs: Properties) -> list[Step]:
    """The steps of the rules that an S3 bucket has inline, an older form of the same. Raises NotKnownError."""
    found = []
    for rule in items(inputs, "lifecycleRules"):
        if at(rule, "enabled") is not True:
            continue
        days = {
            "current": at(rule, "expiration", "days") or (1 if at(rule, "expiration", "date") else None),
            "old": at(rule, "noncurrentVersionExpiration", "days"),
        }
        prefix = str(at(rule, "prefix") or "")
        found += [Step(what, prefix, int(number)) for what, number in days.items() if number]
    return found


def gcs_steps(inputs: Properties) -> list[Step]:
    """The steps of a Google bucket's lifecycle rules. Raises NotKnownError."""
    found = []
    for rule in items(inputs, "lifecycleRules"):
        action, condition = at(rule, "action", "type"), at(rule, "condition")
        prefixes = [str(prefix) for prefix in items(condition, "matchesPrefixes")] or [""]
        state = at(condition, "withState") or "ANY"
        age = at(condition, "age")
        replaced = at(condition, "daysSinceNoncurrentTime")
        if action == "AbortIncompleteMultipartUpload":
            found += [Step("abort", prefix, int(age or 0)) for prefix in prefixes]
        if action == "Delete" and state in ("LIVE", "ANY") and not replaced:
            found += [Step("current", prefix, int(age or 0)) for prefix in prefixes]
        if action == "Delete" and state in ("ARCHIVED", "ANY"):
            found += [Step("old", prefix, int(replaced or age or 0)) for prefix in prefixes]
    return found


def _of_recordings(steps: Sequence[Step], what: str) -> list[Step]:
    return [step for step in steps if step.what == what and not step.prefix.endswith(_VERIFY)]


def _soonest(steps: Sequence[Step], what: str) -> int:
    return min((step.days for step in _of_recordings(steps, what)), default=NEVER)


def _lifecycle(read: Read) -> Callable[[Planned, Facts], Iterator[str]]:
    def check(resource: Planned, facts: Facts) -> Iterator[str]:
        whole = {step.what for step in read(resource.inputs) if not step.prefix}
        if "old" not in whole:
            yield "no rule deletes old versions: they stay, and are paid for, for ever"
        if "abort" not in whole:
            yield "no rule ends unfinished uploads: their parts stay, unseen, and are paid for"

    return check


def _removed(read: Read) -> Callable[[Planned, Facts], Iterator[str]]:
    def check(resource: Planned, facts: Facts) -> Iterator[str]:
        if resource.old_inputs is None:
            return
        old, new = read(resource.old_inputs), read(resource.inputs)
        if _of_recordings(old, "current") and not _of_recordings(new, "current"):
            yield f"recordings were deleted after {_soonest(old, 'current')} days and would now stay for ever"

    return check


def _sooner(read: Read) -> Callable[[Planned, Facts], Iterator[str]]:
    def check(resource: Planned, facts: Facts) -> Iterator[str]:
        if resource.old_inputs is None:
            return
        old, new = read(resource.old_inputs), read(resource.inputs)
        for what, name in (("current", "recordings"), ("old", "old versions")):
            before, after = _soonest(old, what), _soonest(new, what)
            if after < before:
                said = "never" if before == NEVER else f"after {before} days"
                yield f"{name} were deleted {said} and would be after {after} days, those of that age at once"

    return check


def _outside(read: Read) -> Callable[[Planned, Facts], Iterator[str]]:
    def check(resource: Planned, facts: Facts) -> Iterator[str]:
        own = facts.path_prefix or ""
        for step in read(resource.inputs):
            if step.what == "current" and (not step.prefix or not step.prefix.startswith(own)):
                yield f"objects under '{step.prefix}' are deleted after {step.days} days, and not only recordings"

    return check


def _s3_versioning(versioning: Planned, facts: Facts) -> Iterator[str]:
    found = at(versioning.inputs, "versioningConfiguration", "status")
    if found != "Enabled":
        yield f"versioning is {found or 'not set'}, not Enabled"


def _gcs_versioning(bucket: Planned, facts: Facts) -> Iterator[str]:
    if at(bucket.inputs, "versioning", "enabled") is not True:
        yield "versioning is not enabled"


def _soft_delete(bucket: Planned, facts: Facts) -> Iterator[str]:
    found: Any = peek(bucket.inputs, "softDeletePolicy", "retentionDurationSeconds")
    if isinstance(found, Mark):
        raise NotKnownError("softDeletePolicy.retentionDurationSeconds")
    if found is not None and int(found) < _WEEK:  # absent means Google's default, a week
        yield f"soft delete keeps {int(found)} seconds, not {_WEEK} or more"


_S3, _INLINE, _GCS = "aws:s3:BucketLifecycleConfiguration", "aws:s3:Bucket", "gcp:storage:Bucket"

RULES: Final = (
    Rule(
        "versioning",
        Severity.MANDATORY,
        "Without versions an overwritten or deleted recording cannot be brought back.",
        "Keep versioning enabled.",
        {"aws:s3:BucketVersioning": _s3_versioning, _GCS: _gcs_versioning},
        guards={"aws:s3:Bucket": "aws:s3:BucketVersioning"},
        standards="S3.14, CKV_AWS_21; CKV_GCP_78",
    ),
    Rule(
        "soft-delete",
        Severity.MANDATORY,
        "Soft delete is the last net below versions, and the only one that a deleted version falls into.",
        "Keep softDeletePolicy at 604800 seconds or more.",
        {_GCS: _soft_delete},
    ),
    Rule(
        "lifecycle",
        Severity.MANDATORY,
        "What nobody sees (old versions, parts of unfinished uploads) must go by itself.",
        "Keep the rules for old versions and unfinished uploads over the whole bucket.",
        {_S3: _lifecycle(s3_steps), _GCS: _lifecycle(gcs_steps)},
        guards={"aws:s3:Bucket": _S3},
        standards="S3.10/13, CKV_AWS_300, CKV2_AWS_61",
    ),
    Rule(
        "retention-removed",
        Severity.MANDATORY,
        "A retention is a promise to those who were recorded.",
        "Keep recordings:retentionDays, or waive the rule with the reason for which the promise changed.",
        {_S3: _removed(s3_steps), _INLINE: _removed(inline_steps), _GCS: _removed(gcs_steps)},
        needs_old=True,
    ),
    Rule(
        "expires-sooner",
        Severity.MANDATORY,
        "What is older than the new age is deleted within a day of the deployment.",
        "Keep the age, or waive the rule until a day after the deployment, with the reason.",
        {_S3: _sooner(s3_steps), _INLINE: _sooner(inline_steps), _GCS: _sooner(gcs_steps)},
        applies=scopes.kept,
        needs_old=True,
    ),
    Rule(
        "expiry-outside-prefix",
        Severity.MANDATORY,
        "It would delete what is no recording: what the operator keeps under .recordings/, or another team's objects.",
        "Bind the rule to recordings:pathPrefix.",
        {_S3: _outside(s3_steps), _INLINE: _outside(inline_steps), _GCS: _outside(gcs_steps)},
    ),
)
