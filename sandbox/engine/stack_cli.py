"""`stack output|ls|init|select|rm` and `state unprotect --all`, as `pulumi` has them.

Every command takes `--non-interactive` and `--color`, as `pulumi` does, also where it neither asks nor colours.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
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
from sandbox.engine.tables import ago, table

stacks = typer.Typer(no_args_is_help=True, help="Stacks and their outputs.")
states = typer.Typer(no_args_is_help=True, help="What the engine remembers of a stack.")


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
            typer.echo(f"Current stack outputs ({len(outputs)}):")
            rows = [("OUTPUT", "VALUE"), *((key, _plain(outputs[key])) for key in sorted(outputs))]
            for line in table(rows, "    ") if outputs else ("    No output values currently in this stack",):
                typer.echo(line)


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
        listed = [_listed(backend, name, selected) for name in backend.stacks()]
        if as_json:
            typer.echo(json.dumps(listed, indent=2))
            return
        for line in table([("NAME", "LAST UPDATE", "RESOURCE COUNT"), *map(_row, listed)]):
            typer.echo(line)


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
    name: Annotated[str, typer.Argument(help="The stack.")],
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


def _listed(backend: Backend, stack: str, selected: str | None) -> dict[str, Any]:
    """One stack as `stack ls --json` has it; the stack itself counts as a resource."""
    latest = ((backend.read(stack) or {}).get("checkpoint") or {}).get("latest") or {}
    listed: dict[str, Any] = {"name": stack, "current": stack == selected}
    if at := _time(latest):
        listed["lastUpdate"] = f"{at.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
    return {**listed, "resourceCount": len(latest.get("resources") or [])}


def _row(listed: Mapping[str, Any]) -> tuple[str, str, str]:
    at = listed.get("lastUpdate")
    since = ago((datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds()) if at else "n/a"
    return f"{listed['name']}{'*' if listed['current'] else ''}", since, str(listed["resourceCount"])


def _time(latest: Mapping[str, Any]) -> datetime | None:
    """When the state was written, in UTC, if it says so."""
    try:
        return datetime.fromisoformat(latest["manifest"]["time"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError):
        return None


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
