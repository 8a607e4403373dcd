"""`python -m sandbox COMMAND`: the servers (`start stop status env demo`) and the embedded engine, one command line.

Imports only the half that a command needs, so that each starts quickly.
"""

from __future__ import annotations

import atexit
import gc
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import typer

from sandbox.usage import Group

_ENGINE: Final = {"preview", "up", "refresh", "destroy", "import", "stack", "state", "config"}
_GROUPS: Final = {"stack", "state", "config"}
_NAME: Final = "python -m sandbox"
# options that may precede the command and have a value in the next argument
_VALUED: Final = {"--cwd", "-C", "--stack", "-s", "--state", "--color", "--dir"}


def main() -> None:
    """Run the command that the arguments name."""
    arguments = arranged(sys.argv[1:])
    chosen = next(iter(arguments), "-")
    # the callback keeps it a group, also of one command
    app = typer.Typer(
        help=__doc__,
        callback=lambda: None,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        cls=Group,
    )
    if chosen in _ENGINE:
        _run_engine(app, chosen, arguments)
    atexit.register(gc.freeze)  # nothing is looked through for garbage at the end
    if chosen.startswith("-"):
        from sandbox.engine.cli import app as engine

        _mount(app, engine)
    from sandbox.servers.cli import app as servers

    _mount(app, servers)
    if chosen == "demo" or chosen.startswith("-"):
        from sandbox.demo.cli import app as demo

        _mount(app, demo)
    app(arguments, prog_name=_NAME)


def _run_engine(app: typer.Typer, chosen: str, arguments: Sequence[str]) -> NoReturn:
    """Run a command of the engine and end the process.

    It is short and mostly imports, so it does without what would take a third of its time: garbage collections, the
    options of the other commands, and taking the SDK apart at the end.
    """
    gc.disable()
    from sandbox.engine.cli import app as engine

    _mount(app, engine, only=chosen)
    try:
        app(arguments, prog_name=_NAME)
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)
    raise AssertionError("a command ends with SystemExit")


def arranged(arguments: Sequence[str]) -> list[str]:
    """The arguments with options that precede the command, as `pulumi` takes them, behind it."""
    rest, command, options = list(arguments), list[str](), list[str]()
    while rest and (not command or (len(command) == 1 and command[0] in _GROUPS)):
        word = rest.pop(0)
        if not word.startswith("-"):
            command.append(word)
            continue
        options.append(word)
        if word in _VALUED and rest:
            options.append(rest.pop(0))
    return [*command, *options, *rest]


def _mount(app: typer.Typer, part: typer.Typer, only: str | None = None) -> None:
    """Add the commands and groups of `part`, or of these the one named `only`: each costs its options' types."""
    app.registered_commands += [each for each in part.registered_commands if only in (None, each.name)]
    app.registered_groups += [each for each in part.registered_groups if only in (None, each.name)]


if __name__ == "__main__":
    main()
