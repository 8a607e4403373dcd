"""Take a stack down: templates back, recordings done, keys inactive, bucket emptied, `destroy`, stack removed.

Example: python -m scripts.teardown --stack pr-7

For test stacks (those with `recordings:expiresAt`). Any other, a protected or production one first of all, is refused
unless its name is typed: `--confirm NAME`, or when asked on a terminal. After an interruption run it again, at any
time: it does what is left. Exit code 4: recordings still go into the bucket; the message says when to come back.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from recordings.cli.frame import DryRunOption, Frame, JsonOption, pulumi, run
from recordings.cli.place import open_place
from recordings.cli.text import escape
from recordings.durations import parse_duration
from recordings.shown import counted
from recordings.stacks import Stacks
from recordings.teardown import Target, Teardown, Wish, check_named, look
from recordings.teardown_waiting import Waiting
from scripts.command import alone

StopOption = Annotated[
    bool, typer.Option("--stop-recordings", help="Stop the recordings that still go into the bucket.")
]
WaitOption = Annotated[
    str, typer.Option(metavar="T", help="How long to wait for recordings before ending with exit code 4.")
]


def teardown(
    stack: Annotated[str, typer.Option("--stack", "-s", metavar="NAME", help="The stack to take down.")],
    confirm: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its name, for a stack that is no test stack.")
    ] = None,
    stop_recordings: StopOption = False,
    wait: WaitOption = "0s",
    accept_missing_templates: Annotated[
        bool, typer.Option("--accept-missing-templates", help="Go on although 100ms does not know a template.")
    ] = False,
    leave_rooms: Annotated[
        bool, typer.Option("--leave-rooms", help="Go on although rooms have the bucket in settings of their own.")
    ] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Take a stack down, and everything that belongs to it, in the order in which nothing is lost."""

    def action() -> None:
        frame = Frame(as_json)
        waiting = Waiting(parse_duration(wait))
        wish = Wish(stop_recordings, accept_missing_templates, leave_rooms)
        target = look(Stacks(pulumi), stack)
        typed = confirm
        if target is not None and target.must_be_named and typed is None and not dry_run:
            typed = ask(target)
        if target is not None and not (dry_run and typed is None):
            check_named(target, typed)
        steps = take_down(frame, target, wish, waiting, dry_run=dry_run)
        show(frame, stack, target, steps, dry_run=dry_run)

    run(action, as_json=as_json)


def take_down(frame: Frame, target: Target | None, wish: Wish, waiting: Waiting, *, dry_run: bool = False) -> list[str]:
    """Plan and carry out; gives the titles of the steps, none for a stack that does not exist."""
    if target is None:
        return []
    with ExitStack() as opened:
        place = opened.enter_context(open_place(target.outputs, frame)) if target.outputs else None
        tick = opened.enter_context(deleting(frame))
        plan = Teardown(target, Stacks(pulumi), place, wish, waiting, tick).plan()
        return frame.run_plan(plan, dry_run=dry_run)


def ask(target: Target) -> str | None:
    """The name as somebody at a terminal types it; None where nobody can be asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None
    typer.echo(f"stack {target.name}: {'; '.join(target.must_be_named)}", err=True)
    typed: str = typer.prompt("type its name to take it down with all its recordings", default="", err=True)
    return typed


@contextmanager
def deleting(frame: Frame) -> Iterator[Callable[[int], None]]:
    """A count of what was deleted, on a terminal; nothing elsewhere."""
    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} versions deleted"), TimeElapsedColumn())
    with Progress(*columns, console=frame.story, transient=True, disable=not frame.story.is_terminal) as bar:
        task = bar.add_task("", total=None, visible=False)

        def tick(count: int) -> None:
            bar.update(task, advance=count, visible=True)

        yield tick


def show(frame: Frame, name: str, target: Target | None, steps: Sequence[str], *, dry_run: bool) -> None:
    """Print the result."""
    data: dict[str, Any] = {"stack": name, "existed": target is not None, "steps": steps, "dryRun": dry_run}

    def text(out: Console) -> None:
        if target is None:
            out.print(f"stack {escape(name)} does not exist: nothing to do")
        elif dry_run:
            out.print(f"stack {escape(name)}: {counted(len(steps), 'step')}, none run (dry run)")
            for reason in target.must_be_named:
                out.print(f"it would have to be named (--confirm {escape(target.name)}): {escape(reason)}")
        else:
            out.print(f"stack {escape(name)} is gone")

    frame.result(data, text)


app = alone(teardown, __doc__)

if __name__ == "__main__":
    app()
