"""`recordings unregister`: parse and print; `recordings.registration` does the work."""

from __future__ import annotations

from recordings.cli.frame import DryRunOption, Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.cli.place import TemplateOption, open_place, show_intent
from recordings.registration import plan_unregister, template_ids, with_doubt


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    template: TemplateOption = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Put back the recording storage that 100ms templates had before `recordings register`.

    Only a template that still uses the stack's bucket is changed; any other is left alone, and said so. Run it before
    the bucket goes. Exit code 1: a template uses the bucket and cannot be put back, or 100ms knows none of them.

    Without --template it takes the stack's templateIds and every template that is remembered in the bucket.

    Example: recordings unregister --stack dev --dry-run
    """

    def action() -> None:
        frame = Frame(as_json)
        deployed = load_outputs(stack, outputs)
        ids = template_ids(template, deployed) if template else ()
        with open_place(deployed, frame) as place:
            show_intent(frame, with_doubt(plan_unregister(place, ids)), dry_run=dry_run)

    run(action, as_json=as_json)
