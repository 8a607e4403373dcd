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
from sandbox.engine.display import Display
from sandbox.engine.goal import Goal
from sandbox.engine.options import (
    Cwd,
    Diff,
    Json,
    NoChanges,
    NonInteractive,
    Operation,
    PreviewOnly,
    SkipPreview,
    StackName,
    State,
    Yes,
    check_can_ask,
    confirm,
    errors,
    expect_none,
    place,
    run,
    show_for,
)
from sandbox.engine.stack import Place, Stack
from sandbox.engine.stack_cli import stacks

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.add_typer(stacks, name="stack")
app.add_typer(configuration, name="config")

Refresh = Annotated[bool, typer.Option("--refresh", "-r", help="Take what the cloud has into the state first.")]


@dataclass(frozen=True)
class _Way:
    """How an operation is gone about, as the options say."""

    name: str
    as_json: bool
    diff: bool
    yes: bool
    skip_preview: bool
    preview_only: bool = False
    non_interactive: bool = False
    no_changes: bool = False

    def go(self, where: Place, preview: Operation, operation: Operation, *, first: Operation | None = None) -> Stack:
        """Lock, resolve what a killed run left, preview, ask, do. Raises EngineError."""
        if not self.preview_only:
            check_can_ask(yes=self.yes or self.skip_preview, non_interactive=self.non_interactive)
        with where.backend.lock(where.stack):
            opened = where.open(with_program=self.name == "update")
            show = show_for(opened, as_json=self.as_json, diff=self.diff, operation=self.name)
            ahead = show if self.preview_only or not self.as_json else Display(sys.stderr, opened.name, self.name)
            if not self.preview_only:
                run(ahead, lambda: operations.recover(opened, ahead))
            if first is not None:
                run(ahead, lambda: first(opened, Display(sys.stderr, opened.name, "refresh")))
            if not self.skip_preview or self.preview_only:
                run(ahead, lambda: preview(opened, ahead))
            if not self.preview_only:
                confirm(
                    f"Do you want to perform this {self.name}?",
                    yes=self.yes or self.skip_preview,
                    non_interactive=self.non_interactive,
                )
                run(show, lambda: operation(opened, show))
            # after the operation, as `pulumi` has it
            expect_none(show, wanted=self.no_changes)
            return opened


@app.command()
def preview(
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    as_json: Json = False,
    diff: Diff = False,
    expect_no_changes: NoChanges = False,
    non_interactive: NonInteractive = False,
) -> None:
    """Show what `up` would create, update, replace and delete."""
    with errors():
        opened = place(cwd, stack, state).open()
        show = show_for(opened, as_json=as_json, diff=diff)
        run(show, lambda: operations.preview(opened, show))
        expect_none(show, wanted=expect_no_changes)


@app.command()
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
) -> None:
    """Bring the stack to what the program declares."""
    with errors():
        way = _Way(
            "update", as_json, diff, yes, skip_preview, non_interactive=non_interactive, no_changes=expect_no_changes
        )
        first = operations.refresh if refresh else None
        way.go(place(cwd, stack, state), operations.preview, operations.update, first=first)


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
) -> None:
    """Take into the state what the cloud has; the program is not run and nothing in the cloud is changed."""
    with errors():
        way = _Way("refresh", as_json, diff, yes, skip_preview, preview_only, non_interactive, expect_no_changes)
        way.go(place(cwd, stack, state), operations.preview_refresh, operations.refresh)


@app.command()
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
) -> None:
    """Delete every resource of the stack; the stack itself stays."""
    with errors():
        way = _Way("destroy", as_json, diff, yes, skip_preview, preview_only, non_interactive)
        opened = way.go(place(cwd, stack, state), operations.preview_destroy, operations.destroy)
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
) -> None:
    """Take a resource that exists into the state. Declare it in the program too, or the next `up` deletes it."""
    with errors():
        check_can_ask(yes=yes or skip_preview, non_interactive=non_interactive)
        where = place(cwd, stack, state)
        goal = Goal(type_, name, custom=True, parent=parent, provider=provider, protect=protect, import_id=id_)
        with where.backend.lock(where.stack):
            opened = where.open(with_program=False)
            show = show_for(opened, as_json=as_json, diff=False, operation="import")
            confirm(
                f"Do you want to import {type_} {id_!r} as {name!r}?",
                yes=yes or skip_preview,
                non_interactive=non_interactive,
            )
            run(show, lambda: operations.recover(opened, show))
            run(show, lambda: operations.adopt(opened, show, goal))
