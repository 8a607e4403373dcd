"""`recordings sync`: parse, show progress, print; `recordings.sync` does the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from recordings.cli.frame import (
    DryRunOption,
    Frame,
    JsonOption,
    OutputsOption,
    RoomOption,
    StackOption,
    load_outputs,
    run,
)
from recordings.cli.text import escape, named
from recordings.durations import parse_duration
from recordings.errors import UsageError
from recordings.extras import needs
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.paths import Home
from recordings.shown import counted

if TYPE_CHECKING:
    from recordings.sync import Tally


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    room: RoomOption = None,
    since: Annotated[
        str | None,
        typer.Option(
            help="Only recordings since then: 2d, 12h, or a day or time (UTC), 2026-08-01T12:00.",
            metavar="T",
            callback=named,
        ),
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write what 100ms lists as recordings into the database: where each lies, its room, time, size and length.

    Those in the stack's bucket become `s3` or `gcs`, all others stay `100ms`. Run it again at any time; with --since
    in a schedule it closes what webhooks missed. Reads DATABASE_URL, HMS_ACCESS_KEY and HMS_APP_SECRET.

    Example: recordings sync --stack prod --since 2d
    """

    def action() -> None:
        with needs("db"):
            from recordings.catalog import Catalog
            from recordings.database import connect, database_url
            from recordings.sync import sync
        oldest = parse_since(since, datetime.now(UTC)) if since else None
        url, credentials = database_url(os.environ), HmsCredentials.from_environment(os.environ)
        home, frame = Home.of(load_outputs(stack, outputs)), Frame(as_json)
        with HmsClient(credentials) as hms, connect(url) as connection, counting(frame) as tick:
            assets = hms.recording_assets(room_id=room)
            tally = sync(assets, home, Catalog(connection, dry_run=dry_run), since=oldest, tick=tick)
        report(frame, tally, dry_run=dry_run)

    run(action, as_json=as_json)


def parse_since(text: str, now: datetime) -> datetime:
    """A duration before `now`, or a day or time, UTC unless it says otherwise. Raises UsageError."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            return now - parse_duration(text)
        except (UsageError, OverflowError):
            raise UsageError(
                f"--since {text!r} is neither a duration nor a time: legal are 2d, 12h, 2026-08-01, 2026-08-01T12:00"
            ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@contextmanager
def counting(frame: Frame) -> Iterator[Callable[[Tally], None]]:
    """A spinner with the count on a terminal, nothing elsewhere; how many there will be, 100ms does not say."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=frame.story, transient=True, disable=not frame.story.is_terminal) as bar:
        task = bar.add_task("asking 100ms", total=None)

        def tick(tally: Tally) -> None:
            rate = tally.read / (bar.tasks[0].elapsed or 1.0)
            bar.update(task, description=f"{counted(tally.read, 'recording')}, {rate:,.0f} a second")

        yield tick


def report(frame: Frame, tally: Tally, *, dry_run: bool) -> None:
    """Print what was met and written; unknown paths as a note."""
    written, standing = tally.written, {key.value: count for key, count in tally.standing.items()}
    rows = {"added": written.added, "changed": written.changed, "same": written.same}
    for line in tally.unknown:
        frame.tell(f"unknown path, kept as it is: {line}", style="yellow")
    if standing["unknown"] > len(tally.unknown):
        frame.tell(f"unknown paths: {standing['unknown']} in all, every one is in the database", style="yellow")

    def show(out: Console) -> None:
        out.print(
            f"{counted(tally.read, 'recording')} read: {standing['ours']:,} in the stack's bucket, "
            f"{standing['elsewhere']:,} elsewhere, {standing['unknown']:,} with an unknown path"
        )
        done = f"{counted(written.added, 'row')} added, {written.changed:,} changed, {written.same:,} as they were"
        out.print(escape(f"{done}{' (dry run: nothing written)' if dry_run else ''}"))

    result = {"read": tally.read, "older": tally.older, **standing, "rows": rows, "dryRun": dry_run}
    frame.result({**result, "unknownPaths": tally.unknown}, show)
