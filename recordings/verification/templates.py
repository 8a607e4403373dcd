"""Does 100ms upload where the stack says? Each template must name exactly this bucket, prefix, region and key."""

from __future__ import annotations

from recordings.errors import HmsNotFoundError
from recordings.hms import HmsClient
from recordings.upload_settings import Upload, check_form, differences
from recordings.verification.checks import TEMPLATE, Fault, NotRun
from recordings.verification.context import Context


def template(context: Context, hms: HmsClient | None, template_id: str) -> str:
    """One template's `recording.upload`, property by property."""
    if hms is None:
        raise NotRun("no 100ms credentials", "set HMS_ACCESS_KEY and HMS_APP_SECRET (100ms dashboard, Developer)")
    if context.slot != context.outputs.registered_key:
        raise NotRun(f"slot {context.slot} is not the registered one ({context.outputs.registered_key})")
    try:
        settings = hms.template_settings(template_id)
    except HmsNotFoundError as error:
        raise Fault(str(error), "template: correct `recordings:templateIds`; see the ids in the dashboard") from None
    check_form(settings)
    names = differences(settings, Upload.from_outputs(context.outputs))
    if names:
        raise Fault(f"not as in the stack outputs: {', '.join(f'recording.upload.{name}' for name in names)}", TEMPLATE)
    return "bucket, prefix, region and key as in the stack outputs"
