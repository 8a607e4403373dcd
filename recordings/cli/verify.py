"""`recordings verify`: one line a check, and the fix in words for each that fails."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from functools import partial
from typing import Annotated

import typer

from recordings.cli.checks import conclude, show_check
from recordings.cli.frame import DryRunOption, Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.durations import parse_duration, show_duration
from recordings.errors import UsageError
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.outputs import StackOutputs
from recordings.stores import AccessKey, Identity, open_store
from recordings.verification import Context, Probe, http_client, table
from recordings.verification import verify as run_checks

PATIENCE = timedelta(seconds=60)
"""How long new keys may take to become usable; with AWS 10 to 15 seconds are usual."""


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    template: Annotated[
        list[str] | None,
        typer.Option("--template", "-t", metavar="ID", help="Template to check; repeat it. Default: the stack's."),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(metavar="SLOT", help="Writer key slot to prove, blue or green. Default: the registered one."),
    ] = None,
    wait: Annotated[
        str, typer.Option(metavar="T", help="How long to wait for new keys to become usable.")
    ] = show_duration(PATIENCE),
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Prove the bucket, the keys, CORS, denials and templates by using them; remove what that wrote.

    Needs the stack's outputs; HMS_ACCESS_KEY and HMS_APP_SECRET for the templates; the operator's login to clean up.

    Example: recordings verify --stack dev --template 63188115d11d6db790c73c60
    """

    def action() -> None:
        patience = parse_duration(wait)
        loaded = load_outputs(stack, outputs)
        perform(Frame(as_json), loaded, template, slot=key, patience=patience, dry_run=dry_run)

    run(action, as_json=as_json)


def perform(
    frame: Frame,
    loaded: StackOutputs,
    template: Sequence[str] | None,
    *,
    slot: str | None = None,
    patience: timedelta = PATIENCE,
    dry_run: bool = False,
) -> None:
    """Run the checks and print them, with `slot` or the registered key; ends the process with 1 if one failed."""
    hms = _hms()
    if template and hms is None:
        raise UsageError("--template needs 100ms: set HMS_ACCESS_KEY and HMS_APP_SECRET, or HMS_MANAGEMENT_TOKEN")
    with http_client() as http, hms or nullcontext():
        context = Context(
            outputs=loaded,
            slot=slot or loaded.registered_key,
            writer=open_store(loaded, _slot_key(loaded, slot or loaded.registered_key)),
            reader=open_store(loaded, Identity.READER),
            operator=open_store(loaded, Identity.OPERATOR),
            http=http,
            patience=patience,
            tell=frame.tell,
        )
        template_ids = template or loaded.template_ids
        probes = table(context, hms, template_ids)
        if dry_run:
            _show_table(frame, probes)
            return
        width = max(len(probe.id) for probe in probes)
        conclude(frame, run_checks(context, hms, template_ids, partial(show_check, frame, width=width)))


def _slot_key(outputs: StackOutputs, slot: str) -> Identity | AccessKey:
    if slot == outputs.registered_key:
        return Identity.WRITER
    if slot not in outputs.writer_keys:
        raise UsageError(f"--key {slot!r}: this stack's writer has no such slot; legal: {sorted(outputs.writer_keys)}")
    found = outputs.writer_keys[slot]
    return AccessKey(found.id, found.secret)


def _hms() -> HmsClient | None:
    """The client, or None where the environment names no 100ms credentials at all; half of them are an error."""
    if not any(os.environ.get(name) for name in ("HMS_ACCESS_KEY", "HMS_APP_SECRET", "HMS_MANAGEMENT_TOKEN")):
        return None
    return HmsClient(HmsCredentials.from_environment(os.environ))


def _show_table(frame: Frame, probes: list[Probe]) -> None:
    for probe in probes:
        frame.tell(f"would: check {probe.id}: {probe.title}")
    frame.result({"dryRun": True, "checks": [{"id": p.id, "title": p.title} for p in probes]}, lambda _: None)
