"""The contract between an engine and a stand-in provider, in Python's terms.

The same classes are called in-process by the embedded engine and served over gRPC to a real CLI
(`sandbox.providers.server`). It mirrors `pulumirpc.ResourceProvider`: check, diff, create, read, update, delete,
invoke. Values are those of `sandbox.values`; property names are Pulumi's camelCase.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol

from sandbox.values import Properties

IDENTITY: Final = frozenset({"region", "project"})
"""Properties of a provider whose change means that it looks at other resources than before."""


class ProviderError(Exception):
    """The provider, or the cloud behind it, refused. `partial` is the state if the resource exists all the same.

    `uncertain`: nobody knows whether the operation took place, since no answer came, or one to a repeated request.
    """

    def __init__(self, message: str, *, partial: ResourceState | None = None, uncertain: bool = False) -> None:
        super().__init__(message)
        self.partial = partial
        self.uncertain = uncertain


@dataclass(frozen=True)
class ResourceState:
    """A resource as the cloud has it: its id, inputs that would make it, outputs.

    `made` is when the cloud says it was made (UTC, whole seconds), where `find` can tell.
    """

    id: str
    inputs: Properties
    outputs: Properties
    made: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True)
class CheckFailure:
    """A property that cannot be used, and why (empty property: the resource as a whole)."""

    property: str
    reason: str


@dataclass(frozen=True)
class CheckResult:
    """Inputs with the provider's defaults, or failures."""

    inputs: Properties
    failures: Sequence[CheckFailure] = ()


class DiffKind(StrEnum):
    """As `pulumirpc.PropertyDiff.Kind`, in the spelling of `preview --json`."""

    ADD = "add"
    ADD_REPLACE = "add-replace"
    DELETE = "delete"
    DELETE_REPLACE = "delete-replace"
    UPDATE = "update"
    UPDATE_REPLACE = "update-replace"


@dataclass(frozen=True)
class DiffResult:
    """Top-level properties that differ, those that force a replacement, and the paths in detail.

    `detailed` maps a property path (`rules[0].id`) to its kind and whether the inputs (True) or the state differ.
    """

    changed: Sequence[str] = ()
    replaces: Sequence[str] = ()
    delete_before_replace: bool = False
    detailed: Mapping[str, tuple[DiffKind, bool]] = field(default_factory=dict)

    @property
    def is_replacement(self) -> bool:
        """Whether it cannot be changed in place: for a property as a whole, or for one inside it."""
        return bool(self.replaces) or any(kind.endswith("-replace") for kind, _ in self.detailed.values())

    @property
    def forcing(self) -> list[str]:
        """What forces a replacement: properties, or where none does as a whole the paths inside."""
        return list(self.replaces) or [path for path, (kind, _) in self.detailed.items() if kind.endswith("-replace")]


class Provider(Protocol):
    """A resource provider. Methods raise ProviderError; `type_` is a resource type such as `aws:s3/bucket:Bucket`."""

    package: str
    version: str

    def configure(self, config: Mapping[str, str]) -> None:
        """Take the provider's configuration (for aws: `region`, …); refuse an endpoint off the loopback interface."""

    def check(self, type_: str, name: str, old: Properties | None, new: Properties) -> CheckResult:
        """Validate inputs and fill defaults. `name` is the last part of the URN. `new` may hold UNKNOWN."""

    def diff(self, type_: str, state: ResourceState, new: Properties, ignore_changes: Sequence[str]) -> DiffResult:
        """Compare the last inputs and outputs with new checked inputs (may hold UNKNOWN)."""

    def create(self, type_: str, inputs: Properties, *, preview: bool) -> ResourceState:
        """Create, or with `preview` give the state as far as it is known (id '' and UNKNOWN where it is not)."""

    def read(self, type_: str, id_: str, inputs: Properties | None, outputs: Properties | None) -> ResourceState | None:
        """The state that the cloud has now, or None if there is no such resource. Old values are None on import."""

    def update(self, type_: str, state: ResourceState, new: Properties, *, preview: bool) -> ResourceState:
        """Change in place."""

    def delete(self, type_: str, state: ResourceState) -> None:
        """Delete; a resource that is already gone is no error."""

    def invoke(self, token: str, args: Properties) -> Properties:
        """Call a function such as `aws:index/getCallerIdentity:getCallerIdentity`."""

    def secret_outputs(self, type_: str) -> Sequence[str]:
        """Names of outputs that the official provider marks secret."""

    def find(self, type_: str, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """The resource that an interrupted create may have left, or None.

        `known_ids` are the ids that any state knows. What is there and of no use (an access key, whose secret is given
        once) is deleted, and None given: the create can be done again.
        """
