"""The operations on a stack: preview, update, destroy.

Owns putting the parts together for one run: project, configuration, secrets, state, lock, program, history. The way
of one registration: `program` runs `__main__.py`; the SDK calls `monitor`; `deployment` decides; `steps` carries out
over a provider; `journal` merges; `state` and `backend` write.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from sandbox.engine import config as configs
from sandbox.engine import deletion, guard
from sandbox.engine.backend import Backend, state_folder
from sandbox.engine.config import Config
from sandbox.engine.errors import StackNotFoundError
from sandbox.engine.journal import Journal
from sandbox.engine.project import Project, StackFile, check_stack_name
from sandbox.engine.registry import Load, Registry
from sandbox.engine.secrets import SecretsManager, passphrase
from sandbox.engine.state import Checkpoint, secrets_salt
from sandbox.engine.steps import Runner, Sink
from sandbox.engine.wire import mask, unwrap
from sandbox.providers.base import Provider


class Show(Sink, Protocol):
    """A display: the sink of steps, which also counts them and shows the outputs at the end."""

    @property
    def changes(self) -> Mapping[str, int]:
        """How many resources each kind of operation touched."""

    def begin(self, *, dry_run: bool) -> None:
        """A run begins."""

    def end(self, outputs: Mapping[str, Any], former: Mapping[str, Any]) -> None:
        """A run ended; `outputs` are the stack's now, `former` those before it."""

    def diagnostics(self) -> None:
        """Show the messages of a run that failed."""


@dataclass
class Stack:
    """A stack that was opened for one command. `environ` is the process environment."""

    project: Project
    name: str
    backend: Backend
    file: StackFile
    environ: Mapping[str, str]
    load: Load
    checkpoint: Checkpoint
    manager: SecretsManager
    config_manager: SecretsManager

    @property
    def exists(self) -> bool:
        """Whether the stack has a state file."""
        return self.backend.stack_path(self.name).exists()

    def config(self) -> Config:
        """The merged configuration. Raises UsageError."""
        return configs.load(self.project, self.name, self.file, self.config_manager.decrypt)

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs as last deployed, secrets wrapped."""
        return self.checkpoint.outputs()

    def save(self, checkpoint: Checkpoint) -> None:
        """Write the state."""
        self.checkpoint = checkpoint
        self.backend.write(self.name, checkpoint.to_json(self.manager))


@dataclass(frozen=True)
class Place:
    """Which stack of which project, as the command line and the environment say."""

    project: Project
    stack: str
    backend: Backend
    environ: Mapping[str, str]
    load: Load

    @classmethod
    def find(
        cls, cwd: Path, stack: str | None, state: Path | None, environ: Mapping[str, str], load: Load | None = None
    ) -> Place:
        """Find project, state folder and stack. Raises UsageError, StackNotFoundError if no stack is chosen."""
        project = Project.find(cwd)
        backend = Backend(state_folder(state, project.backend_url, environ), project.name)
        name = stack or environ.get("PULUMI_STACK") or backend.selected()
        if name is None:
            raise StackNotFoundError("no stack selected: give --stack NAME, set PULUMI_STACK, or run `stack select`")
        return cls(project, check_stack_name(name), backend, environ, load or _load_provider)

    def outputs(self, *, show_secrets: bool) -> dict[str, Any]:
        """The outputs as last deployed, secrets masked or in plain text. Raises StackNotFoundError, EngineError."""
        raw = self.backend.read(self.stack)
        if raw is None:
            raise StackNotFoundError(f"no stack named '{self.stack}' found in {self.backend.root}")
        salt = secrets_salt(raw) if show_secrets else None
        manager = SecretsManager.open(passphrase(self.environ), salt) if salt else None
        outputs = Checkpoint.from_json(raw, manager).outputs()
        shown: dict[str, Any] = unwrap(outputs) if show_secrets else mask(outputs)
        return dict(sorted(shown.items()))

    def open(self) -> Stack:
        """Read state and configuration, and make the keys for their secrets. Raises EngineError."""
        raw = self.backend.read(self.stack)
        file = StackFile.read(self.project.stack_file(self.stack))
        phrase = passphrase(self.environ)
        state_salt = secrets_salt(raw) if raw else None
        with ThreadPoolExecutor() as pool:
            own = pool.submit(_manager, phrase, state_salt or file.salt)
            shared = not file.salt or not state_salt or file.salt == state_salt
            of_config: Future[SecretsManager] = own if shared else pool.submit(_manager, phrase, file.salt)
            # the keys are derived on another core while this one imports the SDK
            import pulumi  # noqa: F401

            manager = own.result()
            identity = f"organization/{self.project.name}/{self.stack}"
            checkpoint = Checkpoint.from_json(raw, manager) if raw else Checkpoint(identity)
            return Stack(
                self.project, self.stack, self.backend, file, self.environ, self.load,
                checkpoint, manager, of_config.result(),
            )  # fmt: skip


def _manager(phrase: str, salt: str | None) -> SecretsManager:
    return SecretsManager.open(phrase, salt) if salt else SecretsManager.create(phrase)


def _load_provider(package: str) -> Provider:
    from sandbox.providers import load

    return load(package)


def preview(stack: Stack, show: Show) -> None:
    """Show what `update` would do. Raises EngineError."""
    _run_program(stack, show, dry_run=True)


def update(stack: Stack, show: Show) -> None:
    """Bring the stack to what the program declares; the caller holds the lock. Raises EngineError."""
    with _recorded(stack, show, "update"):
        _run_program(stack, show, dry_run=False)


def preview_destroy(stack: Stack, show: Show) -> None:
    """Show what `destroy` would do. Raises EngineError."""
    _delete_all(stack, show, dry_run=True)


def destroy(stack: Stack, show: Show) -> None:
    """Delete every resource of the stack; the caller holds the lock. Raises EngineError."""
    with _recorded(stack, show, "destroy"):
        _delete_all(stack, show, dry_run=False)


def _delete_all(stack: Stack, show: Show, *, dry_run: bool) -> None:
    guard.check_endpoints(stack.environ)
    former = stack.outputs()
    show.begin(dry_run=dry_run)
    runner = _runner(stack, show, dry_run=dry_run)
    deletion.delete(runner, runner.journal.leftover())
    runner.journal.write()
    show.end({}, former)


def _run_program(stack: Stack, show: Show, *, dry_run: bool) -> None:
    from sandbox.engine.deployment import Deployment
    from sandbox.engine.monitor import EngineLog, Monitor
    from sandbox.engine.program import Program

    guard.check_endpoints(stack.environ)
    config = stack.config()
    former = stack.outputs()
    show.begin(dry_run=dry_run)
    runner = _runner(stack, show, dry_run=dry_run)
    deployment = Deployment(stack.name, stack.project.name, runner, config)
    program = Program(stack.project, stack.name, config, lambda line: show.diagnostic("info", "", line))
    program.run(Monitor(deployment), EngineLog(show), dry_run=dry_run)
    deletion.delete(runner, runner.journal.leftover())
    runner.journal.write()
    show.end(deployment.outputs(), former)


def _runner(stack: Stack, show: Show, *, dry_run: bool) -> Runner:
    # a run changes resources in place as it goes, which a preview must not do to the stack's own
    base = copy.deepcopy(stack.checkpoint) if dry_run else stack.checkpoint
    live = {item.urn: item for item in base.resources if not item.delete}
    return Runner(Journal(base, None if dry_run else stack.save), Registry(stack.load, live), show, dry_run, live)


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
