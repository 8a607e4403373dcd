"""Taking away what the checks wrote, for good: every version and marker, every unfinished upload, as the operator."""

from __future__ import annotations

from recordings.errors import StoreError
from recordings.shown import counted
from recordings.verification.checks import NotRun
from recordings.verification.context import Context


def cleanup(context: Context) -> str:
    """Remove everything of this run; where the operator cannot, say what stays and who will take it away."""
    operator = context.operator
    try:
        for upload in list(operator.list_uploads(context.folder)):
            operator.abort_upload(upload.key, upload.upload_id)
        removed = operator.delete_versions(list(operator.list_versions(context.folder)))
        removed += operator.delete_versions(list(operator.list_versions(context.outside_key)))
    except StoreError as error:
        raise NotRun(
            f"what was written stays under {context.folder}: {error}",
            "log in as an operator who may list and delete versions in this bucket and verify "
            "again; else the lifecycle rule on .verify/ takes it away after a day",
        ) from None
    return f"{counted(removed, 'version')} removed, nothing left"
