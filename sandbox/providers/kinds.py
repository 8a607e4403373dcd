"""A provider as a table of resource kinds: what every stand-in has in common, of whichever cloud.

Owns dispatch by type, the check against the SDK's classes, automatic names, the comparison of inputs and what is
known in a preview. A `Kind` owns one resource type: its rules, and its four calls to the cloud.
"""

from __future__ import annotations

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from sandbox.providers.base import (
    CheckFailure,
    CheckResult,
    DiffKind,
    DiffResult,
    ProviderError,
    ResourceState,
)
from sandbox.providers.compare import Rules, differences, same
from sandbox.providers.schema import check_properties, load_args
from sandbox.values import UNKNOWN, Properties

DEFAULTED = "__defaults"
"""The input in which a provider notes which names it made up, as the official providers do."""


@dataclass(frozen=True)
class AutoName:
    """A name made of the resource's own and seven random hexadecimal digits, as the official providers make it."""

    property: str
    max_length: int
    lowercase: bool = False

    def new(self, resource: str) -> str:
        """A fresh name for the resource called `resource` in the program."""
        stem = resource.lower() if self.lowercase else resource
        return f"{stem[: self.max_length - 8]}-{secrets.token_hex(4)[:7]}"


class Kind(ABC):
    """One resource type. `create`, `read`, `update` and `delete` raise ProviderError."""

    type_: ClassVar[str]
    args: ClassVar[str]
    """Where its input class is: `package.module:Class`."""
    replace_on: ClassVar[frozenset[str]] = frozenset()
    """Inputs that cannot change in place."""
    rules: ClassVar[Rules] = Rules()
    computed: ClassVar[tuple[str, ...]] = ()
    """Outputs that the cloud alone gives."""
    secret_outputs: ClassVar[tuple[str, ...]] = ()
    unobserved: ClassVar[frozenset[str]] = frozenset()
    """Inputs that only the provider knows; reading the cloud cannot show them."""
    unsupported: ClassVar[Mapping[str, str]] = {}
    """Inputs of the official resource that this stand-in refuses, and what to do instead."""
    auto_name: ClassVar[AutoName | None] = None

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """What the official provider refuses before it asks the cloud; `inputs` fit the schema, may hold UNKNOWN."""
        return ()

    def planned(self, inputs: Properties) -> Properties:
        """Outputs that a preview knows beside the inputs; `inputs` may hold UNKNOWN."""
        return {}

    def forbidden(self, old: Properties, new: Properties) -> str | None:
        """Why the change from `old` to `new` can be made neither in place nor by replacing, or None."""
        return None

    @abstractmethod
    def create(self, inputs: Properties) -> ResourceState:
        """Create it; an error if it exists already."""

    @abstractmethod
    def read(self, id_: str, outputs: Properties | None) -> ResourceState | None:
        """What the cloud has; inputs whole, defaults included. `outputs` are the last known ones."""

    @abstractmethod
    def update(self, state: ResourceState, new: Properties) -> ResourceState:
        """Change it in place."""

    @abstractmethod
    def delete(self, state: ResourceState) -> None:
        """Delete it; already gone is no error."""

    @abstractmethod
    def find(self, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """What an interrupted create left behind; see `Provider.find`."""


Invoke = Callable[[Properties], Properties]


class TableProvider:
    """`sandbox.providers.base.Provider`, but for `configure`, over a table of kinds and invokes."""

    def __init__(self, package: str, version: str, kinds: Iterable[Kind], invokes: Mapping[str, Invoke]) -> None:
        self.package = package
        self.version = version
        self.kinds: Mapping[str, Kind] = {kind.type_: kind for kind in kinds}
        self.invokes = invokes

    def check(self, type_: str, name: str, old: Properties | None, new: Properties) -> CheckResult:
        """Validate inputs against the SDK's class and the kind's own rules; fill in an automatic name."""
        kind = self.kind(type_)
        inputs, failures = check_properties(load_args(kind.args), new)
        for unsupported, instead in kind.unsupported.items():
            if unsupported in inputs:
                failures.append(CheckFailure(unsupported, f"is not supported by the stand-in provider: {instead}"))
        if kind.auto_name:
            inputs = _named(kind.auto_name, name, old or {}, inputs)
        if not failures:
            failures.extend(kind.faults(inputs))
        return CheckResult(inputs, failures)

    def diff(self, type_: str, state: ResourceState, new: Properties, ignore_changes: Sequence[str]) -> DiffResult:
        """Compare the last inputs with new checked ones, in the meaning that the cloud gives them."""
        kind = self.kind(type_)
        found = {
            path: change
            for path, change in differences(state.inputs, new, kind.rules).items()
            if not any(_covers(ignored, path) for ignored in ignore_changes)
        }
        changed = list(dict.fromkeys(top_level(path) for path in found))
        if changed and (reason := kind.forbidden(state.inputs, new)):
            raise ProviderError(f"{type_} {state.id!r}: {reason}")
        replaces = [name for name in changed if name in kind.replace_on]
        detailed = {
            path: (_replacing(change) if top_level(path) in replaces else change, True)
            for path, change in found.items()
        }
        return DiffResult(changed, replaces, bool(replaces) and _name_is_taken(kind, state.inputs, new), detailed)

    def create(self, type_: str, inputs: Properties, *, preview: bool) -> ResourceState:
        """Create it. A preview knows the inputs and the defaults; all else, the id too, is unknown, as officially."""
        kind = self.kind(type_)
        if preview:
            unknown = dict.fromkeys(kind.computed, UNKNOWN)
            known = {**kind.rules.defaults, **public(inputs), **kind.planned(inputs)}
            return ResourceState("", inputs, {**unknown, **known})
        created = kind.create(inputs)
        return ResourceState(created.id, inputs, created.outputs)

    def read(self, type_: str, id_: str, inputs: Properties | None, outputs: Properties | None) -> ResourceState | None:
        """What the cloud has, told in the words of the old inputs where they mean the same."""
        kind = self.kind(type_)
        found = kind.read(id_, outputs)
        if found is None:
            return None
        known = outputs or {}
        settled = {
            name: known[name] if name in known and same(name, known[name], value, kind.rules) else value
            for name, value in found.outputs.items()
        }
        return ResourceState(found.id, dict(_settled(kind, inputs or {}, found.inputs)), settled)

    def update(self, type_: str, state: ResourceState, new: Properties, *, preview: bool) -> ResourceState:
        """Change it in place. A preview keeps the outputs that no changed input bears on."""
        kind = self.kind(type_)
        if preview:
            kept = {key: value for key, value in state.outputs.items() if key not in state.inputs or key in new}
            return ResourceState(state.id, new, {**kind.rules.defaults, **kept, **public(new), **kind.planned(new)})
        updated = kind.update(state, new)
        return ResourceState(updated.id, new, updated.outputs)

    def delete(self, type_: str, state: ResourceState) -> None:
        """Delete it; already gone is no error."""
        self.kind(type_).delete(state)

    def find(self, type_: str, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """The resource that an interrupted create with these inputs left, or None."""
        found = self.kind(type_).find(inputs, known_ids)
        return None if found is None else ResourceState(found.id, inputs, found.outputs, found.made)

    def invoke(self, token: str, args: Properties) -> Properties:
        """Call a function of the package."""
        if token not in self.invokes:
            raise ProviderError(f"function {token} is not supported; legal: {', '.join(sorted(self.invokes))}")
        return self.invokes[token](args)

    def secret_outputs(self, type_: str) -> Sequence[str]:
        """Names of outputs that the official provider marks secret."""
        return self.kind(type_).secret_outputs

    def kind(self, type_: str) -> Kind:
        """The kind of a type. Raises ProviderError that names the legal types."""
        if type_ not in self.kinds:
            raise ProviderError(f"resource type {type_} is not supported; legal: {', '.join(sorted(self.kinds))}")
        return self.kinds[type_]


def public(properties: Properties) -> Properties:
    """Without the provider's own notes."""
    return {key: value for key, value in properties.items() if not key.startswith("__")}


def top_level(path: str) -> str:
    """The property that a path begins with: `rules` of `rules[0].id`."""
    if path.startswith('["'):
        return str(json.JSONDecoder().raw_decode(path[1:])[0])
    return path.replace("[", ".", 1).split(".", 1)[0]


def _covers(ignored: str, path: str) -> bool:
    return path == ignored or path.startswith((f"{ignored}.", f"{ignored}["))


def _replacing(change: DiffKind) -> DiffKind:
    return DiffKind(f"{change}-replace")


def _named(auto: AutoName, resource: str, old: Properties, inputs: Properties) -> Properties:
    if auto.property in inputs:
        return inputs
    kept = old.get(auto.property) if auto.property in old.get(DEFAULTED, ()) else None
    return {**inputs, auto.property: kept or auto.new(resource), DEFAULTED: [auto.property]}


def _name_is_taken(kind: Kind, old: Properties, new: Properties) -> bool:
    """Whether the replacement would have the name that the original still holds."""
    auto = kind.auto_name
    return (
        auto is not None
        and auto.property not in new.get(DEFAULTED, ())
        and old.get(auto.property) == new.get(auto.property)
    )


def _settled(kind: Kind, old: Properties, found: Properties) -> Iterator[tuple[str, object]]:
    for key, value in old.items():
        if key.startswith("__") or key in kind.unobserved or same(key, value, found.get(key), kind.rules):
            yield key, value
        elif found.get(key) is not None:
            yield key, found[key]
    for key, value in found.items():
        if key not in old and not same(key, None, value, kind.rules):
            yield key, value
