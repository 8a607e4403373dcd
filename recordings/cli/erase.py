"""`recordings erase`: parse, ask, show the plan and the receipt; `recordings.erasure` does the work."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from recordings.cli.frame import DryRunOption, Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.cli.text import escape
from recordings.errors import CheckFailedError, NotDueError, UsageError
from recordings.extras import needs
from recordings.guards import check_cloud, check_customer
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.outputs import StackOutputs
from recordings.paths import Home
from recordings.shown import counted, size
from recordings.stores import Identity, Store, open_source, open_store

if TYPE_CHECKING:
    from recordings.erasure.erase import Erasure, Place
    from recordings.erasure.target import Target

ARRIVES = timedelta(minutes=20)
"""A recording arrives 15 to 20 minutes after its call, says 100ms' FAQ."""


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    room: Annotated[str | None, typer.Option(metavar="ID", help="Erase what this room recorded until now.")] = None,
    session: Annotated[str | None, typer.Option(metavar="ID", help="Erase everything of this session.")] = None,
    recording: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Erase this recording; the id of one of its recording assets will do."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for the id to be typed again.")] = False,
    thorough: Annotated[
        bool, typer.Option("--thorough", help="Look through everything under the prefix, not the room's folders alone.")
    ] = False,
    without_former: Annotated[
        bool, typer.Option("--without-former", help="Leave the stack's former buckets alone; the receipt says so.")
    ] = False,
    receipt: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the receipt into this file too.")] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Erase the recordings of a room, a session or one recording for good, with rows and all versions.

    Leaves tombstones, so that sync, webhook, reconcile and backfill bring nothing back, and prints a receipt: what was
    removed, and what stays where until when. Run it again after a kill: it does the rest, and the receipt is of both
    runs. Exit code 1: something was left alone; 4: a recording has not ended yet, come back. Acts as the operator.
    Reads DATABASE_URL, HMS_ACCESS_KEY and HMS_APP_SECRET.

    Example: recordings erase --stack prod --room 66f0a2c4e8b1d3a5c7f90b12 --dry-run
    """

    def action() -> None:
        with needs("db"):
            from recordings.erasure.erase import plan_erasure
            from recordings.erasure.target import Target
        target = Target.of(room=room, session=session, recording=recording)
        if receipt is not None and (receipt.is_dir() or not receipt.parent.is_dir()):
            raise UsageError(f"--receipt {str(receipt)!r} is no place for a file: name one in a folder that is there")
        loaded, frame = load_outputs(stack, outputs), Frame(as_json)
        with _open(loaded, frame, former=not without_former) as (place, progress):
            erasure = plan_erasure(place, target, thorough=thorough)
            if erasure.plan.steps and not (dry_run or yes):
                _confirm(frame, target, erasure)
            with progress(erasure.versions if not dry_run else 0):
                steps = frame.run_plan(erasure.plan, dry_run=dry_run)
        if receipt is not None and erasure.receipt is not None:
            receipt.write_text(json.dumps(erasure.receipt, indent=2) + "\n", encoding="utf-8")
        _report(frame, target, erasure, steps, dry_run=dry_run)

    run(action, as_json=as_json)


@contextmanager
def _open(outputs: StackOutputs, frame: Frame, *, former: bool) -> Iterator[tuple[Place, Any]]:
    """The place to work on, after the guards, and a progress bar for a number of versions."""
    from recordings.database import connect, database_url
    from recordings.erasure.erase import Place
    from recordings.erasure.ledger import Ledger

    url, credentials, home = database_url(os.environ), HmsCredentials.from_environment(os.environ), Home.of(outputs)
    operator = open_store(outputs, Identity.OPERATOR)
    check_cloud(outputs, operator)
    columns = (TextColumn("removing versions"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=frame.story, transient=True, disable=not frame.story.is_terminal)

    @contextmanager
    def progress(total: int) -> Iterator[None]:
        with bar:
            bar.add_task("", total=total, visible=total > 0)
            yield

    def tick(count: int) -> None:
        if bar.task_ids:
            bar.advance(bar.task_ids[0], count)

    with HmsClient(credentials) as hms, connect(url) as connection:
        if outputs.expected_customer is not None:
            check_customer(outputs, [hms.template(id_) for id_ in outputs.template_ids])

        def open_bucket(of: Home) -> Store:
            return operator if of.bucket == home.bucket else open_source(outputs, of.bucket, Identity.OPERATOR)

        yield Place(hms, Ledger(connection), home, open_bucket, former, tick), progress


def _confirm(frame: Frame, target: Target, erasure: Erasure) -> None:
    """Have the id typed. Raises UsageError for any other text, and where nobody can type."""
    for step in erasure.plan.steps:
        frame.tell(f"would: {step.title}")
    if not is_terminal():
        raise UsageError(
            f"erasing {target} cannot be undone: look with --dry-run, then give --yes. Nothing was changed"
        )
    frame.story.print(f"Type the id of the {target.kind} to erase it for good: ", end="")
    if sys.stdin.readline().strip() != target.id:
        raise UsageError("that is another id: nothing was changed")


def is_terminal() -> bool:
    """Whether somebody can type."""
    return sys.stdin.isatty()


def _report(frame: Frame, target: Target, erasure: Erasure, steps: list[str], *, dry_run: bool) -> None:
    """Print the receipt; the process ends with 1 if something was left alone, with 4 if something is still to come."""
    said = erasure.receipt or {}
    left = said.get("leftAlone", [{"path": item.path, "reason": item.reason} for item in erasure.left])
    coming = said.get("stillToCome", [{"recording": job.id} for job in erasure.search.scope.unfinished])
    until = datetime.now(UTC) + ARRIVES if coming else None
    result = {"target": {target.kind.value: target.id}, "steps": steps, "dryRun": dry_run, "leftAlone": left}
    result |= {"stillToCome": coming, "until": until and until.isoformat(), "receipt": erasure.receipt}
    frame.result(result, lambda out: _show(out, erasure, steps))
    for item in left:
        frame.tell(f"left alone: {item['path']}: {item['reason']}", style="red")
    if until is not None and not dry_run:
        frame.tell(
            f"not ended yet: {', '.join(job['recording'] for job in coming)}; no row will be written of them. Run the "
            f"command again at {until:%H:%M} UTC to erase what arrives",
            style="yellow",
        )
        raise SystemExit(NotDueError.exit_code)
    if left:
        raise SystemExit(CheckFailedError.exit_code)


def _show(out: Console, erasure: Erasure, steps: list[str]) -> None:
    said = erasure.receipt
    if said is None:
        versions = f"{counted(erasure.versions, 'version')}, {size(erasure.bytes)}"
        out.print(f"{counted(len(steps), 'step')}, {versions} (dry run: nothing changed)")
        return
    removed = said["removed"]
    table = Table("removed", "objects", "versions", "size", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for kind, counts in sorted(removed["byKind"].items()):
        table.add_row(kind, f"{counts['objects']:,}", f"{counts['versions']:,}", size(counts["bytes"]))
    table.add_row("all", f"{removed['objects']:,}", f"{removed['versions']:,}", size(removed["bytes"]))
    asked = ", ".join(f"{kind} {id_}" for kind, id_ in said["asked"].items())
    out.print(f"receipt {said['id']}: {asked}, {said['begun']} to {said['ended']}, by account {said['account']}")
    out.print(table)
    out.print(f"rows: {removed['rows']:,}; unfinished uploads: {removed['unfinishedUploads']:,}")
    for entry in said["stays"]:
        until = f"until {entry['until']}" if entry["until"] else "no end"
        out.print(escape(f"stays: {entry['what']}, {until}: {entry['why']}"))
    if not steps:
        out.print("nothing came back since: nothing to do")
