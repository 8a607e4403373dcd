"""`python -m sandbox COMMAND`: the servers (`start stop status env demo`) and the embedded engine, one command line.

Imports only the half that a command needs, so that each starts quickly.
"""

from __future__ import annotations

import sys
from typing import Final

import typer

_ENGINE: Final = {"preview", "up", "refresh", "destroy", "import", "stack", "config"}


def main() -> None:
    """Run the command that the arguments name."""
    chosen = next((argument for argument in sys.argv[1:] if not argument.startswith("-")), None)
    app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
    if chosen in _ENGINE or chosen is None:
        from sandbox.engine.cli import app as engine

        _mount(app, engine)
    if chosen not in _ENGINE:
        from sandbox.servers.cli import app as servers

        _mount(app, servers)
    if chosen in (None, "demo"):
        from sandbox.demo.cli import app as demo

        _mount(app, demo)
    app(prog_name="python -m sandbox")


def _mount(app: typer.Typer, part: typer.Typer) -> None:
    app.registered_commands += part.registered_commands
    app.registered_groups += part.registered_groups


if __name__ == "__main__":
    main()
