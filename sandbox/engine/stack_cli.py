"""`stack output|ls|init|select|rm` and `state unprotect --all`, as `pulumi` has them.

Every command takes `--non-interactive` and `--color`, as `pulumi` does, also where it neither asks nor colours.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox.engine.backend import Backend
from sandbox.engine.errors import EngineError, StackNotFoundError, UnsupportedError, UsageError
from sandbox.engine.options import (
    Color,
    Colored,
    Cwd,
    Json,
    NonInteractive,
    ShowSecrets,
    StackName,
    State,
    Yes,
    check_can_ask,
    confirm,
    errors,
    place,
)
from sandbox.engine.stack import Place

stacks = typer.Typer(no_args_is_help=True, help="Stacks and their outputs.")
states = typer.Typer(no_args_is_help=True, help="What the engine remembers of a stack.")

Name = Annotated[str, typer.Argument(help="The stack.")]


@stacks.command("output")
def output(
    name: Annotated[str | None, typer.Argument(help="One output; else all.")] = None,
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    as_json: Json = False,
    show_secrets: ShowSecrets = False,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
) -> None:
    """Print the stack's outputs."""
    with errors():
        outputs = place(cwd, stack, state).outputs(show_secrets=show_secrets)
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


@stacks.command("ls")
def list_stacks(
    cwd: Cwd = Path(),
    state: State = None,
    as_json: Json = False,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
) -> None:
    """List the project's stacks; the selected one is marked."""
    with errors():
        backend = Place.backend_of(cwd, state, os.environ)
        selected = os.environ.get("PULUMI_STACK") or backend.selected()
        names = backend.stacks()
        if as_json:
            listed = [
                {"name": name, "current": name == selected, "resourceCount": _resources(backend, name)}
                for name in names
            ]
            typer.echo(json.dumps(listed, indent=2))
        for name in names if not as_json else ():
            typer.echo(f"{name}{'*' if name == selected else ''}")


@stacks.command("init")
def init(
    name: Annotated[str | None, typer.Argument(help="The stack; else as --stack.")] = None,
    cwd: Cwd = Path(),
    stack: Annotated[str | None, typer.Option("--stack", "-s", help="The stack.")] = None,
    state: State = None,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
) -> None:
    """Make an empty stack with a secrets manager of its own, and select it."""
    with errors():
        if (name is None) == (stack is None):
            raise UsageError("name the stack to be made, as an argument or by --stack, not both")
        where = place(cwd, name or stack, state)
        with where.backend.lock(where.stack):
            opened = where.open(with_program=False)
            if opened.exists:
                raise EngineError(f"stack '{where.stack}' already exists")
            opened.adopt_salt()
            opened.save(opened.checkpoint)
        where.backend.select(where.stack)
        typer.echo(f"Created stack '{where.stack}'")


@stacks.command("select")
def select(
    name: Name,
    cwd: Cwd = Path(),
    state: State = None,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
) -> None:
    """Choose the stack that commands without --stack mean."""
    with errors():
        where = place(cwd, name, state)
        if where.stack not in where.backend.stacks():
            raise StackNotFoundError(f"no stack named '{where.stack}' found; there are {where.backend.stacks()}")
        where.backend.select(where.stack)


@stacks.command("rm")
def remove(
    name: Annotated[str | None, typer.Argument(help="The stack; else as --stack.")] = None,
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    yes: Yes = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Forget resources that still exist.")] = False,
    preserve_config: Annotated[bool, typer.Option("--preserve-config", help="Keep Pulumi.<stack>.yaml.")] = False,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
) -> None:
    """Forget a stack, its history and its configuration."""
    with errors():
        where = place(cwd, name or stack, state)
        with where.backend.lock(where.stack):
            raw = where.backend.read(where.stack)
            if raw is None:
                raise StackNotFoundError(f"no stack named '{where.stack}' found; there are {where.backend.stacks()}")
            if raw["checkpoint"].get("latest", {}).get("resources") and not force:
                raise UsageError(
                    f"'{where.stack}' still has resources; removal rejected. Run `destroy` first; "
                    "--force forgets them and leaves them in the cloud"
                )
            check_can_ask("stack rm", yes=yes, non_interactive=non_interactive)
            confirm(f"This will permanently remove the '{where.stack}' stack!", yes=yes)
            where.backend.remove(where.stack)
            if not preserve_config:
                where.project.stack_file(where.stack).unlink(missing_ok=True)
        typer.echo(f"Stack '{where.stack}' has been removed!")


@states.callback()
def _group() -> None:
    """A group, however few commands it has."""


@states.command("unprotect")
def unprotect(
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    everything: Annotated[bool, typer.Option("--all", help="Every resource of the stack.")] = False,
    yes: Yes = False,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
) -> None:
    """Let resources be deleted; the next `up` protects again what the program protects."""
    with errors():
        if not everything:
            raise UnsupportedError("one resource by its URN is not supported by this engine: give --all")
        where = place(cwd, stack, state)
        with where.backend.lock(where.stack):
            opened = where.open(with_program=False)
            if not opened.exists:
                raise StackNotFoundError(f"no stack named '{where.stack}' found; there are {where.backend.stacks()}")
            check_can_ask("state unprotect", yes=yes, non_interactive=non_interactive)
            confirm(f"This will unprotect every resource of '{where.stack}'!", yes=yes)
            for resource in opened.checkpoint.resources:
                resource.protect = False
            opened.save(opened.checkpoint)
        typer.echo("All resources unprotected")


def _resources(backend: Backend, stack: str) -> int:
    """How many resources its state has, the stack itself included, as `pulumi` counts them."""
    latest = ((backend.read(stack) or {}).get("checkpoint") or {}).get("latest") or {}
    return len(latest.get("resources") or [])


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
