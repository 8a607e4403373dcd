"""`recordings migrate`: parse and print; `recordings.migrate` does the work."""

from __future__ import annotations

import os
from typing import Annotated

import typer
from rich.console import Console

from recordings.cli.frame import DryRunOption, Frame, JsonOption, run
from recordings.cli.text import escape
from recordings.errors import UsageError
from recordings.extras import needs
from recordings.shown import counted


def command(
    back: Annotated[
        bool, typer.Option("--back", help="Take away what `migrate` made. What the columns hold is lost.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --back: do it, knowing that.")] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Prepare the database: the table `public.meeting_recordings`, its columns, indexes, rights and row security.

    Works on an empty database and on a table that you have; run it again at any time. All of it happens, or nothing.
    Reads DATABASE_URL from the environment; use the owner of the table. A transaction-mode pooler will do.

    Example: recordings migrate --dry-run
    """

    def action() -> None:
        if back and not (yes or dry_run):
            raise UsageError("--back drops columns, with what they hold: look with --dry-run, then give --yes")
        with needs("db"):
            from recordings.database import connect, database_url
            from recordings.migrate import migrations, run_migrations
        frame = Frame(as_json)
        with connect(database_url(os.environ)) as connection:
            outcome = run_migrations(connection, migrations(back=back), dry_run=dry_run)
        for line in outcome.changes:  # `did`, not `now`: the migrations find out in Postgres what they change
            frame.tell(f"{'would' if dry_run else 'did'}: {line}")
        for line in outcome.warnings:
            frame.tell(f"note: {line}", style="yellow")
        result = {"changes": list(outcome.changes), "warnings": list(outcome.warnings), "dryRun": dry_run}
        frame.result(result, lambda out: _summary(out, len(outcome.changes), dry_run=dry_run))

    run(action, as_json=as_json)


def _summary(out: Console, count: int, *, dry_run: bool) -> None:
    what = "nothing to do: the database is as it should be" if not count else counted(count, "change")
    out.print(escape(f"{what}{' (dry run: rolled back)' if dry_run and count else ''}"))
