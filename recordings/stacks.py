"""The stacks of this project, through the command `pulumi`: which there are, what they say of themselves, their end.

Owns which subcommands are asked and what their answers mean; how the command is run is the caller's (`Runner`, as
`recordings.cli.frame.pulumi`), so that this library starts no process. No answer that may hold a secret gets into a
message: pulumi says on standard error what went wrong.

Source: https://www.pulumi.com/docs/iac/cli/commands/
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from subprocess import CompletedProcess
from typing import Any, Final, Protocol

from recordings.errors import RemoteError
from recordings.outputs import KEPT

_NAMESPACE: Final = "recordings"


class Runner(Protocol):
    """Runs `pulumi` with arguments; with `story` what it prints is shown rather than given."""

    def __call__(self, *arguments: str, quiet: bool = False, story: bool = False) -> CompletedProcess[str]:
        """Whatever it ends with."""


@dataclass(frozen=True)
class Listed:
    """One stack as `pulumi stack ls` shows it; `resources` is None where the backend does not count them."""

    name: str
    resources: int | None = None


@dataclass(frozen=True)
class Character:
    """What a stack is: whether it may be thrown away. `expires_at` is UTC, as `2027-01-31T12:00:00Z`."""

    environment: str = ""
    protect: bool = False
    force_destroy: bool = False
    expires_at: str | None = None

    @classmethod
    def of(cls, named: Mapping[str, Any]) -> Character:
        """From outputs, or configuration, by their camelCase names."""
        return cls(
            str(named.get("environment") or ""),
            _true(named.get("protect")),
            _true(named.get("forceDestroy")),
            str(named["expiresAt"]) if named.get("expiresAt") else None,
        )

    @property
    def expires(self) -> datetime | None:
        """When it may be swept (UTC); None if it says nothing that can be read."""
        try:
            moment = datetime.fromisoformat(self.expires_at or "")
        except ValueError:
            return None
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)

    @property
    def kept_because(self) -> list[str]:
        """Why it is no test stack; empty if it is one."""
        reasons = []
        if self.protect:
            reasons.append("it is protected (recordings:protect)")
        if self.environment in KEPT:
            reasons.append(f"its environment is {self.environment}")
        if self.expires is None:
            reasons.append("it has no recordings:expiresAt, which a test stack has")
        return reasons


@dataclass(frozen=True)
class Stacks:
    """The stacks of the project in the present folder. Every method may raise RemoteError, and what `run` raises."""

    run: Runner

    def list(self) -> Sequence[Listed]:
        """All of them."""
        answer = json.loads(self._asked("stack", "ls", "--json"))
        return [Listed(str(each["name"]), each.get("resourceCount")) for each in answer]

    def find(self, name: str) -> Listed | None:
        """One of them, whether or not the name says whose project it is; None if there is no such stack."""
        return next((each for each in self.list() if _same(each.name, name)), None)

    def outputs(self, name: str, *, secrets: bool = False) -> dict[str, Any]:
        """The outputs as last deployed; empty where nothing is."""
        shown = ("--show-secrets",) if secrets else ()
        found: dict[str, Any] = json.loads(self._asked("stack", "output", "--json", *shown, "--stack", name))
        return found

    def character(self, name: str, outputs: Mapping[str, Any]) -> Character:
        """What the stack is, by its outputs, or where it has none by its configuration, as far as that is at hand."""
        return Character.of(outputs or self.configuration(name))

    def configuration(self, name: str) -> dict[str, Any]:
        """The keys of this project's namespace in the stack's file, without secrets; empty where there is no file."""
        answer = json.loads(self._asked("config", "--json", "--stack", name))
        own = {key.partition(":")[2]: entry for key, entry in answer.items() if key.startswith(f"{_NAMESPACE}:")}
        return {key: entry.get("objectValue", entry.get("value")) for key, entry in own.items()}

    def initialise(self, name: str, secrets_provider: str | None = None) -> None:
        """Make an empty stack; it must not be there."""
        how = ("--secrets-provider", secrets_provider) if secrets_provider else ()
        self._told("stack", "init", name, *how, "--non-interactive")

    def unprotect(self, name: str) -> None:
        """Let every resource of the stack be deleted."""
        self._told("state", "unprotect", "--all", "--yes", "--stack", name)

    def destroy(self, name: str) -> None:
        """Delete all its resources."""
        self._told("destroy", "--yes", "--skip-preview", "--non-interactive", "--stack", name)

    def remove(self, name: str, *, keep_file: bool) -> None:
        """Forget a stack with no resources, and its file unless `keep_file`."""
        kept = ("--preserve-config",) if keep_file else ()
        self._told("stack", "rm", "--yes", "--non-interactive", *kept, "--stack", name)

    def _asked(self, *arguments: str) -> str:
        done = self.run(*arguments)
        _check(done)
        return done.stdout

    def _told(self, *arguments: str) -> None:
        _check(self.run(*arguments, story=True))


def _check(done: CompletedProcess[str]) -> None:
    if done.returncode != 0:
        raise RemoteError(
            f"`{shlex.join(done.args)}` ended with {done.returncode}: see its message above. Put that right, then run "
            "the command again"
        )


def _same(listed: str, name: str) -> bool:
    """`acme/recordings/dev` is the stack `dev` too."""
    return listed == name or listed.rpartition("/")[2] == name.rpartition("/")[2]


def _true(value: Any) -> bool:
    return value is True or value == "true"
