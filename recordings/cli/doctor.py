"""`recordings doctor`: parse, show a table, exit code; `recordings.doctor` looks."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from rich.console import Console

from recordings.cli.frame import Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.cli.tables import show_table
from recordings.cli.text import escape
from recordings.doctor import Finding, Patient, Severity, Walk, examine, examine_url
from recordings.doctor.cors import check_origin
from recordings.doctor.patient import open_operator
from recordings.durations import parse_duration
from recordings.errors import CheckFailedError, ConfigurationError, UsageError
from recordings.extras import needs
from recordings.hms import HmsClient
from recordings.hms_auth import DEFAULT_API_URL, HmsCredentials
from recordings.outputs import StackOutputs
from recordings.retry import RetryPolicy
from recordings.shown import counted
from recordings.stores import Identity, open_store
from recordings.verification import http_client

if TYPE_CHECKING:
    from recordings.catalog import Catalog

_STYLES: Final = {
    Severity.FAULT: "red",
    Severity.WARNING: "yellow",
    Severity.NOT_CHECKED: "cyan",
    Severity.FINE: "green",
}
_COUNTED: Final = (Severity.FAULT, Severity.WARNING)
_POLICY: Final = RetryPolicy(attempts=5, budget=60.0)
"""Whoever looks for a fault waits no quarter of an hour for a service that is down: that is the finding."""


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL", help="Web origin to see CORS from; repeat it. Default: those that the stack declares."
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(metavar="-", help="Say why a presigned URL fails: `-` reads it from standard input. It alone."),
    ] = None,
    since: Annotated[str, typer.Option(help="How far back to look for failed recordings.", metavar="T")] = "7d",
    quick: Annotated[bool, typer.Option("--quick", help="Do not go through every recording and object.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show what is fine too, and name every recording in 100ms' storage.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 also for what could not be checked.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Find what is wrong, most likely cause first, with the command that repairs it; changes nothing.

    Looks at bucket, guards, keys and rights; with HMS_ACCESS_KEY and HMS_APP_SECRET at templates, rooms and recordings;
    with DATABASE_URL at rows. What it cannot look at it names as not checked. Exit code 1 for a fault.

    Example: recordings doctor --stack prod --origin https://app.example.com
    """

    def action() -> None:
        text = _url_text(url, outputs)
        pages = [check_origin(each) for each in origin or ()]
        window = parse_duration(since)
        select = _select(stack, outputs)
        loaded, frame = load_outputs(stack, outputs), Frame(as_json)
        with ExitStack() as stack_of:
            patient = stack_of.enter_context(open_patient(loaded, frame, select))
            if text is not None:
                found = examine_url(patient, text)
            else:
                walk = _walk(window, quick=quick, everything=everything or as_json)
                with _progress(frame) as began:
                    found = examine(patient, walk, pages, began=began)
        report(frame, found, everything=everything or text is not None, strict=strict)

    run(action, as_json=as_json)


@contextmanager
def open_patient(outputs: StackOutputs, frame: Frame, select: str) -> Iterator[Patient]:
    """The stack with everything that the environment has credentials for."""
    with http_client() as http, ExitStack() as opened:
        patient = Patient(
            outputs=outputs,
            operator=open_operator(outputs),
            writer=open_store(outputs, Identity.WRITER),
            reader=open_store(outputs, Identity.READER),
            http=http,
            api_url=os.environ.get("HMS_API_URL", "").strip() or DEFAULT_API_URL,
            select=select,
            tell=frame.tell,
        )
        try:
            credentials = HmsCredentials.from_environment(os.environ)
        except ConfigurationError as error:
            patient.no_hms = " ".join(str(error).split())
        else:
            client = HmsClient(credentials, policy=_POLICY)
            patient.hms = opened.enter_context(client)
        yield patient


def report(frame: Frame, found: list[Finding], *, everything: bool, strict: bool) -> None:
    """Print the table; ends the process with 1 if something is wrong, with --strict also if it was not checked."""
    counts = {severity: sum(one.severity is severity for one in found) for severity in Severity}
    rows = [one for one in found if everything or one.severity is not Severity.FINE]
    summary = ", ".join(_told(severity, count) for severity, count in counts.items() if count)

    def show(out: Console) -> None:
        if rows:
            show_table(out, ("", "what", "seen", "repair"), map(_row, rows))
        out.print(summary)

    healthy = None if counts[Severity.NOT_CHECKED] else True
    data: dict[str, Any] = {"healthy": False if counts[Severity.FAULT] else healthy}
    frame.result({**data, "findings": [asdict(one) for one in found]}, show)
    if counts[Severity.FAULT] or (strict and counts[Severity.NOT_CHECKED]):
        raise SystemExit(CheckFailedError.exit_code)


def _told(severity: Severity, count: int) -> str:
    return counted(count, severity.value) if severity in _COUNTED else f"{count:,} {severity.value}"


def _row(one: Finding) -> tuple[str, ...]:
    things = "".join(f"\n  {thing}" for thing in one.things)
    state = f"[{_STYLES[one.severity]}]{one.severity.value}[/]"
    return state, escape(one.title), escape(one.seen + things), escape(one.repair)


def _select(stack: str | None, outputs: str | None) -> str:
    """How to name the stack in a command that the user may copy."""
    return f"--stack {shlex.quote(stack)}" if stack else f"--outputs {shlex.quote(outputs or '-')}"


def _url_text(url: str | None, outputs: str | None) -> str | None:
    """The URL from standard input. Raises UsageError for one on the command line, without showing it."""
    if url is None:
        return None
    if url != "-":
        raise UsageError("--url takes `-` alone: a presigned URL is a secret, give it on standard input")
    if outputs == "-":
        raise UsageError("--url - and --outputs - both read standard input: give --stack, or --outputs FILE")
    return sys.stdin.readline()


def _walk(since: timedelta, *, quick: bool, everything: bool) -> Walk:
    """With the database, where DATABASE_URL names one and its client is installed."""
    walk = Walk(since=since, quick=quick, every=everything)
    if not os.environ.get("DATABASE_URL", "").strip():
        return walk
    try:
        return replace(walk, database=_database(os.environ))
    except ConfigurationError as error:
        return replace(walk, no_database=str(error))


def _database(environment: Mapping[str, str]) -> Callable[[], AbstractContextManager[Catalog]]:
    with needs("db"):
        from recordings.catalog import Catalog
        from recordings.database import connect, database_url
    url = database_url(environment)

    @contextmanager
    def opened() -> Iterator[Catalog]:
        with connect(url) as connection:
            yield Catalog(connection, dry_run=True)

    return opened


@contextmanager
def _progress(frame: Frame) -> Iterator[Callable[[str], None]]:
    """What is being looked at, on a terminal."""
    if not frame.story.is_terminal:
        yield lambda _: None
        return
    with frame.story.status("looking") as status:
        yield lambda title: status.update(escape(f"looking: {title}"))
