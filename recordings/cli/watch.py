"""`recordings watch`: parse, show a table, metrics, heartbeat, exit code; `recordings.watch` judges."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from recordings.catalog_entries import CatalogEntry
from recordings.cli.frame import Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.cli.sync import parse_since
from recordings.cli.tables import show_table
from recordings.cli.text import escape
from recordings.doctor.objects import keeps_days
from recordings.durations import parse_duration, show_duration
from recordings.errors import CheckFailedError, ConfigurationError, DatabaseError, StoreError, UsageError
from recordings.extras import needs
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.outputs import StackOutputs
from recordings.shown import counted, moment
from recordings.stores import Identity, open_store
from recordings.verification import http_client
from recordings.watch import LATE, Report, State, Watched, Window
from recordings.watch import watch as look
from recordings.watch_heartbeat import VARIABLE, heartbeat_url, ping
from recordings.watch_metrics import render, write_whole

_STYLES: Final = {State.LATE: "yellow", State.FAILED: "red", State.MISSING: "red", State.ON_ITS_WAY: "cyan"}
_SHOWN: Final = 50


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    since: Annotated[
        str, typer.Option(help="Watch recordings since then: 1d, 12h, or a day or time (UTC).", metavar="T")
    ] = "1d",
    late: Annotated[
        str, typer.Option(metavar="T", help="How long after its end a recording may take to arrive.")
    ] = show_duration(LATE),
    metrics: Annotated[
        Path | None, typer.Option(help="Write OpenMetrics text there, in one step.", metavar="FILE")
    ] = None,
    heartbeat: Annotated[
        Path | None, typer.Option(help="Write the time there when all is well.", metavar="FILE")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare finished recordings with the bucket: what is late, failed or missing. For a schedule; changes nothing.

    Exit code 1 for each of these, 0 when all is well: then RECORDINGS_HEARTBEAT_URL is asked for too, where it is set.
    Reads HMS_ACCESS_KEY and HMS_APP_SECRET; looks with the reader's key.

    Example: recordings watch --stack prod --metrics /var/lib/node_exporter/recordings.prom
    """

    def action() -> None:
        window, url = _window(since, late), heartbeat_url(os.environ)
        for file in (metrics, heartbeat):
            _check_folder(file)
        credentials = HmsCredentials.from_environment(os.environ)
        loaded, frame = load_outputs(stack, outputs), Frame(as_json)
        with HmsClient(credentials) as hms, _counting(frame) as tick:
            reader, keeps = open_store(loaded, Identity.READER), partial(_keeps_days, loaded, frame)
            report = look(loaded, hms, reader, window, keeps_days=keeps, erased=partial(_erased, frame), tick=tick)
        if metrics is not None:
            write_whole(metrics, render(report, window, loaded))
        if not report.alarms:
            if heartbeat is not None:
                write_whole(heartbeat, f"{report.now:%Y-%m-%dT%H:%M:%SZ}\n")
            if url is not None:
                with http_client() as http:
                    refused = ping(http, url)
                if refused:
                    frame.tell(f"{VARIABLE}: the heartbeat was not taken ({refused})", style="yellow")
        show(frame, report)

    run(action, as_json=as_json)


def show(frame: Frame, report: Report) -> None:
    """Print the table; ends the process with 1 if something is late, failed or missing."""
    counts = report.counts
    told = [one for one in report.watched if one.state is State.ON_ITS_WAY] + report.alarms

    def table(out: Console) -> None:
        if told:
            show_table(out, ("", "recording", "type", "room", "ended", "why"), _rows(told))
        line = ", ".join(f"{count:,} {state.value}" for state, count in counts.items())
        more = f"; {report.running:,} running" if report.running else ""
        others = f"; {report.others:,} of other templates left out" if report.others else ""
        out.print(f"since {moment(report.since)}: {line}{more}{others}")

    data = {
        "since": report.since.isoformat(),
        "at": report.now.isoformat(),
        "well": not report.alarms,
        "counts": {state.value: count for state, count in counts.items()},
        "running": report.running,
        "others": report.others,
        "recordings": [asdict(one) for one in report.watched if one.state is not State.OK],
    }
    frame.result(data, table)
    if report.alarms:
        raise SystemExit(CheckFailedError.exit_code)


def _rows(told: list[Watched]) -> Iterator[tuple[str, ...]]:
    for one in told[-_SHOWN:]:
        state = f"[{_STYLES[one.state]}]{one.state.value}[/]"
        yield state, *map(escape, (one.id, one.type, one.room_id or "", moment(one.at), one.detail))
    if len(told) > _SHOWN:
        yield "…", f"{len(told) - _SHOWN:,} more with --json", "", "", "", ""


def _window(since: str, late: str) -> Window:
    now = datetime.now(UTC)
    began, patience = parse_since(since, now), parse_duration(late)
    if began >= now:
        raise UsageError(f"--since {since!r} is not in the past: legal are 1d, 12h, 2026-08-01, 2026-08-01T12:00")
    return Window(now, began, patience)


def _check_folder(file: Path | None) -> None:
    if file is not None and (not file.parent.is_dir() or file.is_dir()):
        raise ConfigurationError(f"{str(file)!r} cannot be written: give a file in a folder that exists")


def _keeps_days(outputs: StackOutputs, frame: Frame) -> int | None:
    """After how many days recordings are deleted on purpose: the operator alone may know."""
    try:
        rules = open_store(outputs, Identity.OPERATOR).guards().lifecycle
    except (StoreError, ConfigurationError):
        frame.tell("no operator login: what the bucket's lifecycle deleted counts as missing")
        return None
    return keeps_days(((rule.prefix, rule.expires_days) for rule in rules), outputs.path_prefix)


def _erased(frame: Frame, entries: Sequence[CatalogEntry]) -> frozenset[str]:
    """Which of these were erased, where a database can say it; without one, none were."""
    if not os.environ.get("DATABASE_URL", "").strip():
        return frozenset()
    try:
        with needs("db"):
            from recordings.catalog import Catalog
            from recordings.database import connect, database_url
        with connect(database_url(os.environ)) as connection:
            return Catalog(connection).erased(entries)
    except (DatabaseError, ConfigurationError) as error:
        frame.tell(f"what was erased counts as missing: {error}", style="yellow")
        return frozenset()


@contextmanager
def _counting(frame: Frame) -> Iterator[Callable[[int], None]]:
    """A spinner with the count on a terminal, nothing elsewhere."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=frame.story, transient=True, disable=not frame.story.is_terminal) as bar:
        task = bar.add_task("asking 100ms", total=None)
        yield lambda seen: bar.update(task, description=f"{counted(seen, 'recording')} looked for in the bucket")
