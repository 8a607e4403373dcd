"""`recordings test-recording`: record, wait for delivery, prove what was delivered."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Annotated

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from recordings.cli.checks import conclude, show_check
from recordings.cli.frame import DryRunOption, Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.durations import parse_duration, show_duration
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.hms_models import ACTIVE, Recording
from recordings.stores import Identity, open_store
from recordings.trial import USUAL, Trial
from recordings.verification import http_client


def command(
    room: Annotated[str, typer.Option(metavar="ID", help="Room to record; nobody else may be recording in it.")],
    stack: StackOption = None,
    outputs: OutputsOption = None,
    meeting_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Page that 100ms' browser joins; needed for templates made by API."),
    ] = None,
    keep: Annotated[str, typer.Option(metavar="T", help="How long to record.")] = "30s",
    timeout: Annotated[
        str, typer.Option(metavar="T", help="How long to wait for delivery, usually 15 to 20 minutes.")
    ] = "45m",
    resume: Annotated[str | None, typer.Option(metavar="ID", help="Take up an earlier run.")] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="If it is not delivered yet, end at once with 4.")] = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Start and stop a recording, wait until 100ms delivers it, then check recording, path and download.

    Ends with 4 if it is not delivered in time; `--resume` takes it up again.

    Example: recordings test-recording --stack dev --room 66f0a2c4e8b1d3a5c7f90b12 --keep 1m
    """

    def action() -> None:
        lengths = parse_duration(keep), timedelta(0) if no_wait else parse_duration(timeout)
        loaded = load_outputs(stack, outputs)
        frame = Frame(as_json=as_json)
        with HmsClient(HmsCredentials.from_environment(os.environ)) as hms, http_client() as http:
            trial = Trial(loaded, hms, open_store(loaded, Identity.READER), http, room, tell=frame.tell)
            earlier = trial.resumed(resume) if resume else trial.unfinished()
            if earlier is None or earlier.status in ACTIVE:
                trial.check_room()
            if dry_run:
                _show_steps(frame, room, earlier, keep)
            else:
                _carry_out(frame, trial, earlier, meeting_url, *lengths)

    run(action, as_json=as_json)


def _carry_out(
    frame: Frame, trial: Trial, earlier: Recording | None, meeting_url: str | None, keep: timedelta, limit: timedelta
) -> None:
    recording = earlier
    if recording is None or recording.status in ACTIVE:
        recording = trial.record(keep, meeting_url=meeting_url, resume=earlier)
    else:
        frame.tell(f"taking up recording {recording.id} ({recording.status})")
    with progress(frame, limit) as tick:
        recording = trial.wait(recording, limit, tick)
    proof = trial.prove(recording, partial(show_check, frame))
    told = {"room": trial.room_id, "recording": proof.recording_id, "path": proof.path}
    conclude(frame, proof.checks, **told, size=proof.size, sha256=proof.sha256)


def _show_steps(frame: Frame, room: str, earlier: Recording | None, keep: str) -> None:
    steps = [
        *([] if earlier else [f"start a recording of room {room}"]),
        *([f"stop it after {keep}"] if earlier is None or earlier.status in ACTIVE else []),
        "wait until 100ms delivers it",
        "check asset, path, object, size, download and Range",
    ]
    for step in steps:
        frame.tell(f"would: {step}")
    frame.result({"dryRun": True, "steps": steps}, lambda _: None)


@contextmanager
def progress(frame: Frame, limit: timedelta) -> Iterator[Callable[[Recording], None]]:
    """A bar on a terminal, filled by the usual time; elsewhere a line whenever the status changes."""
    if not frame.story.is_terminal:
        yield _tell_changes(frame)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("{task.fields[usual]}"))
    usual = f"of about {show_duration(min(limit, USUAL))}"
    with Progress(*columns, console=frame.story, transient=True) as bar:
        task = bar.add_task("waiting", total=min(limit, USUAL).total_seconds(), usual=usual)

        def tick(recording: Recording) -> None:
            bar.update(task, description=recording.status, completed=bar.tasks[0].elapsed or 0.0)

        yield tick


def _tell_changes(frame: Frame) -> Callable[[Recording], None]:
    last = ""

    def tick(recording: Recording) -> None:
        nonlocal last
        if recording.status != last:
            last = recording.status
            frame.tell(f"recording {recording.id}: {last}")

    return tick
