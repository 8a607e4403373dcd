"""After `pulumi up`: register the bucket with the 100ms templates, then verify that recordings will arrive.

It is `recordings register` followed by `recordings verify`, ends at the first that fails, with that one's exit code.
Safe to run again at any time. With --dry-run it prints the registration's steps, runs none, and does not verify. --json
gives `{"register": …, "verify": …}`, what the two commands give; null for one that did not run.

Example: python -m scripts.post_deploy --stack dev
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console

from recordings.cli import register, verify
from recordings.cli.frame import DryRunOption, Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.cli.place import TemplateOption
from scripts.command import alone


@dataclass(frozen=True)
class Part(Frame):
    """Where one of the two commands speaks: with --json its object is kept, as part of the one that is printed."""

    kept: dict[str, Any] = field(default_factory=dict)

    def result(self, data: dict[str, Any], show: Callable[[Console], None]) -> None:
        """Keep the object, or show the text."""
        if self.as_json:
            self.kept.update(data)
        else:
            super().result(data, show)


def post_deploy(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    template: TemplateOption = None,
    accept_hls_vod: register.AcceptHlsVodOption = False,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Register the stack's bucket with its 100ms templates, then verify it."""

    def action() -> None:
        loaded, first, then = load_outputs(stack, outputs), Part(as_json), Part(as_json)
        try:
            register.perform(first, loaded, template, accept_hls_vod=accept_hls_vod, dry_run=dry_run)
            if not dry_run:
                verify.perform(then, loaded, template)
        except SystemExit:
            _print(first, then)
            raise
        _print(first, then)

    run(action, as_json=as_json)


def _print(first: Part, then: Part) -> None:
    if first.as_json:
        told = {"register": first.kept or None, "verify": then.kept or None}
        sys.stdout.write(json.dumps(told, indent=2, default=str) + "\n")


app = alone(post_deploy, __doc__)

if __name__ == "__main__":
    app()
