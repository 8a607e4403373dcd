"""The command `recordings`: parse, call the library, print, exit code. One thin module a subcommand.

Owns which subcommands there are. The module of one is imported when it is asked for, so that no command waits for what
only others need; the list in `--help` asks for all.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final, cast

import typer
from typer.main import get_command

from recordings.cli.help import Command, Group
from recordings.cli.text import prepare_output

# httpx imports a command line of its own wherever click is installed, with pygments and half of rich; where that is
# absent it does without
cast("dict[str, Any]", sys.modules).setdefault("httpx._main", None)

COMMANDS: Final = (
    "adopt",
    "register",
    "verify",
    "doctor",
    "watch",
    "test-recording",
    "sign",
    "unregister",
    "rotate",
    "rooms",
    "migrate",
    "sync",
    "reconcile",
    "erase",
    "usage",
    "backfill",
    "worker",
    "list",
    "download",
    "serve",
)
"""In the order of the help. `test-recording` is the function `command` of the module `test_recording`."""


class Commands(Mapping[str, Any]):
    """Each subcommand by its name, made when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        if name not in COMMANDS:
            raise KeyError(name)
        alone = typer.Typer(add_completion=False, rich_markup_mode="rich")
        alone.command(name, cls=Command)(import_module(f"{__name__}.{name.replace('-', '_')}").command)
        return get_command(alone)

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class Recordings(Group):
    """The group of all subcommands."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{**settings, "commands": Commands()})


app = typer.Typer(
    name="recordings",
    help="Own your 100ms recordings: register the bucket, prove it, record into it, sign downloads.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
    cls=Recordings,
    callback=lambda: None,  # or Typer makes no group of an app with no command of its own
)


def main() -> None:
    """Parse the arguments and run what they name; ends the process."""
    prepare_output()
    app()
