"""A stack, found and opened for one command: project, state, configuration, keys of the secrets.

Owns which stack a command means, and what of it must be read before anything runs. What is done to it is in `run`.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from sandbox.engine import config as configs
from sandbox.engine import urns
from sandbox.engine.backend import Backend, state_folder
from sandbox.engine.config import Config
from sandbox.engine.errors import StackNotFoundError
from sandbox.engine.project import Project, StackFile, check_stack_name
from sandbox.engine.registry import Load
from sandbox.engine.secrets import SecretsManager, passphrase
from sandbox.engine.state import Checkpoint, secrets_salt
from sandbox.engine.values import mask, unwrap
from sandbox.providers.base import Provider
from sandbox.values import Properties


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

    @property
    def root_urn(self) -> str:
        """The URN of the stack itself."""
        return urns.make(self.name, self.project.name, "", urns.ROOT_TYPE, f"{self.project.name}-{self.name}")

    def config(self) -> Config:
        """The merged configuration. Raises UsageError."""
        return configs.load(self.project, self.name, self.file, self.config_manager.decrypt)

    def outputs(self) -> Properties:
        """The stack's outputs as last deployed, secrets wrapped."""
        return self.checkpoint.outputs()

    def adopt_salt(self) -> None:
        """Note the manager of the configuration's secrets in Pulumi.<stack>.yaml, if none is noted there."""
        if self.file.salt is None:
            self.file.salt = self.config_manager.salt
            self.file.write()

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
        backend = _backend(project, state, environ)
        name = stack or environ.get("PULUMI_STACK") or backend.selected()
        if name is None:
            raise StackNotFoundError("no stack selected: give --stack NAME, set PULUMI_STACK, or run `stack select`")
        return cls(project, check_stack_name(name, project.name), backend, environ, load or _load_provider)

    @staticmethod
    def backend_of(cwd: Path, state: Path | None, environ: Mapping[str, str]) -> Backend:
        """The stacks of the project in `cwd`. Raises UsageError."""
        return _backend(Project.find(cwd), state, environ)

    def outputs(self, *, show_secrets: bool) -> Properties:
        """The outputs as last deployed, secrets masked or in plain text. Raises StackNotFoundError, EngineError."""
        raw = self.backend.read(self.stack)
        if raw is None:
            raise StackNotFoundError(f"no stack named '{self.stack}' found in {self.backend.root}")
        salt = secrets_salt(raw) if show_secrets else None
        manager = SecretsManager.open(passphrase(self.environ), salt) if salt else None
        outputs = Checkpoint.from_json(raw, manager).outputs()
        return dict(sorted((unwrap(outputs) if show_secrets else mask(outputs)).items()))

    def open(self, *, with_program: bool = True) -> Stack:
        """Read state and configuration, and make the keys for their secrets. Raises EngineError.

        With `with_program`, what runs the program is imported meanwhile.
        """
        raw = self.backend.read(self.stack)
        file = StackFile.read(self.project.stack_file(self.stack))
        phrase = passphrase(self.environ)
        state_salt = secrets_salt(raw) if raw else None
        with ThreadPoolExecutor() as pool:
            own = pool.submit(_manager, phrase, state_salt or file.salt)
            shared = not file.salt or not state_salt or file.salt == state_salt
            of_config: Future[SecretsManager] = own if shared else pool.submit(_manager, phrase, file.salt)
            if with_program:
                # the keys are derived on another core while this one imports the SDK
                import sandbox.engine.program  # noqa: F401
            manager = own.result()
            identity = f"organization/{self.project.name}/{self.stack}"
            checkpoint = Checkpoint.from_json(raw, manager) if raw else Checkpoint(identity)
            return Stack(
                self.project, self.stack, self.backend, file, self.environ, self.load,
                checkpoint, manager, of_config.result(),
            )  # fmt: skip


def _backend(project: Project, state: Path | None, environ: Mapping[str, str]) -> Backend:
    return Backend(state_folder(state, project.backend_url, environ), project.name)


def _manager(phrase: str, salt: str | None) -> SecretsManager:
    return SecretsManager.open(phrase, salt) if salt else SecretsManager.create(phrase)


def _load_provider(package: str) -> Provider:
    from sandbox.providers import load

    return load(package)
