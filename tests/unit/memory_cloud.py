"""A cloud in memory and its provider, for tests of the engine that need neither sockets nor a sandbox."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sandbox.providers.base import CheckFailure, CheckResult, DiffResult, ProviderError, ResourceState
from sandbox.values import UNKNOWN, Properties

_NAMED = {"aws:s3/bucket:Bucket": "bucket", "aws:iam/user:User": "name"}
_FORCES_NEW = {"bucket", "name", "user"}
_KEY = "aws:iam/accessKey:AccessKey"
_POLICY = "aws:iam/userPolicy:UserPolicy"


@dataclass
class Cloud:
    """What exists, by type and id; `calls` lists every call that changes something, `fail` may raise in one.

    `made` says since when something exists, where a test cares.
    """

    things: dict[tuple[str, str], Properties] = field(default_factory=dict)
    made: dict[tuple[str, str], datetime] = field(default_factory=dict)
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    fail: Callable[[str, str, str], None] = lambda _verb, _type, _id: None
    delete_before_replace: bool = False
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def ids(self, type_: str) -> list[str]:
        """The ids of everything of a type."""
        return sorted(id_ for kind, id_ in self.things if kind == type_)

    def changing(self) -> None:
        """Something is about to change."""

    def changed(self) -> None:
        """Something has changed."""


@dataclass
class MemoryProvider:
    """A provider of package aws over a Cloud."""

    cloud: Cloud
    package: str = "aws"
    version: str = "7.51.1"
    settings: Mapping[str, str] = field(default_factory=dict)

    def configure(self, config: Mapping[str, str]) -> None:
        self.settings = dict(config)

    def check(self, type_: str, name: str, old: Properties | None, new: Properties) -> CheckResult:
        failures = [CheckFailure("forbidden", "is not allowed")] if "forbidden" in (new.get("tags") or {}) else []
        return CheckResult(dict(new), failures)

    def diff(self, type_: str, state: ResourceState, new: Properties, ignore_changes: Sequence[str]) -> DiffResult:
        keys = {*state.inputs, *new} - set(ignore_changes)
        changed = sorted(key for key in keys if state.inputs.get(key) != new.get(key))
        replaces = [key for key in changed if key in _FORCES_NEW]
        return DiffResult(changed, replaces, self.cloud.delete_before_replace)

    def create(self, type_: str, inputs: Properties, *, preview: bool) -> ResourceState:
        outputs = dict(inputs)
        if preview:
            return ResourceState("", inputs, outputs)
        id_ = self._id(type_, inputs)
        self._change("create", type_, id_)
        if (type_, id_) in self.cloud.things:
            raise ProviderError(f"{id_} exists already")
        self.cloud.things[type_, id_] = dict(inputs)
        self.cloud.changed()
        return ResourceState(id_, inputs, self._outputs(type_, id_, inputs))

    def read(self, type_: str, id_: str, inputs: Properties | None, outputs: Properties | None) -> ResourceState | None:
        there = self.cloud.things.get((type_, id_))
        return None if there is None else ResourceState(id_, dict(there), self._outputs(type_, id_, there))

    def update(self, type_: str, state: ResourceState, new: Properties, *, preview: bool) -> ResourceState:
        if preview:
            return ResourceState(state.id, new, {**state.outputs, **new})
        self._change("update", type_, state.id)
        self.cloud.things[type_, state.id] = dict(new)
        self.cloud.changed()
        return ResourceState(state.id, new, self._outputs(type_, state.id, new))

    def delete(self, type_: str, state: ResourceState) -> None:
        self._change("delete", type_, state.id)
        self.cloud.things.pop((type_, state.id), None)
        self.cloud.changed()

    def invoke(self, token: str, args: Properties) -> Properties:
        return {"token": token, "args": args, "region": self.settings.get("region", "")}

    def find(self, type_: str, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        if type_ != _KEY:
            id_ = self._id(type_, inputs)
            found = None if id_ in known_ids else self.read(type_, id_, None, None)
            return found and replace(found, made=self.cloud.made.get((type_, id_)))
        for lost in [id_ for id_ in self.cloud.ids(_KEY) if id_ not in known_ids]:
            del self.cloud.things[_KEY, lost]
            self.cloud.changed()
        return None

    def secret_outputs(self, type_: str) -> Sequence[str]:
        return ["secret"] if type_ == _KEY else []

    def _change(self, verb: str, type_: str, id_: str) -> None:
        self.cloud.fail(verb, type_, id_)
        self.cloud.changing()
        self.cloud.calls.append((verb, type_, id_))

    def _id(self, type_: str, inputs: Properties) -> str:
        assert UNKNOWN not in inputs.values()
        if type_ == _KEY:
            return f"AKIA{next(self.cloud.numbers):016d}"
        if type_ == _POLICY:
            return f"{inputs['user']}:{inputs.get('name', 'recordings-writer')}"
        return str(inputs[_NAMED[type_]])

    def _outputs(self, type_: str, id_: str, inputs: Properties) -> Properties:
        extra: dict[str, Properties] = {
            "aws:s3/bucket:Bucket": {"arn": f"arn:aws:s3:::{id_}"},
            _KEY: {"secret": f"secret-of-{id_}"},
            _POLICY: {"name": inputs.get("name", "recordings-writer")},
        }
        return {**inputs, **extra.get(type_, {})}
