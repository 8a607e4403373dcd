"""Compare what the program asks for with what the last run left, in the provider's judgement.

Owns validation and difference; what follows from a difference is decided in `deployment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sandbox.engine import paths, registry
from sandbox.engine.errors import DeploymentError
from sandbox.engine.goal import Goal
from sandbox.engine.registry import Registry
from sandbox.engine.state import Resource
from sandbox.engine.steps import Sink
from sandbox.engine.values import mark_secrets, unwrap
from sandbox.providers.base import DiffKind, DiffResult, ResourceState
from sandbox.values import UNKNOWN, Properties

_TO_REPLACE = {
    DiffKind.ADD: DiffKind.ADD_REPLACE,
    DiffKind.DELETE: DiffKind.DELETE_REPLACE,
    DiffKind.UPDATE: DiffKind.UPDATE_REPLACE,
}


@dataclass(frozen=True)
class Comparison:
    """Asks the providers of a run. Methods raise ProviderError."""

    providers: Registry
    sink: Sink

    def check(self, goal: Goal, new: Resource, old: Resource | None) -> None:
        """Let the provider validate the inputs and fill in defaults. Raises DeploymentError naming each fault."""
        if goal.is_provider:
            new.inputs = registry.checked_inputs(goal)
            return
        if not goal.custom:
            return
        former = unwrap(old.inputs) if old else None
        result = self.providers.get(new.provider).check(new.type, new.name, former, unwrap(new.inputs))
        if result.failures:
            faults = "\n".join(
                f"    {new.type} resource '{new.name}'"
                + (f": property {item.property}" if item.property else "")
                + f": {item.reason}"
                for item in result.failures
            )
            self.sink.diagnostic("error", new.urn, faults.strip())
            raise DeploymentError(f"resource {new.urn} is invalid")
        new.inputs = mark_secrets(result.inputs, new.inputs)

    def diff(self, goal: Goal, old: Resource, new: Resource, renamed: Mapping[str, str]) -> DiffResult:
        """How `new`, with checked inputs, differs from `old`. `renamed` maps a URN to the alias it was found under."""
        if goal.is_provider:
            return DiffResult(
                registry.changed(old.inputs, new.inputs), registry.changed_identity(old.inputs, new.inputs)
            )
        if self._provider_moved(old, new, renamed):
            return DiffResult(replaces=["provider"])
        if not goal.custom:
            keys = sorted({*old.inputs, *new.inputs})
            return DiffResult([key for key in keys if unwrap(old.inputs.get(key)) != unwrap(new.inputs.get(key))])
        return self._provider_diff(new.provider, old, unwrap(new.inputs), new)

    def _provider_moved(self, old: Resource, new: Resource, renamed: Mapping[str, str]) -> bool:
        if not old.provider or not new.provider:
            return old.provider != new.provider
        former = renamed.get(new.provider.rpartition("::")[0])
        return former != old.provider.rpartition("::")[0] and self.providers.moved(old.provider, new.provider)

    def _provider_diff(self, provider: str, old: Resource, inputs: Properties, options: Resource) -> DiffResult:
        state = ResourceState(old.id, unwrap(old.inputs), unwrap(old.outputs))
        diff = self.providers.get(provider).diff(old.type, state, inputs, options.ignore_changes)
        forced = [paths.parse(item) for item in options.replace_on_changes]
        if not forced:
            return diff

        def replaces(text: str) -> bool:
            return any(paths.contains(path, paths.parse(text)) for path in forced)

        detailed = {
            path: (_TO_REPLACE.get(kind, kind) if replaces(path) else kind, from_inputs)
            for path, (kind, from_inputs) in diff.detailed.items()
        }
        keys = [key for key in diff.changed if replaces(key)]
        return replace(diff, detailed=detailed, replaces=list(dict.fromkeys([*diff.replaces, *keys])))

    def falls_with(self, candidate: Resource, replaced: set[str]) -> bool:
        """Whether a resource of the last run must be replaced once those in `replaced` (URNs) are.

        It must if a property that depends on one of them cannot change in place.
        """
        if not candidate.custom or candidate.external or candidate.is_provider or candidate.pending_replacement:
            return False
        if candidate.provider.rpartition("::")[0] in replaced:
            return True
        inputs = dict(unwrap(candidate.inputs))
        touched = [
            key for key, deps in candidate.property_dependencies.items() if key in inputs and replaced & set(deps)
        ]
        if not touched:
            return False
        inputs.update(dict.fromkeys(touched, UNKNOWN))
        return bool(self._provider_diff(candidate.provider, candidate, inputs, candidate).is_replacement)
