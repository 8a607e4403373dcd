"""The operations on a stack: preview, update, refresh, import, destroy.

Owns putting the parts together for one run. The way of one registration: `program` runs `__main__.py`; the SDK calls
`monitor`; `deployment` decides; `steps` carries out over a provider; `journal` merges; `state` and `backend` write.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Protocol

from sandbox.engine import deletion, guard, urns
from sandbox.engine import refresh as refreshing
from sandbox.engine.deployment import Deployment
from sandbox.engine.errors import EngineError
from sandbox.engine.goal import Goal
from sandbox.engine.journal import Journal
from sandbox.engine.registry import Registry
from sandbox.engine.rules import Watch
from sandbox.engine.stack import Stack
from sandbox.engine.state import Checkpoint, Resource
from sandbox.engine.steps import Runner, Sink
from sandbox.values import Properties


class Show(Sink, Protocol):
    """A display: the sink of steps, which also counts them and shows the outputs at the end."""

    @property
    def changes(self) -> Mapping[str, int]:
        """How many resources each kind of operation touched."""

    def begin(self, *, dry_run: bool) -> None:
        """A run begins."""

    def end(self, outputs: Properties, former: Properties) -> None:
        """A run ended; `outputs` are the stack's now, `former` those before it."""

    def diagnostics(self, failure: str = "") -> None:
        """Show the messages of a run that failed, `failure` the last of them."""


def recover(stack: Stack, show: Show) -> None:
    """Find out what became of what a killed run began; the caller holds the lock. Raises EngineError."""
    if not stack.checkpoint.pending:
        return
    guard.check_endpoints(stack.environ)
    resolved = refreshing.recover(
        stack.checkpoint,
        _providers(stack, stack.checkpoint),
        lambda type_: stack.backend.ids(type_, besides=stack.name),
        show,
    )
    stack.save(resolved)


def preview(stack: Stack, show: Show) -> None:
    """Show what `update` would do. Raises EngineError."""
    if stack.checkpoint.pending:
        number = len(stack.checkpoint.pending)
        show.diagnostic(
            "warning", stack.root_urn, f"an interrupted run left {number} operation(s) open; `up` looks into them first"
        )
    _run_program(stack, show, dry_run=True)


def preview_update(stack: Stack, show: Show) -> None:
    """The same before `update`: what a mandatory guard rule refuses ends here. Raises EngineError."""
    _run_program(stack, show, dry_run=True, enforced=True)


def update(stack: Stack, show: Show) -> None:
    """Bring the stack to what the program declares; the caller holds the lock. Raises EngineError."""
    with _recorded(stack, show, "update"):
        _run_program(stack, show, dry_run=False)


def preview_refresh(stack: Stack, show: Show) -> None:
    """Show what `refresh` would take into the state. Raises EngineError."""
    _refresh(stack, show, dry_run=True)


def refresh(stack: Stack, show: Show) -> None:
    """Take into the state what the cloud has; the caller holds the lock. Raises EngineError."""
    with _recorded(stack, show, "refresh"):
        stack.save(_refresh(stack, show, dry_run=False))


def _refresh(stack: Stack, show: Show, *, dry_run: bool) -> Checkpoint:
    guard.check_endpoints(stack.environ)
    show.begin(dry_run=dry_run)
    base = copy.deepcopy(stack.checkpoint)
    current = refreshing.refresh(base, _providers(stack, base), show)
    show.end(stack.outputs(), stack.outputs())
    return current


def adopt(stack: Stack, show: Show, goal: Goal) -> None:
    """Take over a resource that exists, with the inputs it has; the caller holds the lock. Raises EngineError."""
    guard.check_endpoints(stack.environ)
    with _recorded(stack, show, "resource-import"):
        show.begin(dry_run=False)
        runner = _runner(stack, show, dry_run=False)
        deployment = Deployment(stack.name, stack.project.name, runner, stack.config())
        if stack.root_urn not in runner.olds:
            deployment.register(Goal(urns.ROOT_TYPE, urns.name_of(stack.root_urn), custom=False))
        version = goal.version or stack.load(goal.package).version
        deployment.adopt(replace(goal, parent=goal.parent or stack.root_urn, version=version))
        runner.journal.write()
        show.end(stack.outputs(), stack.outputs())


def preview_destroy(stack: Stack, show: Show) -> None:
    """Show what `destroy` would do. Raises EngineError."""
    _delete_all(stack, show, dry_run=True)


def destroy(stack: Stack, show: Show) -> None:
    """Delete every resource of the stack; the caller holds the lock. Raises EngineError."""
    with _recorded(stack, show, "destroy"):
        _delete_all(stack, show, dry_run=False)


def _delete_all(stack: Stack, show: Show, *, dry_run: bool) -> None:
    guard.check_endpoints(stack.environ)
    show.begin(dry_run=dry_run)
    runner = _runner(stack, show, dry_run=dry_run)
    deletion.delete(runner, runner.journal.leftover())
    runner.journal.write()
    show.end({}, {})


def _run_program(stack: Stack, show: Show, *, dry_run: bool, enforced: bool = False) -> None:
    # these import the SDK, which other commands do without
    from sandbox.engine.monitor import EngineLog, Monitor
    from sandbox.engine.program import Program

    guard.check_endpoints(stack.environ)
    config = stack.config()
    former = stack.outputs()
    show.begin(dry_run=dry_run)
    watch = Watch(show, config.shown(), dry_run)
    runner = _runner(stack, watch, dry_run=dry_run)
    deployment = Deployment(stack.name, stack.project.name, runner, config, watch.exporting)
    root = stack.root_urn
    program = Program(stack.project, stack.name, config, lambda line: show.diagnostic("info", root, line))
    try:
        program.run(Monitor(deployment, former), EngineLog(show, root), dry_run=dry_run)
        deletion.delete(runner, runner.journal.leftover())
    except EngineError:
        deployment.settle(failed=True)
        raise
    outputs = deployment.settle(failed=False)
    if dry_run:
        watch.verdict(outputs, enforced=enforced)
    show.end(outputs, former)


def _runner(stack: Stack, show: Sink, *, dry_run: bool) -> Runner:
    # a run changes resources in place as it goes, which a preview must not do to the stack's own
    base = copy.deepcopy(stack.checkpoint) if dry_run else stack.checkpoint
    journal = Journal(base, None if dry_run else stack.save)
    return Runner(journal, _providers(stack, base), show, dry_run, _live(base))


def _providers(stack: Stack, base: Checkpoint) -> Registry:
    return Registry(stack.load, {item.reference: item for item in base.resources if item.is_provider})


def _live(base: Checkpoint) -> dict[str, Resource]:
    return {item.urn: item for item in base.resources if not item.delete}


@contextmanager
def _recorded(stack: Stack, show: Show, kind: str) -> Iterator[None]:
    start = int(time.time())
    result = "failed"
    try:
        yield
        result = "succeeded"
    finally:
        if stack.exists:
            entry = {
                "kind": kind,
                "startTime": start,
                "message": "",
                "environment": {"exec.kind": "cli"},
                "config": stack.file.config,
                "version": 0,
                "result": result,
                "endTime": int(time.time()),
                "resourceChanges": dict(show.changes),
            }
            stack.backend.record(stack.name, entry)
