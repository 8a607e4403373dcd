"""`recordings reconcile`: parse, show a table, exit code; `recordings.reconcile` does the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from recordings.cli.frame import DryRunOption, Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.cli.tables import show_table
from recordings.errors import CheckFailedError
from recordings.extras import needs
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.outputs import StackOutputs
from recordings.paths import Home
from recordings.shown import counted
from recordings.stores import ObjectInfo, open_source

if TYPE_CHECKING:
    from recordings.reconcile import Findings


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Write the rows that are missing or differ; nothing is ever deleted.")
    ] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare database, bucket and 100ms' list of recordings: a table of what is missing where.

    Exit code 1 if something is missing and was not put right. Reads DATABASE_URL, HMS_ACCESS_KEY and HMS_APP_SECRET;
    the bucket is listed with the reader's key.

    Example: recordings reconcile --stack prod --fix
    """

    def action() -> None:
        with needs("db"):
            from recordings.catalog import Catalog
            from recordings.database import connect, database_url
            from recordings.reconcile import reconcile
        url, credentials = database_url(os.environ), HmsCredentials.from_environment(os.environ)
        loaded, frame, writes = load_outputs(stack, outputs), Frame(as_json), fix and not dry_run
        with HmsClient(credentials) as hms, connect(url) as connection, counting(frame) as tick:
            catalog = Catalog(connection, dry_run=not writes)
            objects = lister(loaded)
            found = reconcile(Home.of(loaded), hms.recording_assets(), objects, catalog, tick=tick)
        report(frame, found, fixed=writes)

    run(action, as_json=as_json)


def lister(outputs: StackOutputs) -> Callable[[Home], Iterator[ObjectInfo]]:
    """Lists what lies under the prefix of one of the stack's buckets, as the reader."""
    return lambda home: open_source(outputs, home.bucket).list(home.prefix)


@contextmanager
def counting(frame: Frame) -> Iterator[Callable[[Findings], None]]:
    """A spinner with counts on a terminal, nothing elsewhere."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=frame.story, transient=True, disable=not frame.story.is_terminal) as bar:
        task = bar.add_task("asking 100ms", total=None)

        def tick(found: Findings) -> None:
            bar.update(
                task, description=f"{counted(found.assets, 'recording')} at 100ms, {counted(found.objects, 'object')}"
            )

        yield tick


def report(frame: Frame, found: Findings, *, fixed: bool) -> None:
    """Print the table and the first of each kind; ends the process with 1 if something is left."""
    from recordings.reconcile import FIXED, MEANINGS, Gap

    gaps = [gap for gap in Gap if found.counts[gap]]
    left = sum(found.counts[gap] for gap in gaps if not (fixed and gap in FIXED))

    def row(gap: Gap) -> tuple[str, ...]:
        means = MEANINGS[gap]
        remedy = "done" if fixed and gap in FIXED else means.remedy
        return gap.value, means.database, means.bucket, means.hms, f"{found.counts[gap]:,}", remedy

    def show(out: Console) -> None:
        if gaps:
            show_table(out, ("", "database", "bucket", "100ms", "count", "what to do"), map(row, gaps))
        looked = f"{counted(found.assets, 'recording')} at 100ms, {counted(found.objects, 'object')}"
        looked += f", {counted(found.rows, 'row')}"
        out.print(f"{looked}: {'nothing missing' if not left else f'{left:,} to look at'}")

    for gap in gaps:
        for name in found.examples[gap]:
            frame.tell(f"{gap}: {name}")
        if found.counts[gap] > len(found.examples[gap]):
            frame.tell(f"{gap}: and {found.counts[gap] - len(found.examples[gap]):,} more")
    data = {gap.value: {"count": found.counts[gap], "examples": found.examples[gap]} for gap in gaps}
    looked_at = {"assets": found.assets, "objects": found.objects, "rows": found.rows}
    frame.result({"gaps": data, "left": left, "fixed": fixed, **looked_at}, show)
    if left:
        raise SystemExit(CheckFailedError.exit_code)
