"""How the demo runs and shows its steps: one line each, with its time; a failure says what to do.

Owns printing, timing and the outcome. Does not know what the steps are (`sandbox.demo.job` does).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from recordings.redact import redact

TITLE_WIDTH = 38


class StepError(Exception):
    """A step did not do what it should; the message says what happened."""


@dataclass(frozen=True)
class DemoStep:
    """`run` does the step and gives the detail to show; `remedy` is the next act if it fails."""

    title: str
    run: Callable[[], str]
    remedy: str


def run_steps(steps: Sequence[DemoStep], console: Console) -> bool:
    """Run steps in order, a line each; stops at the first failure. True if all went well."""
    begun = time.monotonic()
    for number, step in enumerate(steps, start=1):
        if not _run_step(number, len(steps), step, console):
            return False
    console.print(f"\n[bold green]done[/]: the whole job in {time.monotonic() - begun:.1f} s, and nothing left behind")
    return True


def _run_step(number: int, count: int, step: DemoStep, console: Console) -> bool:
    begun = time.monotonic()
    failure, detail = None, ""
    with console.status(f"{step.title} …"):
        try:
            detail = step.run()
        except StepError as error:
            failure = str(error)
        except Exception as error:
            # A step talks to servers by four clients: whatever one of them raises is this step's failure.
            failure = redact(f"{type(error).__name__}: {error}")
    mark = "[red]✗[/]" if failure else "[green]✓[/]"
    line = f"{mark} {number:>2}/{count}  {step.title:<{TITLE_WIDTH}} [dim]{time.monotonic() - begun:5.1f} s[/]"
    console.print(f"{line}  {escape(detail)}".rstrip())
    if failure:
        console.print(f"\n[red]failed[/]: {escape(failure)}\n[bold]what to do[/]: {escape(step.remedy)}")
    return failure is None
