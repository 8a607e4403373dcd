"""What `register` and `unregister` share: the place they work on, from the environment, and how they show a plan."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from recordings.cli.frame import Frame
from recordings.cli.text import escape
from recordings.errors import CheckFailedError
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.memory import Memory
from recordings.outputs import StackOutputs
from recordings.registration import Intent, Place
from recordings.stores import Identity, open_store

TemplateOption = Annotated[
    list[str] | None,
    typer.Option("--template", "-t", metavar="ID", help="100ms template to work on; repeat it for several."),
]


@contextmanager
def open_place(outputs: StackOutputs, frame: Frame) -> Iterator[Place]:
    """Open 100ms, the bucket as the operator, and its memory. Raises ConfigurationError for missing credentials."""
    credentials = HmsCredentials.from_environment(os.environ)
    operator = open_store(outputs, Identity.OPERATOR)
    memory = Memory.open(operator, credentials)
    with HmsClient(credentials) as client:
        yield Place(client, operator, memory, outputs)


def show_intent(frame: Frame, intent: Intent, *, dry_run: bool) -> None:
    """Print the steps, run them unless `dry_run`, and print what becomes of each template.

    Ends the process with exit code 1 if there are faults, after everything that could be done was done.
    """
    steps = frame.run_plan(intent.plan, dry_run=dry_run)

    def show(out: Console) -> None:
        for id_, state in intent.templates.items():
            out.print(f"template {id_}: {escape(state)}{' (not yet: dry run)' if dry_run and steps else ''}")
        if not intent.templates:
            out.print("no template is configured or remembered: nothing to do")

    result = {"templates": dict(intent.templates), "steps": steps, "faults": list(intent.faults), "dryRun": dry_run}
    frame.result(result, show)
    for fault in intent.faults:
        frame.tell(f"fault: {fault}", style="red")
    if intent.faults:
        raise SystemExit(CheckFailedError.exit_code)
