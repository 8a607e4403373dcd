"""Say what a preview would do, and whether it is safe: a short report in Markdown for a pull request.

Example: pulumi preview --json | python -m scripts.preview_diff -

Or: python -m scripts.preview_diff preview.json --fail-on replace,delete,public

Reads what `pulumi preview --json` or the embedded engine prints. The verdict comes first: safe, needs a look or
dangerous. Nothing secret is shown, not even what became a secret only now.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from recordings.cli.frame import Frame, JsonOption, run
from recordings.errors import CheckFailedError, ConfigurationError
from scripts.command import alone
from scripts.preview import document, report
from scripts.preview.verdict import FLAGS, Judgement, flags_named, judge

_FLAGS = "; ".join(f"{flag.value}: {meaning}" for flag, meaning in FLAGS.items())


def preview_diff(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The preview as JSON, `-` for standard input.")],
    fail_on: Annotated[
        str | None,
        typer.Option(metavar="FLAG,…", help=f"End with 1 if one of these flags is up. {_FLAGS}."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn a preview into a short report: verdict, guard rules, and every change property by property."""

    def action() -> None:
        wanted = flags_named(fail_on) if fail_on is not None else []
        judgement = judge(document.read(_text(file)), datetime.now(UTC))
        frame = Frame(as_json)
        _show(frame, judgement)
        raised = [flag.value for flag in wanted if flag in judgement.flags]
        if raised:
            # not as an error: with --json that would be a second object
            frame.tell(f"failed: --fail-on names {', '.join(raised)}; the report says where", style="red")
            raise SystemExit(CheckFailedError.exit_code)

    run(action, as_json=as_json)


def _show(frame: Frame, judgement: Judgement) -> None:
    if frame.as_json:
        frame.result(report.data(judgement), lambda _: None)
    else:
        # as it is: rich would break and style it
        sys.stdout.write(report.markdown(judgement))
    sys.stdout.flush()


def _text(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return raw.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{file!r} cannot be read: {reason}") from None


app = alone(preview_diff, __doc__)

if __name__ == "__main__":
    app()
