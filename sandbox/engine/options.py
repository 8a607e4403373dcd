"""What the engine's commands share: options, choosing the display, asking, and errors as exit codes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import Annotated, Final, TextIO

import typer

from sandbox.engine import guard
from sandbox.engine.display import Display
from sandbox.engine.errors import (
    CancelledError,
    ChangesError,
    EngineError,
    StackNotFoundError,
    UnconfirmedError,
    UsageError,
)
from sandbox.engine.run import Show
from sandbox.engine.stack import Place, Stack

Cwd = Annotated[Path, typer.Option("--cwd", "-C", help="The project's folder.")]
StackName = Annotated[
    str | None, typer.Option("--stack", "-s", help="The stack; else PULUMI_STACK, else the selected one.")
]
State = Annotated[
    Path | None,
    typer.Option("--state", help="The state folder; else PULUMI_BACKEND_URL (file://…)."),
]
Json = Annotated[bool, typer.Option("--json", "-j", help="Print one JSON object.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
SkipPreview = Annotated[bool, typer.Option("--skip-preview", "-f", help="Do it without a preview.")]
PreviewOnly = Annotated[bool, typer.Option("--preview-only", help="Show it, and do nothing.")]
Diff = Annotated[bool, typer.Option("--diff", help="Show a diff by property.")]
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Show secrets in plain text.")]
NoChanges = Annotated[bool, typer.Option("--expect-no-changes", help="Fail (7) if anything changes.")]
NonInteractive = Annotated[bool, typer.Option("--non-interactive", help="Never ask.")]

ShowSames = Annotated[bool, typer.Option("--show-sames", help="Show what stays as it is too; with --json alone.")]
SuppressOutputs = Annotated[bool, typer.Option("--suppress-outputs", help="Leave out the stack's outputs.")]


class Color(StrEnum):
    """When output is coloured; `auto` is on a terminal."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


Colored = Annotated[Color, typer.Option("--color", help="When to colour.")]

Operation = Callable[[Stack, Show], None]

_SKIPPED: Final = "--yes or --skip-preview"
_UNASKED: Final[dict[str, tuple[str, type[UsageError]]]] = {
    **dict.fromkeys(("update", "destroy", "import"), (_SKIPPED, UnconfirmedError)),
    "refresh": (_SKIPPED, UsageError),
}
"""What lets a command go on unasked, and what it ends with else: `pulumi` v3.260 tells `refresh` from the others."""


def place(cwd: Path, stack: str | None, state: Path | None) -> Place:
    """The stack that the options and the environment name. Raises EngineError."""
    return Place.find(cwd, stack, state, os.environ)


def operable(cwd: Path, stack: str | None, state: Path | None) -> Place:
    """The same for a command that reaches the cloud: without the sandbox's environment it says so first."""
    guard.check_endpoints(os.environ)
    return place(cwd, stack, state)


def existing(cwd: Path, stack: str | None, state: Path | None) -> Place:
    """The same for a command that makes no stack: a misspelt name must not look like a stack with nothing in it."""
    found = operable(cwd, stack, state)
    if not found.backend.stack_path(found.stack).exists():
        raise StackNotFoundError(f"no stack named '{found.stack}' found; there are {found.backend.stacks()}")
    return found


@dataclass(frozen=True)
class Look:
    """How a run is shown, as the options say."""

    as_json: bool = False
    diff: bool = False
    color: Color = Color.AUTO
    suppress_outputs: bool = False
    show_sames: bool = False

    def show(self, opened: Stack, operation: str = "update") -> Show:
        """What goes to stdout: the result."""
        if self.as_json:
            from sandbox.engine.digest import Digest

            return Digest(sys.stdout, opened.config().shown(), self.show_sames)
        return self.display(sys.stdout, opened, operation, diff=self.diff)

    def display(self, stream: TextIO, opened: Stack, operation: str, *, diff: bool = False) -> Display:
        """The text on `stream`."""
        coloured = stream.isatty() if self.color is Color.AUTO else self.color is Color.ALWAYS
        return Display(stream, opened.name, operation, diff, coloured=coloured, with_outputs=not self.suppress_outputs)


def run(show: Show, operation: Callable[[], None]) -> None:
    """Run, and show the messages that a failed run left. Raises EngineError."""
    try:
        operation()
    except EngineError as error:
        show.diagnostics(str(error))
        raise


def confirm(question: str, *, yes: bool) -> None:
    """Ask, after `check_can_ask`. Raises CancelledError on a no."""
    if not yes and not typer.confirm(question):
        raise CancelledError("declined; nothing was changed")


def check_can_ask(command: str, *, yes: bool, non_interactive: bool) -> None:
    """Raise UsageError if nobody can be asked and nothing says that asking is not wanted."""
    interactive = sys.stdin.isatty() and sys.stdout.isatty() and not non_interactive
    if yes or interactive:
        return
    ways, kind = _UNASKED.get(command, ("--yes", UsageError))
    raise kind(f"{ways} must be passed in to proceed when running in non-interactive mode")


def expect_none(show: Show, *, wanted: bool) -> None:
    """Raise ChangesError if no changes are wanted and there are some."""
    if wanted and any(number for op, number in show.changes.items() if op != "same"):
        raise ChangesError("no changes were expected but changes were proposed")


@contextmanager
def errors() -> Iterator[None]:
    """End the command with the message and the exit code of an EngineError; SIGTERM stops as Ctrl-C does.

    The first waits for operations under way, the second does not: they stay pending in the state.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        yield
    except EngineError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        typer.echo("error: stopped; what was done is in the state", err=True)
        raise typer.Exit(CancelledError.exit_code) from None


def _interrupt(number: int, frame: FrameType | None) -> None:
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, _give_up)
    typer.echo("stopping after the operations under way; once more to stop at once", err=True)
    raise KeyboardInterrupt


def _give_up(number: int, frame: FrameType | None) -> None:
    os._exit(CancelledError.exit_code)
