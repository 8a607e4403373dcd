"""`recordings sign`: a presigned download URL on standard output."""

from __future__ import annotations

from typing import Annotated

import typer

from recordings.cli.frame import Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.durations import parse_duration, show_duration
from recordings.paths import Home
from recordings.signing import check_expiry
from recordings.stores import open_source


def command(
    key_or_path: Annotated[
        str,
        typer.Argument(
            metavar="KEY_OR_PATH",
            help="Key in the stack's bucket, or a path as 100ms reports it: s3://bucket/prefix/….mp4, there or in a "
            "former bucket.",
        ),
    ],
    stack: StackOption = None,
    outputs: OutputsOption = None,
    expires: Annotated[str, typer.Option(metavar="T", help="How long the URL works: 30s, 15m, 1h, at most 7d.")] = "1h",
    filename: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name under which a browser saves the download.")
    ] = None,
    content_type: Annotated[
        str | None, typer.Option(metavar="TYPE", help="Content type that the answer shall have.")
    ] = None,
    no_check: Annotated[bool, typer.Option("--no-check", help="Do not ask whether the recording exists.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Sign a download URL for a recording, with the reader's key.

    The URL is a secret: whoever has it can download until it expires.

    Example: recordings sign --stack dev s3://acme-recordings/recordings/beam/ROOM/20260801/Rec-ROOM-1785542400000.mp4
    """

    def action() -> None:
        lifetime = parse_duration(expires)
        check_expiry(int(lifetime.total_seconds()))
        loaded = load_outputs(stack, outputs)
        path = Home.of(loaded).source(key_or_path)
        key, reader = path.key, open_source(loaded, path.bucket)
        if not no_check:
            reader.head(key)
        signed = reader.sign(key, lifetime, filename=filename, content_type=content_type)
        frame = Frame(as_json=as_json)
        frame.tell(f"valid for {show_duration(lifetime)}, until {signed.expires_at:%Y-%m-%d %H:%M:%S} UTC")
        frame.result(
            {"bucket": path.bucket, "key": key, "url": signed.reveal(), "expiresAt": signed.expires_at.isoformat()},
            lambda out: out.print(signed.reveal(), markup=False),
        )

    run(action, as_json=as_json)
