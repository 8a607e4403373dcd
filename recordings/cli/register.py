"""`recordings register`: parse and print; `recordings.registration` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from recordings.cli.frame import DryRunOption, Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.cli.place import TemplateOption, open_place, show_intent
from recordings.outputs import StackOutputs
from recordings.registration import plan_register, template_ids

AcceptHlsVodOption = Annotated[
    bool,
    typer.Option(
        "--accept-hls-vod", help="Go on although 100ms will no longer give playable links to HLS VOD recordings."
    ),
]
AcceptUnrestorableOption = Annotated[
    bool,
    typer.Option(
        "--accept-unrestorable",
        help="Go on although the secret of the present storage is not shown, so it cannot be put back later.",
    ),
]


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    template: TemplateOption = None,
    accept_hls_vod: AcceptHlsVodOption = False,
    accept_unrestorable: AcceptUnrestorableOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make 100ms templates upload their recordings to the stack's bucket.

    Remembers what each template has now (encrypted, in the bucket), changes `recording.upload` alone, and reads it
    back. Run it again at any time: it writes nothing where nothing is to do, and completes a run that was cut short.

    Reads HMS_ACCESS_KEY and HMS_APP_SECRET from the environment. Without --template it takes the stack's templateIds.

    Example: recordings register --stack dev --template 63188115d11d6db790c73c60 --dry-run
    """

    def action() -> None:
        perform(
            Frame(as_json),
            load_outputs(stack, outputs),
            template,
            accept_hls_vod=accept_hls_vod,
            accept_unrestorable=accept_unrestorable,
            dry_run=dry_run,
        )

    run(action, as_json=as_json)


def perform(
    frame: Frame,
    wanted: StackOutputs,
    template: Sequence[str] | None,
    *,
    accept_hls_vod: bool = False,
    accept_unrestorable: bool = False,
    dry_run: bool = False,
) -> None:
    """Register `template` or the stack's own templates; ends the process with 1 if a template has a fault."""
    ids = template_ids(template or (), wanted)
    with open_place(wanted, frame) as place:
        intent = plan_register(place, ids, accept_hls_vod=accept_hls_vod, accept_unrestorable=accept_unrestorable)
        show_intent(frame, intent, dry_run=dry_run)
