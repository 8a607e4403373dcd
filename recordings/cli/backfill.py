"""`recordings backfill`: parse, show what there is to do and how it goes; `recordings.backfill` does the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.table import Table

from recordings.backfill.mover import Result
from recordings.backfill.moves import Found, Move
from recordings.backfill.planning import CatalogBooks, Workshop
from recordings.backfill.run import Tally, as_json, by_day, move_all, reason, steps, survey
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
from recordings.cli.text import escape
from recordings.errors import CheckFailedError
from recordings.extras import needs
from recordings.guards import check_cloud
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.memory import Memory
from recordings.outputs import StackOutputs
from recordings.paths import Home
from recordings.shown import counted, size
from recordings.stores import Identity, open_store


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    room: RoomOption = None,
    not_from: Annotated[
        list[str] | None,
        typer.Option(metavar="BUCKET", help="A bucket of yours that 100ms' list names: leave alone what is there."),
    ] = None,
    enqueue: Annotated[
        bool, typer.Option("--enqueue", help="Do not move anything: make a job of each, for `recordings worker`.")
    ] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Move what is still in 100ms' own storage into the stack's bucket, before 100ms deletes it after 15 days.

    What ends first is moved first, to its documented path under the stack's prefix, and its row is written where
    DATABASE_URL names a database. Run it again at any time: it goes on where it was, and nothing is copied twice or
    overwritten. Reads HMS_ACCESS_KEY and HMS_APP_SECRET, and needs the operator's credentials.

    Example: recordings backfill --stack prod --dry-run
    """

    def action() -> None:
        loaded, frame = load_outputs(stack, outputs), Frame(as_json)
        with open_workshop(loaded, frame) as workshop:
            found = survey(workshop, room=room, not_from=not_from or ())
            tell_unmovable(frame, found)
            if dry_run:
                verb = "enqueue" if enqueue else "move"
                titles = frame.run_plan(steps(found.moves, Home.of(loaded), lambda _: None, verb), dry_run=True)
                report(frame, found, Tally(), steps=titles, dry_run=True)
                return
            if enqueue:
                _enqueue(frame, workshop, found)
                return
            tally = _move(frame, workshop, found)
        report(frame, found, tally)

    run(action, as_json=as_json)


@contextmanager
def open_workshop(loaded: StackOutputs, frame: Frame) -> Iterator[Workshop]:
    """Everything that a backfill works with, from the environment. Raises ConfigurationError, GuardError."""
    credentials = HmsCredentials.from_environment(os.environ)
    store = open_store(loaded, Identity.OPERATOR)
    memory = Memory.open(store, credentials)
    with HmsClient(credentials) as hms, closing(Workshop(loaded, hms, store, memory)) as workshop:
        check_cloud(loaded, store)
        if not os.environ.get("DATABASE_URL", "").strip():
            frame.tell("DATABASE_URL is not set: no row is written, and no tombstone is looked for", style="yellow")
            yield workshop
            return
        with needs("db"):
            from recordings.catalog import Catalog
            from recordings.database import connect, database_url
            from recordings.erasure.tombstones import Tombstones
        with connect(database_url(os.environ)) as connection:
            workshop.books = CatalogBooks(Catalog(connection), Tombstones(connection), Home.of(loaded))
            yield workshop


def _move(frame: Frame, workshop: Workshop, found: Found) -> Tally:
    titles = {step_move.asset.id: step.title for step_move, step in _titled(found, workshop.outputs)}
    with progress(frame, found) as (took, ended):
        workshop.took = took
        workshop.began = lambda move: frame.tell(f"now: {titles[move.asset.id]}")
        with workshop.mover() as mover:
            return move_all(mover, found.moves, lambda outcome: ended())


def _titled(found: Found, loaded: StackOutputs) -> list[tuple[Move, Any]]:
    return list(zip(found.moves, steps(found.moves, Home.of(loaded), lambda _: None).steps, strict=True))


def _enqueue(frame: Frame, workshop: Workshop, found: Found) -> None:
    with needs("queue"):
        from recordings.backfill.queue import enqueue
        from recordings.database import database_url
    queued = enqueue(database_url(os.environ), workshop.outputs, found.moves)
    text = (
        f"{counted(queued, 'job')} enqueued, {len(found.moves) - queued:,} were in the queue; run `recordings worker`"
    )
    frame.result({"enqueued": queued, "queued": len(found.moves) - queued}, lambda out: out.print(escape(text)))


@contextmanager
def progress(frame: Frame, found: Found) -> Iterator[tuple[Callable[[int], None], Callable[[], None]]]:
    """A bar of bytes with rate and time left on a terminal, nothing elsewhere; gives what to tell of bytes and ends."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    total, count = sum(move.asset.size or 0 for move in found.moves), len(found.moves)
    with Progress(*columns, console=frame.story, transient=True, disable=not frame.story.is_terminal) as bar:
        task = bar.add_task(f"0 of {count}", total=total)
        done = iter(range(1, count + 1))
        yield (
            lambda octets: bar.advance(task, octets),
            lambda: bar.update(task, description=f"{next(done, count)} of {count}"),
        )


def tell_unmovable(frame: Frame, found: Found) -> None:
    """A line for each recording that cannot be moved, with its last day."""
    for each in found.unmovable:
        until = f"; 100ms deletes it after {each.last_day}" if each.last_day else ""
        frame.tell(f"cannot be moved: {each.asset_id}: {each.reason}{until}", style="yellow")


def report(frame: Frame, found: Found, tally: Tally, *, steps: list[str] | None = None, dry_run: bool = False) -> None:
    """Print what there was and what became of it. Ends the process with exit code 1 if something was not moved."""
    today = datetime.now(UTC).date()
    days = by_day(found.moves, today)
    for outcome in tally.failed:
        frame.tell(f"failed: {reason(outcome)}", style="red")

    def show(out: Console) -> None:
        if dry_run and days:
            table = Table("last day", "days left", "recordings", "size", box=None, pad_edge=False)
            for day in days:
                left = "" if day.days_left is None else str(day.days_left)
                table.add_row(str(day.last_day or "unknown"), left, f"{day.count:,}", size(day.size))
            out.print(table)
        out.print(escape(_summary(found, tally, dry_run=dry_run)))

    result = {
        "recordings": len(found.moves),
        "bytes": sum(day.size for day in days),
        "days": [{"lastDay": d.last_day, "daysLeft": d.days_left, "count": d.count, "bytes": d.size} for d in days],
        "moved": tally.count(Result.MOVED),
        "movedBytes": tally.size,
        "seconds": round(tally.seconds, 3),
        "alreadyThere": tally.count(Result.THERE),
        "erased": tally.count(Result.ERASED),
        "failed": [as_json(outcome) for outcome in tally.failed],
        "unmovable": [{"recording": u.asset_id, "reason": u.reason, "lastDay": u.last_day} for u in found.unmovable],
        "done": found.ours,
        "elsewhere": found.elsewhere,
        "steps": steps or [],
        "dryRun": dry_run,
    }
    frame.result(result, show)
    if tally.failed or (found.unmovable and not dry_run):
        raise SystemExit(CheckFailedError.exit_code)


def _summary(found: Found, tally: Tally, *, dry_run: bool) -> str:
    total = sum(move.asset.size or 0 for move in found.moves)
    others = f"{found.ours:,} of the last 15 days are in the bucket, {found.elsewhere:,} in other buckets of yours"
    if dry_run:
        return f"{counted(len(found.moves), 'recording')} to move, {size(total)}; {others} (dry run: nothing moved)"
    moved, there, failed = tally.count(Result.MOVED), tally.count(Result.THERE), len(tally.failed)
    return (
        f"{counted(moved, 'recording')} moved ({size(tally.size)}), {there:,} were there, {failed:,} failed; {others}"
    )
