"""Decide what a registration means: compare what the program asks for with what the last run left.

Owns the decisions, taken one at a time in the order in which registrations arrive; the steps that follow from them
(`steps`) run side by side. The order of a replacement is Pulumi's: the successor first, then dependents, the original
last; or, with delete_before_replace, dependents and the original go before their successors come.
Source: https://www.pulumi.com/docs/iac/concepts/how-pulumi-works/
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import RLock

from sandbox.engine import paths, registry, urns
from sandbox.engine.comparison import Comparison
from sandbox.engine.config import Config
from sandbox.engine.errors import DeploymentError
from sandbox.engine.goal import Goal
from sandbox.engine.state import Resource
from sandbox.engine.steps import Op, Runner, Step
from sandbox.engine.values import UNKNOWN_SENTINEL, mark_secrets
from sandbox.providers.base import DiffResult, ProviderError
from sandbox.values import Properties


@dataclass
class Deployment:
    """One run of a program against a stack."""

    stack: str
    project: str
    runner: Runner
    config: Config
    exporting: Callable[[str, Properties], None] = lambda _urn, _outputs: None
    """Called with outputs before they are kept; it may refuse them with DeploymentError."""
    _seen: dict[str, Resource] = field(default_factory=dict)
    _condemned: set[str] = field(default_factory=set)
    _aliased: dict[str, str] = field(default_factory=dict)
    _exported: Properties | None = None
    _lock: RLock = field(default_factory=RLock)

    def __post_init__(self) -> None:
        self._comparison = Comparison(self.runner.providers, self.runner.sink)

    def register(self, goal: Goal) -> Resource:
        """Bring one resource to where the program wants it, and give its state.

        Raises DeploymentError if that is refused or fails.
        """
        return self._do(goal, self._decide)

    def read(self, goal: Goal) -> Resource:
        """Look up a resource that somebody else owns; `goal.import_id` is its id. Raises DeploymentError."""
        return self._do(goal, self._decide_read)

    def adopt(self, goal: Goal) -> Resource:
        """Take over a resource that exists, with the inputs that it has. Raises DeploymentError."""
        return self._do(goal, self._decide_adoption)

    def _do(self, goal: Goal, decide: Callable[[Goal], list[Step]]) -> Resource:
        if goal.custom and not goal.is_provider and not goal.provider:
            goal = replace(goal, provider=self.default_provider(goal.package, goal.version))
        with self._lock:
            steps = decide(goal)
            self._seen[steps[-1].urn] = steps[-1].resource
        for step in steps:
            self.runner.run(step)
        return steps[-1].resource

    def default_provider(self, package: str, version: str) -> str:
        """The reference of a package's default provider, which is registered when it is first needed."""
        goal = registry.default_goal(package, version, self.config.of_package(package))
        urn = urns.make(self.stack, self.project, "", goal.type, goal.name)
        with self._lock:
            if urn not in self._seen:
                self._do(goal, self._decide)
            return self._seen[urn].reference

    def set_outputs(self, urn: str, outputs: Properties) -> Resource:
        """Take the outputs that a component declares at its end; those of the stack itself wait for `settle`.

        Raises DeploymentError if they are refused.
        """
        self.exporting(urn, outputs)
        with self._lock:
            resource = self._seen[urn]
            if resource.type == urns.ROOT_TYPE:
                self._exported = outputs
            elif resource.outputs != outputs:
                resource.outputs = outputs
                self.runner.journal.write()
            return resource

    def settle(self, *, failed: bool) -> Properties:
        """Give the stack the outputs that the program exported; they are the answer.

        After a failure it also keeps those that it had: that the program did not come to export one says nothing.
        """
        root = next((item for item in self._seen.values() if item.type == urns.ROOT_TYPE), None)
        if root is None:
            return {}
        if self._exported is not None:
            root.outputs = {**root.outputs, **self._exported} if failed else self._exported
        self.runner.journal.write()
        return root.outputs

    def _decide(self, goal: Goal) -> list[Step]:
        old, new = self._known(goal)
        try:
            if self._is_import(goal, old):
                return self._import(goal, old, new)
            return self._steps(goal, old, new)
        except ProviderError as error:
            self.runner.sink.diagnostic("error", new.urn, str(error))
            raise DeploymentError(f"{new.type} {new.name!r}: {error}") from None

    def _decide_read(self, goal: Goal) -> list[Step]:
        old, new = self._known(goal)
        new.external, new.import_id = True, ""
        new.id = "" if goal.import_id == UNKNOWN_SENTINEL else goal.import_id
        if old is not None and not old.external and old.id != new.id:
            return [Step(Op.READ_REPLACEMENT, old, new), Step(Op.REPLACE, old, new)]
        return [Step(Op.READ, old, new)]

    def _decide_adoption(self, goal: Goal) -> list[Step]:
        old, new = self._known(goal)
        if old is not None:
            raise DeploymentError(f"resource '{new.urn}' already exists")
        adopted = self._existing(goal, new).copy(import_id="")
        return [Step(Op.IMPORT, None, adopted)]

    def _known(self, goal: Goal) -> tuple[Resource | None, Resource]:
        urn = urns.make(self.stack, self.project, goal.parent, goal.type, goal.name)
        if urn in self._seen:
            raise DeploymentError(f"Duplicate resource URN '{urn}'; try giving it a unique name")
        old = self._find_old(urn, goal)
        return old, self._resource(urn, goal, old)

    def _is_import(self, goal: Goal, old: Resource | None) -> bool:
        if not goal.import_id or not goal.custom:
            return False
        return old is None or old.external or (old.import_id or old.id) != goal.import_id

    def _import(self, goal: Goal, old: Resource | None, new: Resource) -> list[Step]:
        """Take it over as it is, then change it where the program wants it otherwise."""
        existing = self._existing(goal, new)
        further = [step for step in self._steps(goal, existing, new) if step.op is not Op.SAME]
        if old is None:
            return [Step(Op.IMPORT, None, existing), *further]
        return [Step(Op.IMPORT_REPLACEMENT, old, existing), Step(Op.REPLACE, old, existing), *further]

    def _existing(self, goal: Goal, new: Resource) -> Resource:
        provider = self.runner.provider(new)
        found = provider.read(new.type, goal.import_id, None, None)
        if found is None:
            raise DeploymentError(f"resource '{goal.import_id}' does not exist, so {new.urn} cannot import it")
        secret_names = {*new.additional_secret_outputs, *provider.secret_outputs(new.type)}
        outputs = mark_secrets(found.outputs, new.inputs, secret_names)
        return new.copy(id=found.id, inputs=mark_secrets(found.inputs, new.inputs), outputs=outputs)

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
            self._comparison.check(goal, new, None)
        else:
            for path in map(paths.parse, goal.ignore_changes):
                paths.keep(path, old.inputs, new.inputs)
            self._comparison.check(goal, new, old)
        if old is None:
            return [Step(Op.CREATE, None, new)]
        if old.urn in self._condemned:
            return [Step(Op.REPLACE, old, new), Step(Op.CREATE_REPLACEMENT, old, new)]
        if old.external:
            return [Step(Op.CREATE_REPLACEMENT, old, new), Step(Op.REPLACE, old, new)]
        diff = self._comparison.diff(goal, old, new, self._aliased)
        if diff.is_replacement or old.pending_replacement:
            return self._replace(goal, old, new, diff)
        if diff.changed or diff.detailed or old.init_errors:
            return [Step(Op.UPDATE, old, new, diff)]
        return [Step(Op.SAME, old, new)]

    def _replace(self, goal: Goal, old: Resource, new: Resource, diff: DiffResult) -> list[Step]:
        if new.protect and old.protect:
            self.runner.propose(Step(Op.REPLACE, old, new, diff))
            raise DeploymentError(
                f'unable to replace resource "{new.urn}" as it is currently marked for protection; '
                "remove the `protect` flag from the resource in the program first"
            )
        if goal.import_id:
            self._refuse_import(new, diff)
        new.inputs = copy.deepcopy(goal.inputs)
        self._comparison.check(goal, new, None)
        first = goal.delete_before_replace
        if not (diff.delete_before_replace if first is None else first) and not old.pending_replacement:
            return [Step(Op.CREATE_REPLACEMENT, old, new, diff), Step(Op.REPLACE, old, new, diff)]
        steps = [Step(Op.DELETE_REPLACED, item) for item in reversed(self._dependents(old))]
        self._condemned.update(step.urn for step in steps)
        if not old.pending_replacement:
            steps.append(Step(Op.DELETE_REPLACED, old))
        return [*steps, Step(Op.REPLACE, old, new, diff), Step(Op.CREATE_REPLACEMENT, old, new, diff)]

    def _refuse_import(self, new: Resource, diff: DiffResult) -> None:
        """What is imported and would have to be replaced: a warning in a preview, as `pulumi` has it, else an end."""
        fault = (
            f"{new.urn} specifies `import_` and may not be replaced ({', '.join(diff.forcing)} would force it); "
            "make the program match what exists, or remove `import_`"
        )
        if not self.runner.dry_run:
            raise DeploymentError(fault)
        self.runner.sink.diagnostic("warning", new.urn, fault)

    def _dependents(self, root: Resource) -> list[Resource]:
        """Resources not yet registered that must be replaced once `root` is, in dependency order."""
        replaced = {root.urn}
        found = []
        for candidate in self.runner.olds.values():
            unreached = candidate.urn not in self._seen and candidate.urn not in self._condemned
            if unreached and candidate is not root and self._comparison.falls_with(candidate, replaced):
                if candidate.protect:
                    raise DeploymentError(
                        f'unable to replace resource "{candidate.urn}" as part of replacing "{root.urn}" '
                        "as it is currently marked for protection"
                    )
                replaced.add(candidate.urn)
                found.append(candidate)
        return found
