"""The engine's commands, named and shaped as `pulumi` has them: parse, call `run`, print, exit code.

Results go to stdout, errors to stderr as `error: …`. Exit codes are those of `errors`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox.engine.display import Display
from sandbox.engine.errors import CancelledError, ChangesError, EngineError, UsageError
from sandbox.engine.run import Place, Show, Stack, preview_destroy, update
from sandbox.engine.run import destroy as run_destroy
from sandbox.engine.run import preview as run_preview

app = typer.Typer(no_args_is_help=True, add_completion=False)
stacks = typer.Typer(no_args_is_help=True, help="Stacks and their outputs.")
app.add_typer(stacks, name="stack")

Cwd = Annotated[Path, typer.Option("--cwd", "-C", help="The project's folder.")]
StackName = Annotated[
    str | None, typer.Option("--stack", "-s", help="The stack; else PULUMI_STACK, else the selected.")
]
State = Annotated[Path | None, typer.Option("--state", help="The state folder; else PULUMI_BACKEND_URL (file://…).")]
Json = Annotated[bool, typer.Option("--json", "-j", help="Print one JSON object.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
SkipPreview = Annotated[bool, typer.Option("--skip-preview", "-f", help="Do it without a preview.")]
Diff = Annotated[bool, typer.Option("--diff", help="Show a diff by property.")]
ShowSecrets = Annotated[bool, typer.Option("--show-secrets", help="Show secrets in plain text.")]
NoChanges = Annotated[bool, typer.Option("--expect-no-changes", help="Fail if anything would change.")]
NonInteractive = Annotated[bool, typer.Option("--non-interactive", help="Never ask.")]


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
    with _errors():
        opened = Place.find(cwd, stack, state, os.environ).open()
        show = _show(opened, as_json=as_json, diff=diff)
        _run(show, lambda: run_preview(opened, show))
        _expect(show, expected=expect_no_changes)


@app.command()
def up(
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    as_json: Json = False,
    yes: Yes = False,
    skip_preview: SkipPreview = False,
    diff: Diff = False,
    expect_no_changes: NoChanges = False,
    non_interactive: NonInteractive = False,
) -> None:
    """Bring the stack to what the program declares."""
    with _errors():
        _operate(
            Place.find(cwd, stack, state, os.environ),
            (run_preview, update),
            lambda opened: _show(opened, as_json=as_json, diff=diff),
            ask=not (yes or skip_preview),
            interactive=_interactive(non_interactive),
            preview_first=not skip_preview,
            expect_no_changes=expect_no_changes,
        )


@app.command()
def destroy(
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    as_json: Json = False,
    yes: Yes = False,
    skip_preview: SkipPreview = False,
    diff: Diff = False,
    non_interactive: NonInteractive = False,
) -> None:
    """Delete every resource of the stack; the stack itself stays."""
    with _errors():
        opened = _operate(
            Place.find(cwd, stack, state, os.environ),
            (preview_destroy, run_destroy),
            lambda opened: _show(opened, as_json=as_json, diff=diff, operation="destroy"),
            ask=not (yes or skip_preview),
            interactive=_interactive(non_interactive),
            preview_first=not skip_preview,
        )
        if not as_json:
            typer.echo(
                "\nThe resources in the stack have been deleted, but the history and configuration associated with "
                "the stack are still maintained.\nIf you want to remove the stack completely, run "
                f"`python -m sandbox stack rm {opened.name}`."
            )


@stacks.command("output")
def stack_output(
    name: Annotated[str | None, typer.Argument(help="One output; else all.")] = None,
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    as_json: Json = False,
    show_secrets: ShowSecrets = False,
) -> None:
    """Print the stack's outputs."""
    with _errors():
        outputs = Place.find(cwd, stack, state, os.environ).outputs(show_secrets=show_secrets)
        if name is not None and name not in outputs:
            raise EngineError(f"current stack does not have output property '{name}'; it has {sorted(outputs)}")
        chosen: Any = outputs if name is None else outputs[name]
        if as_json:
            typer.echo(json.dumps(chosen, indent=2, ensure_ascii=False))
        elif name is not None:
            typer.echo(_plain(chosen))
        else:
            width = max(map(len, outputs), default=0)
            typer.echo(f"Current stack outputs ({len(outputs)}):")
            for key, value in outputs.items():
                typer.echo(f"    {key:<{width}}  {_plain(value)}")


def _operate(
    place: Place,
    operations: tuple[Callable[[Stack, Show], None], Callable[[Stack, Show], None]],
    show_for: Callable[[Stack], Show],
    *,
    ask: bool,
    interactive: bool,
    preview_first: bool,
    expect_no_changes: bool = False,
) -> Stack:
    """Lock, preview, ask, do. Raises EngineError."""
    if ask and not interactive:
        raise UsageError("--yes or --skip-preview must be passed in to proceed when running in non-interactive mode")
    with place.backend.lock(place.stack):
        opened = place.open()
        show = show_for(opened)
        preview_operation, operation = operations
        if preview_first:
            ahead = show if isinstance(show, Display) else Display(sys.stderr, opened.name)
            _run(ahead, lambda: preview_operation(opened, ahead))
            _expect(ahead, expected=expect_no_changes)
        if ask and not typer.confirm("Do you want to perform this?"):
            raise CancelledError("declined; nothing was changed")
        _run(show, lambda: operation(opened, show))
        if not preview_first:
            _expect(show, expected=expect_no_changes)
        return opened


def _run(show: Show, operation: Callable[[], None]) -> None:
    """Run, and show the messages that a failed run left."""
    try:
        operation()
    except EngineError:
        show.diagnostics()
        raise


def _show(opened: Stack, *, as_json: bool, diff: bool, operation: str = "update") -> Show:
    if as_json:
        from sandbox.engine.digest import Digest

        return Digest(sys.stdout, opened.config().shown())
    return Display(sys.stdout, opened.name, operation, diff)


def _expect(show: Show, *, expected: bool) -> None:
    if expected and any(number for op, number in show.changes.items() if op != "same"):
        raise ChangesError("no changes were expected but changes were proposed")


def _interactive(non_interactive: bool) -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and not non_interactive


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        typer.echo("error: the run was stopped", err=True)
        raise typer.Exit(CancelledError.exit_code) from None
