"""`config set|get`, as `pulumi` has them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from sandbox.engine.config import full_key
from sandbox.engine.errors import EngineError, UsageError
from sandbox.engine.options import Color, Colored, Cwd, Json, NonInteractive, StackName, State, errors, place

configuration = typer.Typer(no_args_is_help=True, help="The stack's configuration.")

Key = Annotated[str, typer.Argument(help="name, or namespace:name.")]


@configuration.command("set")
def set_value(
    key: Key,
    value: Annotated[str | None, typer.Argument(help="The value; else read from standard input.")] = None,
    cwd: Cwd = Path(),
    stack: StackName = None,
    state: State = None,
    secret: Annotated[bool, typer.Option("--secret", help="Encrypt it. Give it on standard input.")] = False,
    plaintext: Annotated[bool, typer.Option("--plaintext", help="Keep it readable.")] = False,
    non_interactive: NonInteractive = False,
    color: Colored = Color.AUTO,
) -> None:
    """Set a value in Pulumi.<stack>.yaml."""
    with errors():
        if secret and plaintext:
            raise UsageError("--secret and --plaintext exclude each other")
        text = value if value is not None else sys.stdin.read().removesuffix("\n")
        opened = place(cwd, stack, state).open(with_program=False)
        full = full_key(opened.project, key)
        same = [raw for raw in opened.file.config if full_key(opened.project, raw) == full]
        for raw in same:
            del opened.file.config[raw]
        if secret:
            opened.adopt_salt()
            opened.file.config[full] = {"secure": opened.config_manager.encrypt(text)}
        else:
            opened.file.config[full] = text
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
        secret = full in config.secret_keys
        value = config.values[full]
        typer.echo(json.dumps({"name": full, "value": value, "secret": secret}) if as_json else value)
