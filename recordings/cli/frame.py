"""What every subcommand shares: options, stack outputs, result to stdout, story to stderr, exit codes.

Owns reading the outputs (`--stack` runs `$PULUMI_COMMAND stack output`, `--outputs` reads a file) and the mapping of
errors to exit codes. Does no work of its own: subcommands call the library.
"""

from __future__ import annotations

import errno
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from recordings.cli.text import named, visible
from recordings.errors import ConfigurationError, NotDueError, RecordingsError, RemoteError, UsageError
from recordings.outages import told_to
from recordings.outputs import StackOutputs
from recordings.plans import Plan, Step

StackOption = Annotated[
    str | None,
    typer.Option("--stack", "-s", metavar="NAME", help="Stack whose outputs to use: `pulumi stack output` is run."),
]
OutputsOption = Annotated[
    str | None,
    typer.Option("--outputs", help="File with the stack's outputs as JSON, `-` for standard input.", metavar="FILE|-"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
RoomOption = Annotated[str | None, typer.Option(help="Only recordings of this room.", metavar="ID", callback=named)]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the steps that would run, and run none.")]


@lru_cache(maxsize=4)
def _console(stream: Any) -> Console:
    """One for each stream, so that a line does not tear the bar or table that is being drawn there."""
    return Console(file=stream, highlight=False, emoji=False, soft_wrap=True)


@dataclass(frozen=True)
class Frame:
    """Where a command speaks: `story` is stderr, the result goes to stdout once, as text or as JSON."""

    as_json: bool = False
    story: Console = field(default_factory=lambda: _console(sys.stderr))
    out: Console = field(default_factory=lambda: _console(sys.stdout))

    def tell(self, line: str, *, style: str | None = None) -> None:
        """Print one plain line of the story; colour shows only on a terminal."""
        if self.story.is_terminal:
            self.story.print(visible(line), style=style, markup=False)
        else:  # the same, without what composing it for a terminal takes
            self.story.file.write(f"{visible(line)}\n")

    def result(self, data: dict[str, Any], show: Callable[[Console], None]) -> None:
        """Print the result: `data` as one JSON object with --json, else what `show` prints."""
        if self.as_json:
            sys.stdout.write(json.dumps(data, indent=2, default=str) + "\n")
        else:
            show(self.out)

    def run_plan(self, plan: Plan, *, dry_run: bool) -> list[str]:
        """Print each step and, unless `dry_run`, run it; gives the titles, for the result."""
        for step in plan.steps if dry_run else ():
            self._show_step(step, "would")
        if not dry_run:
            plan.apply(before=lambda step: self._show_step(step, "now"))
        return [step.title for step in plan.steps]

    def _show_step(self, step: Step, when: str) -> None:
        self.tell(f"{when}: {step.title}")
        for line in step.details:
            self.tell(f"    {line}")


def load_outputs(stack: str | None, outputs: str | None) -> StackOutputs:
    """Read and validate the outputs of a stack, from exactly one of `--stack` and `--outputs`.

    Raises UsageError, ConfigurationError, or RemoteError where pulumi itself fails (its stderr is shown as it is).
    """
    if (stack is None) == (outputs is None):
        raise UsageError("give either --stack NAME or --outputs FILE (`-` for standard input)")
    return StackOutputs.from_json(_from_stack(stack) if stack is not None else _from_file(outputs or ""))


def _from_file(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"--outputs {name!r} cannot be read: {reason}") from None


def _from_stack(stack: str) -> str:
    done = pulumi("stack", "output", "--json", "--show-secrets", "--stack", stack)
    if done.returncode != 0:
        raise RemoteError(
            f"`{shlex.join(done.args)}` ended with {done.returncode}: see its message above; "
            "is the stack's name right, and was `pulumi up` run?"
        )
    return done.stdout


def pulumi(*arguments: str, quiet: bool = False, story: bool = False) -> subprocess.CompletedProcess[str]:
    """Run `pulumi`, or what PULUMI_COMMAND names, whatever it ends with; its stderr is shown unless `quiet`.

    With `story` its stdout is shown there too, as it comes, rather than given. Raises UsageError where it can't be run.
    """
    command = _pulumi_command(os.environ.get("PULUMI_COMMAND") or "pulumi")
    said, shown = subprocess.PIPE if quiet else None, sys.stderr if story else subprocess.PIPE
    try:
        return subprocess.run(  # noqa: S603
            [*command, *arguments],
            stdout=shown,
            stderr=said,
            encoding="utf-8",
            errors="backslashreplace",
            check=False,
        )
    except OSError as error:
        raise UsageError(
            f"{command[0]!r} cannot be run ({error.strerror}): install pulumi, name another command in "
            "PULUMI_COMMAND, or give --outputs FILE where that is an option"
        ) from None


def _pulumi_command(text: str) -> list[str]:
    try:
        command = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"PULUMI_COMMAND cannot be read as a command ({error}): {text!r}; legal: pulumi") from None
    return command or ["pulumi"]


_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
"""How a disk fails that takes no more; a pipe that nobody reads is Typer's."""


def run(action: Callable[[], None], *, as_json: bool = False) -> None:
    """Run a command's body and end the process with the exit code of its outcome; tell of what gives no answer.

    An error is one message on stderr and, with --json, an object `{"error": {type, message[, until]}}` on stdout.
    """
    try:
        try:
            with told_to(Frame().tell):
                action()
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left in its buffer would fail again at the end
        reason = f"standard output cannot be written: {error.strerror}; what the command did is done: run it again"
        _tell_error(UsageError(reason), as_json=False)
        raise SystemExit(UsageError.exit_code) from None
    except RecordingsError as error:
        _tell_error(error, as_json=as_json)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        Frame().tell("stopped by Ctrl-C")
        raise SystemExit(130) from None


def _tell_error(error: RecordingsError, *, as_json: bool) -> None:
    label = "not due yet" if isinstance(error, NotDueError) else "error"
    message = "\n".join([str(error), *getattr(error, "__notes__", ())])
    Frame().tell(f"{label}: {message}", style="yellow" if label != "error" else "red")
    if as_json:
        body: dict[str, Any] = {"type": type(error).__name__, "message": message}
        if isinstance(error, NotDueError):
            body["until"] = error.until.isoformat()
        sys.stdout.write(json.dumps({"error": body}, indent=2) + "\n")
