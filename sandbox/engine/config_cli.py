"""`config`, `config set|get`, as `pulumi` has them."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox.engine.config import Config, full_key
from sandbox.engine.config_path import parse_path, put, typed
from sandbox.engine.errors import EngineError, UsageError
from sandbox.engine.options import Color, Colored, Cwd, Json, NonInteractive, StackName, State, errors, place
from sandbox.engine.tables import table

configuration = typer.Typer(help="The stack's configuration.")

Key = Annotated[str, typer.Argument(help="name, or namespace:name.")]


@configuration.callback(invoke_without_command=True)
def show(
    context: typer.Context,
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    as_json: Json = False,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
) -> None:
    """Print every value, secrets masked; a subcommand sets or prints one."""
    if context.invoked_subcommand is not None:
        return
    with errors():
        opened = place(cwd, stack, state).open(with_program=False)
        config = opened.config()
        if as_json:
            typer.echo(json.dumps({key: _entry(config, key) for key in sorted(config.values)}, indent=2))
            return
        own = f"{opened.project.name}:"
        for line in table([("KEY", "VALUE"), *((key.removeprefix(own), text) for key, text in config.shown().items())]):
            typer.echo(line)


def _entry(config: Config, key: str, *, with_secret: bool = False) -> dict[str, Any]:
    """One value as `--json` has it: the object beside the text of one, no value for a secret unless it is wanted."""
    text, secret = config.values[key], key in config.secret_keys
    entry: dict[str, Any] = {}
    if with_secret or not secret:
        entry["value"] = text
        if text[:1] in ("{", "["):
            with suppress(ValueError):
                entry["objectValue"] = json.loads(text)
    return {**entry, "secret": secret}


@configuration.command("set")
def set_value(
    key: Key,
    value: Annotated[str | None, typer.Argument(help="The value; else read from standard input.")] = None,
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    secret: Annotated[bool, typer.Option("--secret", help="Encrypt it. Give it on standard input.")] = False,
    plaintext: Annotated[bool, typer.Option("--plaintext", help="Keep it readable.")] = False,
    path: Annotated[bool, typer.Option("--path", help="The key is a path into an object or list.")] = False,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
) -> None:
    """Set a value in Pulumi.<stack>.yaml."""
    with errors():
        if secret and plaintext:
            raise UsageError("--secret and --plaintext exclude each other")
        text = value if value is not None else sys.stdin.read().removesuffix("\n")
        opened = place(cwd, stack, state).open(with_program=False)
        first, *steps = parse_path(key) if path else list[str | int]([key])
        full = full_key(opened.project, str(first))
        same = [raw for raw in opened.file.config if full_key(opened.project, raw) == full]
        before = [opened.file.config.pop(raw) for raw in same]
        if secret:
            opened.adopt_salt()
        kept: Any = {"secure": opened.config_manager.encrypt(text)} if secret else typed(text) if path else text
        opened.file.config[full] = put(before[-1] if before and steps else None, steps, kept)
        opened.file.write()


@configuration.command("get")
def get_value(
    key: Key,
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    as_json: Json = False,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
) -> None:
    """Print a value, decrypted."""
    with errors():
        opened = place(cwd, stack, state).open(with_program=False)
        full = full_key(opened.project, key)
        config = opened.config()
        if full not in config.values:
            raise EngineError(f"configuration key '{key}' not found for stack '{opened.name}'")
        typer.echo(json.dumps(_entry(config, full, with_secret=True), indent=2) if as_json else config.values[full])
