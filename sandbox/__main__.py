"""`python -m sandbox COMMAND`: the servers (`start stop status env demo`) and the embedded engine, one command line.

Imports only the half that a command needs, so that each starts quickly.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from typing import Final

import typer

_ENGINE: Final = {"preview", "up", "refresh", "destroy", "import", "stack", "state", "config"}
_GROUPS: Final = {"stack", "state", "config"}
_NAME: Final = "python -m sandbox"
# options that may precede the command and have a value in the next argument
_VALUED: Final = {"--cwd", "-C", "--stack", "-s", "--state", "--color", "--dir"}


def main() -> None:
    """Run the command that the arguments name."""
    arguments = arranged(sys.argv[1:])
    chosen = next(iter(arguments), "-")
    app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    if chosen in _ENGINE:
        # a command of the engine is short and mostly imports, a tenth of whose time would go into collections
        gc.disable()
    if chosen in _ENGINE or chosen.startswith("-"):
        from sandbox.engine.cli import app as engine

        _mount(app, engine)
    if chosen not in _ENGINE:
        from sandbox.servers.cli import app as servers

        _mount(app, servers)
    if chosen == "demo" or chosen.startswith("-"):
        from sandbox.demo.cli import app as demo

        _mount(app, demo)
    app(arguments, prog_name="python -m sandbox")


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


def _mount(app: typer.Typer, part: typer.Typer) -> None:
    app.registered_commands += part.registered_commands
    app.registered_groups += part.registered_groups


if __name__ == "__main__":
    main()
