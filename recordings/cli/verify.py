"""`recordings verify`: one line a check, and the fix in words for each that fails."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from recordings.cli.frame import Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.durations import parse_duration
from recordings.errors import CheckFailedError, UsageError
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.outputs import StackOutputs
from recordings.stores import AccessKey, Identity, open_store
from recordings.verification import Check, Context, Status, http_client
from recordings.verification import verify as run_checks

NAME = "verify"
_STYLE = {Status.PASSED: "green", Status.FAILED: "red", Status.NOT_RUN: "yellow"}


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    template: Annotated[
        list[str] | None, typer.Option(help="Template to check; repeat it. Default: `templateIds` of the stack.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Writer key slot to prove, blue or green. Default: the registered one.")
    ] = None,
    wait: Annotated[str, typer.Option(help="How long to wait for new keys to become usable.")] = "60s",
    as_json: JsonOption = False,
) -> None:
    """Prove the bucket, the keys, CORS, denials and templates by using them; remove what that wrote.

    Needs the stack's outputs; HMS_ACCESS_KEY and HMS_APP_SECRET for the templates; the operator's login to clean up.
    """

    def action() -> None:
        patience = parse_duration(wait)
        loaded = load_outputs(stack, outputs)
        slot = key or loaded.registered_key
        frame = Frame(as_json=as_json)
        hms = _hms(frame)
        with http_client() as http, hms or nullcontext():
            context = Context(
                outputs=loaded,
                slot=slot,
                writer=open_store(loaded, _slot_key(loaded, slot)),
                reader=open_store(loaded, Identity.READER),
                operator=open_store(loaded, Identity.OPERATOR),
                http=http,
                patience=patience,
                tell=frame.tell,
            )
            checks = run_checks(context, hms, template or loaded.template_ids, lambda check: _show(frame, check))
        _conclude(frame, checks)

    run(action, as_json=as_json)


def _slot_key(outputs: StackOutputs, slot: str) -> Identity | AccessKey:
    if slot == outputs.registered_key:
        return Identity.WRITER
    if slot not in outputs.writer_keys:
        raise UsageError(f"--key {slot!r}: this stack's writer has no such slot; legal: {sorted(outputs.writer_keys)}")
    found = outputs.writer_keys[slot]
    return AccessKey(found.id, found.secret)


def _hms(frame: Frame) -> HmsClient | None:
    """The client, or None where the environment names no 100ms credentials at all; half of them are an error."""
    if not any(os.environ.get(name) for name in ("HMS_ACCESS_KEY", "HMS_APP_SECRET", "HMS_MANAGEMENT_TOKEN")):
        return None
    return HmsClient(HmsCredentials.from_environment(os.environ), tell=frame.tell)


def _show(frame: Frame, check: Check) -> None:
    to = frame.story if frame.as_json else frame.out
    mark = f"[{_STYLE[check.status]}]{check.status.value:<7}[/]"
    to.print(f"{mark} {check.seconds:5.1f} s  {escape(check.id):<17}  {escape(check.title)}: {escape(check.detail)}")
    if check.fix:
        to.print(f"{'':17}fix: {escape(check.fix)}")


def _conclude(frame: Frame, checks: list[Check]) -> None:
    failed = [check.id for check in checks if check.status is Status.FAILED]
    skipped = [check.id for check in checks if check.status is Status.NOT_RUN]
    count = len(checks) - len(failed) - len(skipped)
    frame.result(
        {"passed": not failed, "checks": [asdict(check) for check in checks]},
        lambda out: out.print(f"{count} passed, {len(failed)} failed, {len(skipped)} not run"),
    )
    if failed:
        frame.tell(f"failed: {', '.join(failed)}", style="red")
        raise SystemExit(CheckFailedError.exit_code)
