"""Decide what a registration means: compare what the program asks for with what the last run left.

Owns the decisions, taken one at a time in the order in which registrations arrive; the steps that follow from them
(`steps`) run side by side. The order of a replacement is Pulumi's: the successor first, then dependents, the original
last; or, with delete_before_replace, dependents and the original go before their successors come.
Source: https://www.pulumi.com/docs/iac/concepts/how-pulumi-works/
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from threading import RLock

from sandbox.engine import paths, registry, urns
from sandbox.engine.config import Config
from sandbox.engine.errors import DeploymentError
from sandbox.engine.goal import Goal
from sandbox.engine.state import Resource
from sandbox.engine.steps import Op, Runner, Step
from sandbox.engine.wire import mark_secrets, unwrap
from sandbox.providers.base import DiffKind, DiffResult, ResourceState
from sandbox.values import UNKNOWN, Properties

_TO_REPLACE = {
    DiffKind.ADD: DiffKind.ADD_REPLACE,
    DiffKind.DELETE: DiffKind.DELETE_REPLACE,
    DiffKind.UPDATE: DiffKind.UPDATE_REPLACE,
}


@dataclass
class Deployment:
    """One run of a program against a stack."""

    stack: str
    project: str
    runner: Runner
    config: Config
    _seen: dict[str, Resource] = field(default_factory=dict)
    _condemned: set[str] = field(default_factory=set)
    _aliased: dict[str, str] = field(default_factory=dict)
    _lock: RLock = field(default_factory=RLock)

    def register(self, goal: Goal) -> Resource:
        """Bring one resource to where the program wants it, and give its state.

        Raises DeploymentError if that is refused or fails.
        """
        if goal.custom and not goal.is_provider and not goal.provider:
            goal = replace(goal, provider=self.default_provider(goal.package, goal.version))
        with self._lock:
            steps, resource = self._decide(goal)
        for step in steps:
            self.runner.run(step)
        return resource

    def default_provider(self, package: str, version: str) -> str:
        """The reference of a package's default provider, which is registered when it is first needed."""
        goal = registry.default_goal(package, version, self.config.of_package(package))
        urn = urns.make(self.stack, self.project, "", goal.type, goal.name)
        with self._lock:
            if urn not in self._seen:
                for step in self._decide(goal)[0]:
                    self.runner.run(step)
            return self._seen[urn].reference

    def set_outputs(self, urn: str, outputs: Properties) -> Resource:
        """Take the outputs that a component, or the stack itself, declares at its end."""
        with self._lock:
            resource = self._seen[urn]
            if resource.outputs != outputs:
                resource.outputs = outputs
                self.runner.journal.write()
            return resource

    def outputs(self) -> Properties:
        """The outputs of the stack itself."""
        return next((item.outputs for item in self._seen.values() if item.type == urns.ROOT_TYPE), {})

    def _decide(self, goal: Goal) -> tuple[list[Step], Resource]:
        urn = urns.make(self.stack, self.project, goal.parent, goal.type, goal.name)
        if urn in self._seen:
            raise DeploymentError(f"Duplicate resource URN '{urn}'; try giving it a unique name")
        old = self._find_old(urn, goal)
        new = self._resource(urn, goal, old)
        steps = self._steps(goal, old, new)
        self._seen[urn] = new
        return steps, new

    def _find_old(self, urn: str, goal: Goal) -> Resource | None:
        for candidate in (urn, *urns.former(urn, goal.parent, goal.aliases, self._aliased)):
            if candidate not in self.runner.olds:
                continue
            if candidate != urn:
                if candidate in self._seen or candidate in self._aliased.values():
                    raise DeploymentError(f"'{urn}' has alias '{candidate}', which another resource has claimed")
                self._aliased[urn] = candidate
            return self.runner.olds[candidate]
        return None

    def _resource(self, urn: str, goal: Goal, old: Resource | None) -> Resource:
        return Resource(
            urn=urn,
            type=goal.type,
            custom=goal.custom,
            inputs=copy.deepcopy(goal.inputs),
            parent=goal.parent,
            provider=goal.provider,
            dependencies=list(goal.dependencies),
            property_dependencies=dict(goal.property_dependencies),
            protect=goal.protect,
            retain_on_delete=goal.retain_on_delete,
            additional_secret_outputs=list(goal.additional_secret_outputs),
            aliases=[self._aliased[urn]] if urn in self._aliased else [],
            custom_timeouts=dict(goal.custom_timeouts),
            ignore_changes=list(goal.ignore_changes),
            replace_on_changes=list(goal.replace_on_changes),
            import_id=goal.import_id,
            created=old.created if old else "",
            modified=old.modified if old else "",
        )

    def _steps(self, goal: Goal, old: Resource | None, new: Resource) -> list[Step]:
        if old is None or old.urn in self._condemned or old.external:
            self._check(goal, new, None)
        else:
            for path in map(paths.parse, goal.ignore_changes):
                paths.keep(path, old.inputs, new.inputs)
            self._check(goal, new, old)
        if old is None:
            return [Step(Op.CREATE, None, new)]
        if old.urn in self._condemned:
            return [Step(Op.REPLACE, old, new), Step(Op.CREATE_REPLACEMENT, old, new)]
        if old.external:
            return [Step(Op.CREATE_REPLACEMENT, old, new), Step(Op.REPLACE, old, new)]
        diff = self._diff(goal, old, new)
        if diff.replaces or old.pending_replacement:
            return self._replace(goal, old, new, diff)
        if diff.changed or diff.detailed or old.init_errors:
            return [Step(Op.UPDATE, old, new, diff)]
        return [Step(Op.SAME, old, new)]

    def _check(self, goal: Goal, new: Resource, old: Resource | None) -> None:
        """Let the provider validate the inputs and fill in defaults. Raises DeploymentError naming each fault."""
        if goal.is_provider:
            new.inputs = registry.checked_inputs(goal)
            return
        if not goal.custom:
            return
        former = unwrap(old.inputs) if old else None
        result = self.runner.provider(new).check(new.type, new.name, former, unwrap(new.inputs))
        if result.failures:
            faults = "\n".join(
                f"    {new.type} resource '{new.name}'"
                + (f": property {item.property}" if item.property else "")
                + f": {item.reason}"
                for item in result.failures
            )
            self.runner.sink.diagnostic("error", new.urn, faults.strip())
            raise DeploymentError(f"resource {new.urn} is invalid")
        new.inputs = mark_secrets(result.inputs, new.inputs)

    def _diff(self, goal: Goal, old: Resource, new: Resource) -> DiffResult:
        if goal.is_provider:
            return DiffResult(
                registry.changed(old.inputs, new.inputs), registry.changed_identity(old.inputs, new.inputs)
            )
        if self._provider_moved(old, new):
            return DiffResult(replaces=["provider"])
        if not goal.custom:
            keys = sorted({*old.inputs, *new.inputs})
            return DiffResult([key for key in keys if unwrap(old.inputs.get(key)) != unwrap(new.inputs.get(key))])
        return self._provider_diff(old, unwrap(new.inputs), goal.ignore_changes, goal.replace_on_changes)

    def _provider_moved(self, old: Resource, new: Resource) -> bool:
        if not old.provider or not new.provider:
            return old.provider != new.provider
        renamed = self._aliased.get(new.provider.rpartition("::")[0])
        return renamed != old.provider.rpartition("::")[0] and self.runner.providers.moved(old.provider, new.provider)

    def _provider_diff(
        self, old: Resource, inputs: Properties, ignore: tuple[str, ...], replace_on: tuple[str, ...]
    ) -> DiffResult:
        state = ResourceState(old.id, unwrap(old.inputs), unwrap(old.outputs))
        diff = self.runner.providers.get(old.provider).diff(old.type, state, inputs, ignore)
        forced = [paths.parse(item) for item in replace_on]
        if not forced:
            return diff

        def replaces(text: str) -> bool:
            return any(paths.contains(path, paths.parse(text)) for path in forced)

        detailed = {
            path: (_TO_REPLACE.get(kind, kind) if replaces(path) else kind, from_inputs)
            for path, (kind, from_inputs) in diff.detailed.items()
        }
        keys = [key for key in diff.changed if replaces(key)]
        keys += [str(paths.parse(path)[0]) for path in diff.detailed if replaces(path)]
        return replace(diff, detailed=detailed, replaces=list(dict.fromkeys([*diff.replaces, *keys])))

    def _replace(self, goal: Goal, old: Resource, new: Resource, diff: DiffResult) -> list[Step]:
        if new.protect and old.protect:
            raise DeploymentError(
                f'unable to replace resource "{new.urn}" as it is currently marked for protection; '
                "remove the `protect` flag from the resource in the program first"
            )
        new.inputs = copy.deepcopy(goal.inputs)
        self._check(goal, new, None)
        first = goal.delete_before_replace
        if not (diff.delete_before_replace if first is None else first) and not old.pending_replacement:
            return [Step(Op.CREATE_REPLACEMENT, old, new, diff), Step(Op.REPLACE, old, new, diff)]
        steps = [Step(Op.DELETE_REPLACED, item) for item in reversed(self._dependents(old))]
        self._condemned.update(step.urn for step in steps)
        if not old.pending_replacement:
            steps.append(Step(Op.DELETE_REPLACED, old))
        return [*steps, Step(Op.REPLACE, old, new, diff), Step(Op.CREATE_REPLACEMENT, old, new, diff)]

    def _dependents(self, root: Resource) -> list[Resource]:
        """Resources not yet registered that must be replaced once `root` is, in dependency order."""
        replaced = {root.urn}
        found = []
        for candidate in self.runner.olds.values():
            unreached = candidate.urn not in self._seen and candidate.urn not in self._condemned
            if unreached and candidate is not root and self._falls_with(candidate, replaced):
                if candidate.protect:
                    raise DeploymentError(
                        f'unable to replace resource "{candidate.urn}" as part of replacing "{root.urn}" '
                        "as it is currently marked for protection"
                    )
                replaced.add(candidate.urn)
                found.append(candidate)
        return found

    def _falls_with(self, candidate: Resource, replaced: set[str]) -> bool:
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
        ignore, replace_on = tuple(candidate.ignore_changes), tuple(candidate.replace_on_changes)
        return bool(self._provider_diff(candidate, inputs, ignore, replace_on).replaces)
