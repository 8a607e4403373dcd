"""How checks are shown: one line each as it ends, its fix under it, a summary, the exit code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

from recordings.cli.frame import Frame
from recordings.cli.text import escape
from recordings.errors import CheckFailedError
from recordings.verification.checks import Check, Status

_STYLE: Final = {Status.PASSED: "green", Status.FAILED: "red", Status.WARNING: "yellow", Status.NOT_RUN: "yellow"}


def show_check(frame: Frame, check: Check, *, width: int = 17) -> None:
    """Print one check, on stdout, or on stderr if stdout is for JSON; `width` is that of the longest id."""
    to = frame.story if frame.as_json else frame.out
    mark = f"[{_STYLE[check.status]}]{check.status.value:<7}[/]"
    to.print(
        f"{mark} {check.seconds:5.1f} s  {escape(check.id):<{width}}  {escape(check.title)}: {escape(check.detail)}"
    )
    if check.fix:
        to.print(f"{'':17}fix: {escape(check.fix)}")


def conclude(frame: Frame, checks: Sequence[Check], **more: Any) -> None:
    """Print the result; ends the process with 1 if a check failed."""
    failed = [check.id for check in checks if check.status is Status.FAILED]
    skipped = [check.id for check in checks if check.status is Status.NOT_RUN]
    warned = [check.id for check in checks if check.status is Status.WARNING]
    count = len(checks) - len(failed) - len(skipped) - len(warned)
    also = f", {len(warned)} with a warning" if warned else ""
    frame.result(
        {"passed": not failed, **more, "checks": [asdict(check) for check in checks]},
        lambda out: out.print(f"{count} passed, {len(failed)} failed, {len(skipped)} not run{also}"),
    )
    if failed:
        frame.tell(f"failed: {', '.join(failed)}", style="red")
        raise SystemExit(CheckFailedError.exit_code)
