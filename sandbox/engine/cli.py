"""The engine's commands, named and shaped as `pulumi` has them: parse, call `run`, print, exit code.

Results go to stdout, errors to stderr as `error: …`. Exit codes are those of `errors`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from sandbox.engine import run as operations
from sandbox.engine.config_cli import configuration
from sandbox.engine.errors import UnsupportedError
from sandbox.engine.goal import Goal
from sandbox.engine.options import (
    Color,
    Colored,
    Cwd,
    Diff,
    Json,
    Look,
    NoChanges,
    NonInteractive,
    Operation,
    PreviewOnly,
    ShowSames,
    SkipPreview,
    StackName,
    State,
    SuppressOutputs,
    Yes,
    check_can_ask,
    confirm,
    errors,
    existing,
    expect_none,
    operable,
    run,
)
from sandbox.engine.stack import Place, Stack
from sandbox.engine.stack_cli import stacks, states
from sandbox.usage import Group

app = typer.Typer(no_args_is_help=True, add_completion=False, cls=Group)
app.add_typer(stacks, name="stack")
app.add_typer(states, name="state")
app.add_typer(configuration, name="config")

Refresh = Annotated[bool, typer.Option("--refresh", "-r", help="Take what the cloud has into the state first.")]


@dataclass(frozen=True)
class _Way:
    """How an operation is gone about, as the options say."""

    name: str
    look: Look
    yes: bool
    skip_preview: bool
    preview_only: bool = False
    non_interactive: bool = False
    no_changes: bool = False

    def go(self, where: Place, preview: Operation, operation: Operation, *, first: Operation | None = None) -> Stack:
        """Lock, resolve what a killed run left, preview, ask, do. Raises EngineError."""
        if not self.preview_only:
            check_can_ask(self.name, yes=self.yes or self.skip_preview, non_interactive=self.non_interactive)
        with where.backend.lock(where.stack):
            opened = where.open(with_program=self.name == "update")
            show = self.look.show(opened, self.name)
            aside = self.look.as_json and not self.preview_only
            ahead = self.look.display(sys.stderr, opened, self.name) if aside else show
            if not self.preview_only:
                run(ahead, lambda: operations.recover(opened, ahead))
            if first is not None:
                run(ahead, lambda: first(opened, self.look.display(sys.stderr, opened, "refresh")))
            if not self.skip_preview or self.preview_only:
                run(ahead, lambda: preview(opened, ahead))
            if not self.preview_only:
                confirm(f"Do you want to perform this {self.name}?", yes=self.yes or self.skip_preview)
                run(show, lambda: operation(opened, show))
            # after the operation, as `pulumi` has it
            expect_none(show, wanted=self.no_changes)
            return opened


@app.command("preview")
def preview(
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    as_json: Json = False,
    diff: Diff = False,
    expect_no_changes: NoChanges = False,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
    suppress_outputs: SuppressOutputs = False,
    show_sames: ShowSames = False,
) -> None:
    """Show what `up` would create, update, replace and delete."""
    with errors():
        if show_sames and not as_json:
            raise UnsupportedError("--show-sames without --json is not supported")
        opened = operable(cwd, stack, state).open()
        show = Look(as_json, diff, color, suppress_outputs, show_sames).show(opened)
        run(show, lambda: operations.preview(opened, show))
        expect_none(show, wanted=expect_no_changes)


@app.command("up")
def up(
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    as_json: Json = False,
    yes: Yes = False,
    skip_preview: SkipPreview = False,
    diff: Diff = False,
    refresh: Refresh = False,
    expect_no_changes: NoChanges = False,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
    suppress_outputs: SuppressOutputs = False,
) -> None:
    """Bring the stack to what the program declares."""
    with errors():
        look = Look(as_json, diff, color, suppress_outputs)
        way = _Way("update", look, yes, skip_preview, non_interactive=non_interactive, no_changes=expect_no_changes)
        first = operations.refresh if refresh else None
        way.go(operable(cwd, stack, state), operations.preview_update, operations.update, first=first)


@app.command("refresh")
def refresh_state(
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    as_json: Json = False,
    yes: Yes = False,
    skip_preview: SkipPreview = False,
    preview_only: PreviewOnly = False,
    diff: Diff = False,
    expect_no_changes: NoChanges = False,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
    suppress_outputs: SuppressOutputs = False,
) -> None:
    """Take into the state what the cloud has; the program is not run and nothing in the cloud is changed."""
    with errors():
        look = Look(as_json, diff, color, suppress_outputs)
        way = _Way("refresh", look, yes, skip_preview, preview_only, non_interactive, expect_no_changes)
        way.go(existing(cwd, stack, state), operations.preview_refresh, operations.refresh)


@app.command("destroy")
def destroy(
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    as_json: Json = False,
    yes: Yes = False,
    skip_preview: SkipPreview = False,
    preview_only: PreviewOnly = False,
    diff: Diff = False,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
    suppress_outputs: SuppressOutputs = False,
) -> None:
    """Delete every resource of the stack; the stack itself stays."""
    with errors():
        look = Look(as_json, diff, color, suppress_outputs)
        way = _Way("destroy", look, yes, skip_preview, preview_only, non_interactive)
        opened = way.go(existing(cwd, stack, state), operations.preview_destroy, operations.destroy)
        if not as_json and not preview_only:
            typer.echo(
                "\nThe resources in the stack have been deleted, but the history and configuration associated with "
                "the stack are still maintained. \nIf you want to remove the stack completely, run "
                f"`stack rm {opened.name}`."
            )


@app.command("import")
def import_resource(
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="Such as aws:s3/bucket:Bucket.")],
    name: Annotated[str, typer.Argument(help="The name that the program will give it.")],
    id_: Annotated[str, typer.Argument(metavar="ID", help="What the cloud calls it.")],
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    as_json: Json = False,
    yes: Yes = False,
    skip_preview: SkipPreview = False,
    parent: Annotated[str, typer.Option(help="The URN of its parent.")] = "",
    provider: Annotated[str, typer.Option(help="The reference (URN::id) of its provider.")] = "",
    protect: Annotated[bool, typer.Option(help="Protect it from deletion.")] = True,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
    suppress_outputs: SuppressOutputs = False,
) -> None:
    """Take a resource that exists into the state. Declare it in the program too, or the next `up` deletes it."""
    with errors():
        check_can_ask("import", yes=yes or skip_preview, non_interactive=non_interactive)
        where = operable(cwd, stack, state)
        goal = Goal(type_, name, custom=True, parent=parent, provider=provider, protect=protect, import_id=id_)
        with where.backend.lock(where.stack):
            opened = where.open(with_program=False)
            show = Look(as_json, color=color, suppress_outputs=suppress_outputs).show(opened, "import")
            confirm(f"Do you want to import {type_} {id_!r} as {name!r}?", yes=yes or skip_preview)
            run(show, lambda: operations.recover(opened, show))
            run(show, lambda: operations.adopt(opened, show, goal))
