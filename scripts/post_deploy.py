"""After `pulumi up`: register the bucket with the 100ms templates, then verify that recordings will arrive.

    python -m scripts.post_deploy --stack dev

It is `recordings register` followed by `recordings verify`, ends at the first that fails, with that one's exit code.
Safe to run again at any time.
"""

from __future__ import annotations

import typer

from recordings.cli import register, verify
from recordings.cli.frame import DryRunOption, Frame, OutputsOption, StackOption, load_outputs, run
from recordings.cli.place import TemplateOption


def post_deploy(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    template: TemplateOption = None,
    accept_hls_vod: register.AcceptHlsVodOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Register the stack's bucket with its 100ms templates, then verify it.

    With --dry-run it prints the registration's steps, runs none, and does not verify.
    """

    def action() -> None:
        frame, loaded = Frame(), load_outputs(stack, outputs)
        register.perform(frame, loaded, template, accept_hls_vod=accept_hls_vod, dry_run=dry_run)
        if not dry_run:
            verify.perform(frame, loaded, template)

    run(action)


if __name__ == "__main__":
    typer.run(post_deploy)
