"""Read what the cloud has now and take it into the state: drift, and what interrupted operations left.

Owns both, since both ask the provider rather than trust the state. Deciding what to do about a difference is left to
the next update.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from typing import Final

from sandbox.engine.errors import DeploymentError
from sandbox.engine.registry import Registry
from sandbox.engine.state import Checkpoint, Operation, Resource, now
from sandbox.engine.steps import Op, Sink, Step
from sandbox.engine.values import mark_secrets, unwrap
from sandbox.providers.base import DiffKind, DiffResult, ProviderError, ResourceState

_PARALLEL: Final = 16
_INVERSE: Final = {DiffKind.ADD: DiffKind.DELETE, DiffKind.DELETE: DiffKind.ADD}


def refresh(base: Checkpoint, providers: Registry, sink: Sink) -> Checkpoint:
    """The stack as the cloud has it. Raises DeploymentError if a resource cannot be read."""
    with ThreadPoolExecutor(_PARALLEL) as pool:
        steps = list(pool.map(lambda resource: _compared(resource, providers), base.resources))
    for step in steps:
        sink.started(step)
        sink.finished(step)
    kept = [step.new for step in steps if step.new is not None]
    return replace(base, resources=_pruned(kept))


def _compared(old: Resource, providers: Registry) -> Step:
    if not _is_in_cloud(old):
        return Step(Op.SAME, old, old)
    new = _read(old, providers)
    if new is None:
        return Step(Op.DELETE, old)
    if unwrap(new.inputs) == unwrap(old.inputs) and unwrap(new.outputs) == unwrap(old.outputs):
        return Step(Op.SAME, old, old)
    new.modified = now()
    diff = DiffResult() if old.external else _drift(old, new, providers)
    changed = diff.changed or diff.detailed
    return Step(Op.UPDATE, old, new, diff) if changed else Step(Op.SAME, old, new)


def _drift(old: Resource, new: Resource, providers: Registry) -> DiffResult:
    """From the state to the cloud: the provider is asked the other way round, which ends at the program's inputs."""
    state = ResourceState(new.id, unwrap(new.inputs), unwrap(new.outputs))
    found = providers.get(old.provider).diff(old.type, state, unwrap(old.inputs), old.ignore_changes)
    detailed = {
        path: (_INVERSE.get(kind := DiffKind(each.removesuffix("-replace")), kind), from_inputs)
        for path, (each, from_inputs) in found.detailed.items()
    }
    return DiffResult(found.changed, detailed=detailed)


def recover(
    base: Checkpoint, providers: Registry, ids_elsewhere: Callable[[str], Iterable[str]], sink: Sink
) -> Checkpoint:
    """Find out what became of each pending operation, and give a state in which none is pending.

    `ids_elsewhere` gives the ids of a type that other stacks own. Raises DeploymentError if the cloud cannot be asked.
    """
    resources = list(base.resources)
    for operation in base.pending:
        subject = operation.resource
        sink.diagnostic("info", subject.urn, f"resolving an interrupted operation: {operation.kind}")
        if not _is_in_cloud(subject):
            continue
        if operation.kind == "creating":
            _recover_create(subject, resources, providers, ids_elsewhere, sink)
        else:
            _recover_change(operation, resources, providers)
    return replace(base, resources=_pruned(resources), pending=[])


def _recover_create(
    subject: Resource,
    resources: list[Resource],
    providers: Registry,
    ids_elsewhere: Callable[[str], Iterable[str]],
    sink: Sink,
) -> None:
    known = {*ids_elsewhere(subject.type), *(item.id for item in resources if item.type == subject.type)}
    with _explained(subject):
        found = providers.get(subject.provider).find(subject.type, unwrap(subject.inputs), known)
    if found is None:
        return
    if found.made is not None and subject.created and found.made < _second(subject.created):
        sink.diagnostic("warning", subject.urn, f"{found.id!r} was there before the interrupted run: not taken over")
        return
    created = _taken(subject, found, providers)
    created.created = created.modified = now()
    for former in [item for item in resources if item.urn == subject.urn and not item.delete]:
        if former.pending_replacement:
            resources.remove(former)
        else:
            former.delete = True
    # what the interrupted create did not get to, such as tags, shows as a difference to the inputs
    current = _read(created, providers)
    resources.append(current or created)


def _second(moment: str) -> datetime:
    """Clouds tell whole seconds."""
    return datetime.fromisoformat(moment).replace(microsecond=0)


def _recover_change(operation: Operation, resources: list[Resource], providers: Registry) -> None:
    subject = operation.resource
    for place, item in enumerate(resources):
        if item.urn == subject.urn and item.id == subject.id and not item.pending_replacement:
            current = _read(item, providers)
            resources[place : place + 1] = [current] if current is not None else []
            return


def _read(resource: Resource, providers: Registry) -> Resource | None:
    with _explained(resource):
        provider = providers.get(resource.provider)
        state = provider.read(resource.type, resource.id, unwrap(resource.inputs), unwrap(resource.outputs))
    return None if state is None else _taken(resource, state, providers)


def _taken(resource: Resource, state: ResourceState, providers: Registry) -> Resource:
    names = {*resource.additional_secret_outputs, *providers.get(resource.provider).secret_outputs(resource.type)}
    outputs = mark_secrets(mark_secrets(state.outputs, resource.outputs), resource.inputs, names)
    return resource.copy(
        id=state.id, inputs=mark_secrets(state.inputs, resource.inputs), outputs=outputs, init_errors=[]
    )


def _is_in_cloud(resource: Resource) -> bool:
    return resource.custom and not resource.is_provider and not resource.pending_replacement


def _pruned(resources: Sequence[Resource]) -> list[Resource]:
    """Without references to what is gone: nothing in a state may depend on what is not in it."""
    there = {resource.urn for resource in resources}

    def only(urns: Iterable[str]) -> list[str]:
        return [urn for urn in urns if urn in there]

    for item in resources:
        item.dependencies = only(item.dependencies)
        item.property_dependencies = {key: only(urns) for key, urns in item.property_dependencies.items()}
    return list(resources)


class _explained:  # noqa: N801
    """Tell which resource a provider's refusal is about."""

    def __init__(self, resource: Resource) -> None:
        self._resource = resource

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ProviderError):
            raise DeploymentError(f"{self._resource.type} {self._resource.name!r}: {error}") from None
