"""What rules speak of: a planned resource, the facts of its stack, a rule, a finding.

Owns these forms and how a property is read. A value that is not known before the deployment, or that is a secret, is
neither right nor wrong: to read it raises `NotKnownError`, so that no rule passes or fires by accident.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from typing import Any, Final, Self

from recordings.waivers import Waiver

Properties = Mapping[str, Any]


class Mark(Enum):
    """What stands in place of a value that a preview does not show."""

    UNKNOWN = "known after the deployment"
    SECRET = "[secret]"  # noqa: S105


class NotKnownError(Exception):
    """A rule needs a property that the preview does not show; the text is its path."""


class Severity(StrEnum):
    """What a finding does: mandatory ones stop `up`, advisory ones are reported."""

    MANDATORY = "mandatory"
    ADVISORY = "advisory"


class Operation(StrEnum):
    """What the plan does to a resource, in the words of `pulumi preview --json`."""

    SAME = "same"
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    REPLACE = "replace"
    IMPORT = "import"
    OTHER = "other"
    """Read, refreshed or discarded: nothing of ours comes, changes or goes."""


REMAINING: Final = frozenset({Operation.SAME, Operation.CREATE, Operation.UPDATE, Operation.REPLACE, Operation.IMPORT})


@dataclass(frozen=True)
class Planned:
    """One resource of a plan. `kind` is its type in short, `aws:s3:Bucket` or `gcp:storage:Bucket`.

    `outputs` are those after the deployment as far as the preview shows them (None: it does not), `old_outputs` those
    before. `sources` are the URNs that each input came from. `created` (UTC) is None for what does not exist yet.
    """

    urn: str
    kind: str
    name: str
    operation: Operation
    inputs: Properties = field(default_factory=dict, repr=False)
    old_inputs: Properties | None = field(default=None, repr=False)
    outputs: Properties | None = field(default=None, repr=False)
    old_outputs: Properties | None = field(default=None, repr=False)
    parent: str = ""
    protect: bool = False
    old_protect: bool = False
    kept_on_delete: bool = False
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict, repr=False)
    created: datetime | None = None

    @property
    def remains(self) -> bool:
        """Whether there is such a resource after the deployment."""
        return self.operation in REMAINING

    @property
    def lost(self) -> bool:
        """Whether what there was is gone after the deployment, even where a successor takes its place."""
        return self.operation is Operation.REPLACE or (self.operation is Operation.DELETE and not self.kept_on_delete)


@dataclass(frozen=True)
class Facts:
    """What rules may know of the stack beside the one resource.

    `path_prefix` and `bucket_name` are None where the plan does not say. `protected` stacks lose nothing that holds
    or opens recordings; `kept` ones (production, staging, protected) are never thrown away as a whole. `complete`:
    the plan shows unchanged resources as well.
    """

    stack: str
    environment: str
    now: datetime
    production: bool = False
    protected: bool = False
    kept: bool = False
    bucket_name: str | None = None
    path_prefix: str | None = None
    former_buckets: frozenset[str] = frozenset()
    waivers: Sequence[Waiver] = ()
    complete: bool = False
    resources: Sequence[Planned] = field(default=(), repr=False)

    def planned(self, urn: str) -> Planned | None:
        """The resource of this URN, if the plan shows it."""
        return next((item for item in self.resources if item.urn == urn), None)


Check = Callable[[Planned, Facts], Iterator[str]]
"""Gives a sentence for each fault of one resource; pure. Raises NotKnownError where the preview does not tell."""


def everywhere(facts: Facts) -> bool:
    """Every stack."""
    return True


@dataclass(frozen=True)
class Rule:
    """One guard. `checks` are by kind of resource; `guards` names the resource without which a bucket lacks it.

    `applies` chooses the stacks (`policy.scopes`). `standards` are the controls it stands for: CIS AWS 7.0 and GCP
    5.0, AWS Foundational Security Best Practices (S3.n), Checkov (CKV_…).
    """

    id: str
    severity: Severity
    reason: str
    remedy: str
    checks: Mapping[str, Check]
    guards: Mapping[str, str] = field(default_factory=dict)
    applies: Callable[[Facts], bool] = everywhere
    standards: str = ""
    needs_old: bool = False
    """Whether it compares with what there was, which CrossGuard does not give."""
    on_loss: bool = False
    """Whether it looks at what goes; the others look at what will be."""


@dataclass(frozen=True)
class Finding:
    """A rule that one resource breaks, or, `decided` False, that cannot be judged before the deployment."""

    rule: Rule
    urn: str
    name: str
    message: str
    decided: bool = True
    waiver: Waiver | None = None

    @property
    def stops(self) -> bool:
        """Whether it stops `up`."""
        return self.decided and self.waiver is None and self.rule.severity is Severity.MANDATORY

    def under(self, waiver: Waiver | None) -> Self:
        """The same finding under a waiver."""
        return type(self)(self.rule, self.urn, self.name, self.message, self.decided, waiver)


def peek(value: Any, *path: str | int) -> Any:
    """What lies at `path`, None if nothing does; a mark where it, or something on the way to it, is not shown."""
    for step in path:
        if isinstance(value, Mark):
            return value
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, Sequence) and not isinstance(value, str) and isinstance(step, int):
            value = value[step] if step < len(value) else None
        else:
            return None
    return value


def at(value: Any, *path: str | int) -> Any:
    """What lies at `path`, None if nothing does. Raises NotKnownError where it is not shown."""
    found = peek(value, *path)
    if isinstance(found, Mark):
        raise NotKnownError(".".join(map(str, path)))
    return found


def items(value: Any, *path: str | int) -> list[Any]:
    """The list at `path`; a single value counts as a list of one, nothing as an empty one. Raises NotKnownError."""
    found = at(value, *path)
    if found is None:
        return []
    return list(found) if isinstance(found, Sequence) and not isinstance(found, str) else [found]


def offending(values: Sequence[Any], path: str, offends: Callable[[Any], object]) -> list[Any]:
    """Those of `values` that offend. Raises NotKnownError if none does and some are not shown."""
    found = [value for value in values if not isinstance(value, Mark) and offends(value)]
    if not found and any(isinstance(value, Mark) for value in values):
        raise NotKnownError(path)
    return found
