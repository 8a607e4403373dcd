"""`recordings worker`: parse, show what becomes of each job; `recordings.worker` does the work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from recordings.cli.backfill import open_workshop
from recordings.cli.frame import DryRunOption, Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.cli.text import escape
from recordings.durations import parse_duration
from recordings.errors import CheckFailedError, UsageError
from recordings.extras import needs
from recordings.plans import Plan, Step
from recordings.shown import counted, size

if TYPE_CHECKING:
    from recordings.backfill.queue import Waiting
    from recordings.worker import Ended

_LEAST = 2


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    until_empty: Annotated[bool, typer.Option("--until-empty", help="End when no job is left.")] = False,
    dead_after: Annotated[
        str,
        typer.Option(metavar="T", help="Take over the jobs of a worker that gave no sign of life for this long."),
    ] = "30s",
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Work off the jobs of `recordings backfill --enqueue`, on this machine beside any number of others.

    Ends on Ctrl-C or SIGTERM, at once and without loss: whoever takes the job next goes on where this one was. Reads
    DATABASE_URL, HMS_ACCESS_KEY and HMS_APP_SECRET, and needs the operator's credentials. With --dry-run it lists the
    jobs that wait, in their order.

    Example: recordings worker --stack prod --until-empty
    """

    def action() -> None:
        patience = parse_duration(dead_after).total_seconds()
        if patience < _LEAST:
            raise UsageError(f"--dead-after {dead_after} is too short for a busy worker; legal: {_LEAST}s and more")
        with needs("queue"):
            from recordings.backfill.queue import waiting
            from recordings.database import database_url
            from recordings.worker import Worker
        url = database_url(os.environ)
        loaded, frame = load_outputs(stack, outputs), Frame(as_json)
        if dry_run:
            _show_jobs(frame, waiting(url, loaded))
            return
        seen: list[Ended] = []

        def ended(each: Ended) -> None:
            if not each.again:
                seen.append(each)
            frame.tell(_line(each))

        with open_workshop(loaded, frame) as workshop:
            Worker(workshop, url, dead_after=patience, ended=ended).run(until_empty=until_empty)
        _report(frame, seen)

    run(action, as_json=as_json)


def _show_jobs(frame: Frame, jobs: Sequence[Waiting]) -> None:
    """The jobs that this worker would do, unless others do them before."""
    steps = [Step(_title(job), lambda: None) for job in jobs]
    titles = frame.run_plan(Plan(steps), dry_run=True)
    frame.result(
        {"steps": titles, "recordings": [job.asset_id for job in jobs], "dryRun": True},
        lambda out: out.print(f"{counted(len(jobs), 'job')} waiting (dry run: none begun)"),
    )


def _title(job: Waiting) -> str:
    later = f", not before {job.not_before:%Y-%m-%d %H:%M} UTC" if job.not_before else ""
    return f"move recording {job.asset_id}{later}"


def _line(ended: Ended) -> str:
    if ended.reason:
        return f"{'failed, is tried again' if ended.again else 'failed'}: {ended.asset_id}: {ended.reason}"
    if ended.outcome is None:
        return f"already there: {ended.asset_id}"
    return f"{ended.outcome.result.value}: {ended.asset_id}, {size(ended.outcome.size)}"


def _report(frame: Frame, seen: list[Ended]) -> None:
    from recordings.worker import moved

    failed = [each for each in seen if each.reason]
    done = [each for each in seen if moved(each)]
    result = {
        "moved": len(done),
        "movedBytes": sum(each.outcome.size for each in done if each.outcome),
        "alreadyThere": len(seen) - len(done) - len(failed),
        "failed": [{"recording": each.asset_id, "reason": each.reason} for each in failed],
    }
    text = f"{counted(len(done), 'recording')} moved, {result['alreadyThere']:,} were there, {len(failed):,} failed"
    frame.result(result, lambda out: out.print(escape(text)))
    if failed:
        raise SystemExit(CheckFailedError.exit_code)
