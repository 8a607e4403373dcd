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
        config = place(cwd, stack, state).open(with_program=False).config()
        for key, value in () if as_json else config.shown().items():
            typer.echo(f"{key}  {value}")
        if as_json:
            typer.echo(json.dumps({key: _entry(config, key) for key in sorted(config.values)}, indent=2))


def _entry(config: Config, key: str) -> dict[str, Any]:
    """As `pulumi config --json` has it: no value for a secret, the object beside the text of one."""
    if key in config.secret_keys:
        return {"secret": True}
    text = config.values[key]
    entry: dict[str, Any] = {"value": text, "secret": False}
    if text[:1] in ("{", "["):
        with suppress(ValueError):
            entry["objectValue"] = json.loads(text)
    return entry


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
        secret = full in config.secret_keys
        value = config.values[full]
        typer.echo(json.dumps({"name": full, "value": value, "secret": secret}) if as_json else value)
