"""What a deployment on Google Cloud Storage may take over, and what both its program and `recordings adopt` know of it.

Bindings are no parts: adding a member that a role has already changes nothing. Nor are HMAC keys: the secret of one
that exists cannot be read.
"""

from __future__ import annotations

from typing import Final

from recordings.adoption.parts import Part

PARTS: Final = (Part.BUCKET, Part.WRITER, Part.READER)

ACCOUNT_NAMES: Final = {Part.WRITER.value: "hms-rec-{stack}", Part.READER.value: "hms-rec-reader-{stack}"}
"""The service accounts that a stack makes where it is told no names."""

SOFT_DELETE_SECONDS: Final = 7 * 24 * 3600
"""For how long Google keeps what was deleted for good, an old version too: the least it offers beside none."""

_DOMAIN: Final = ".iam.gserviceaccount.com"


def email_of(account_id: str, project: str) -> str:
    """The e-mail of a service account; a project of a domain, `example.com:name`, is `name.example.com` in it."""
    domain, _, name = project.rpartition(":")
    return f"{account_id}@{f'{name}.{domain}' if domain else name}{_DOMAIN}"


def import_id(account_id: str, project: str) -> str:
    """The resource name of a service account, which is what it is imported as."""
    return f"projects/{project}/serviceAccounts/{email_of(account_id, project)}"
