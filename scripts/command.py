"""How a script becomes a command: help in the style of `recordings --help`, its text the module's docstring.

Owns that alone; what a command does is in its script.
"""

from __future__ import annotations

from collections.abc import Callable

import typer

from recordings.cli.help import Command, Group


def alone(command: Callable[..., None], text: str | None) -> typer.Typer:
    """The application of a script that is one command; `text` is its help."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command(help=text, cls=Command)(command)
    return app


def group(text: str | None) -> typer.Typer:
    """The application of a script with several commands, each to be made with `cls=Command`."""
    return typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=text, cls=Group)
