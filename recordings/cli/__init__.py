"""The command `recordings`: parse, call the library, print, exit code. One thin module a subcommand."""

from __future__ import annotations

import typer

from recordings.cli import adopt, migrate, register, sign, sync, test_recording, unregister, verify

app = typer.Typer(
    name="recordings",
    help="Own your 100ms recordings: register the bucket, prove it, record into it, sign downloads.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)
for module in (adopt, register, verify, test_recording, sign, unregister, migrate, sync):
    app.command(module.NAME)(module.command)


def main() -> None:
    """Entry point of the console script."""
    app()
