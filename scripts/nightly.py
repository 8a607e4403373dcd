"""Look after one environment: rows, keys, deliveries, drift. Prints a report; exit code 1 if people are needed.

Example: python -m scripts.nightly --stack prod > report.md

Runs one command after the other, each whatever became of the others. Exit code 4 of a command (nothing due yet) is
fine. What needs the database is left out where DATABASE_URL is not set. A step of a rotation deploys the stack: it is
taken only where that changes nothing else, so that no change gets past whoever has to approve its deployment.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

import typer

from recordings.cli.frame import DryRunOption, Frame, JsonOption
from recordings.errors import CheckFailedError, NotDueError
from recordings.plans import Plan, Step
from scripts.command import alone
from scripts.github import fenced, headed, write_summary

LONGEST: Final = 6_000
"""Characters of a command's output in the report: its end, where the result is."""


@dataclass(frozen=True)
class Task:
    """One command; `recordings` runs in this Python, anything else is for `pulumi`."""

    arguments: Sequence[str]
    why: str
    needs: str | None = None
    of_pulumi: bool = False
    deploys: bool = False

    @property
    def title(self) -> str:
        """As one would type it."""
        return shlex.join(["pulumi" if self.of_pulumi else "recordings", *self.arguments])

    @property
    def is_possible(self) -> bool:
        """Whether the environment has what it needs."""
        return not self.needs or bool(os.environ.get(self.needs, "").strip())

    def command(self, environ: Mapping[str, str]) -> list[str]:
        """What to run for it."""
        pulumi = shlex.split(environ.get("PULUMI_COMMAND") or "pulumi")
        return [*(pulumi if self.of_pulumi else [sys.executable, "-m", "recordings"]), *self.arguments]


TASKS: Final = (
    Task(["sync", "--since", "3d"], "rows of what 100ms recorded lately", needs="DATABASE_URL"),
    Task(["reconcile"], "what is missing in database, bucket or 100ms", needs="DATABASE_URL"),
    Task(["rotate", "--advance"], "the step that is due of rotating the key of 100ms", deploys=True),
    Task(["rotate", "--reader", "--advance"], "and of rotating the key that signs", deploys=True),
    Task(["watch"], "finished recordings that did not arrive"),
    Task(["doctor"], "everything else that can be wrong"),
    Task(
        ["refresh", "--preview-only", "--expect-no-changes", "--non-interactive"],
        "what somebody changed by hand in the cloud",
        of_pulumi=True,
    ),
)

DEPLOYED: Final = Task(
    ["preview", "--expect-no-changes", "--non-interactive"], "whether what is here is deployed", of_pulumi=True
)
NOT_DEPLOYED: Final = (
    "not taken: it would deploy what is changed here but not deployed yet, or else that cannot be previewed. Run the "
    "deployment, or approve the one that waits; the next night goes on"
)


@dataclass(frozen=True)
class Outcome:
    """How a task ended; `code` is None for one that was left out."""

    task: Task
    code: int | None
    said: str = ""
    seconds: float = 0.0

    @property
    def is_fine(self) -> bool:
        """Whether nobody needs to look."""
        return self.code in (None, 0, NotDueError.exit_code)

    @property
    def word(self) -> str:
        """For the table."""
        if self.code is None:
            return f"left out: {self.task.needs} is not set"
        words = {0: "fine", NotDueError.exit_code: "nothing due yet"}
        return words.get(self.code, f"**look: ended with {self.code}**")

    @property
    def data(self) -> dict[str, Any]:
        """For --json; `said` is what the command printed, both streams."""
        told = {"command": self.task.title, "exitCode": self.code, "isFine": self.is_fine}
        return {**told, "seconds": round(self.seconds, 1), "said": self.said}


def nightly(
    stack: Annotated[str, typer.Option("--stack", "-s", metavar="NAME", help="The environment's stack.")],
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run every task on the stack, print the report, and end with 1 if one needs people."""
    frame = Frame(as_json)
    if dry_run:
        steps = [Step(f"{one.title} --stack {stack}", lambda: None) for one in TASKS if one.is_possible]
        titles = frame.run_plan(Plan(steps), dry_run=True)
        frame.result({"stack": stack, "steps": titles, "dryRun": True}, lambda _: None)
        return
    is_deployed = _carry_out(DEPLOYED, stack).code == 0
    outcomes = [_carry_out(task, stack) if is_deployed or not task.deploys else _ask(task, stack) for task in TASKS]
    text = as_markdown(stack, outcomes)
    write_summary(text)
    result = {"stack": stack, "tasks": [one.data for one in outcomes], "dryRun": False}
    frame.result(result, lambda out: out.print(text, markup=False))
    if not all(outcome.is_fine for outcome in outcomes):
        raise SystemExit(CheckFailedError.exit_code)


def as_markdown(stack: str, outcomes: Sequence[Outcome]) -> str:
    """A table, then what those said that need people."""
    bad = [outcome for outcome in outcomes if not outcome.is_fine]
    head = f"Recordings of {stack}: {f'{len(bad)} of {len(outcomes)} need a look' if bad else 'all is well'}"
    rows = [f"| `{one.task.title}` | {one.task.why} | {one.word} | {one.seconds:.0f} s |" for one in outcomes]
    table = "\n".join(["| command | for | | |", "| --- | --- | --- | --- |", *rows])
    details = [f"### `{one.task.title}`\n\n{fenced(one.said[-LONGEST:])}" for one in bad]
    return headed(head, "\n\n".join([table, *details]))


def _ask(task: Task, stack: str) -> Outcome:
    """Whether there is a step to take, where something else would be deployed with it."""
    asked = _carry_out(replace(task, arguments=[*task.arguments, "--dry-run"]), stack)
    if asked.code != 0:
        return replace(asked, task=task)
    return replace(asked, task=task, code=CheckFailedError.exit_code, said=f"{asked.said}{NOT_DEPLOYED}")


def _carry_out(task: Task, stack: str) -> Outcome:
    if not task.is_possible:
        return Outcome(task, None)
    print(f"now: {task.title}", file=sys.stderr, flush=True)
    begun = time.monotonic()
    try:
        done = subprocess.run(  # noqa: S603
            [*task.command(os.environ), "--stack", stack],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError as error:
        return Outcome(task, 127, f"it cannot be run: {error.strerror}")
    print(done.stdout, file=sys.stderr, flush=True)
    return Outcome(task, done.returncode, done.stdout, time.monotonic() - begun)


app = alone(nightly, __doc__)

if __name__ == "__main__":
    app()
