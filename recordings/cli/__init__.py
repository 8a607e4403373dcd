"""The command `recordings`: parse, call the library, print, exit code. One thin module a subcommand."""

from __future__ import annotations

import typer

from recordings.cli import (
    adopt,
    backfill,
    doctor,
    download,
    erase,
    migrate,
    reconcile,
    register,
    rooms,
    rotate,
    serve,
    sign,
    sync,
    test_recording,
    unregister,
    usage,
    verify,
    watch,
    worker,
)
from recordings.cli import list as listing
from recordings.cli.help import Command, Group

app = typer.Typer(
    name="recordings",
    help="Own your 100ms recordings: register the bucket, prove it, record into it, sign downloads.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="rich",
    cls=Group,
)
for module in (
    adopt,
    register,
    verify,
    doctor,
    watch,
    test_recording,
    sign,
    unregister,
    rotate,
    rooms,
    migrate,
    sync,
    reconcile,
    erase,
    usage,
    backfill,
    worker,
    listing,
    download,
    serve,
):
    app.command(module.NAME, cls=Command)(module.command)


def main() -> None:
    """Entry point of the console script."""
    app()
