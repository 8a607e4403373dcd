"""What guards the bucket when nobody looks: public access refused, versions kept, leftovers cleared away.

Checked by what the bucket is set to, since it cannot be tried in a minute. The operator alone may see it.
"""

from __future__ import annotations

from typing import Final

from recordings.errors import AccessDeniedError, CredentialsError
from recordings.stores import Guards
from recordings.verification.checks import Fault, NotRun
from recordings.verification.context import VERIFY_FOLDER, Context

DRIFT: Final = "guards: the bucket was changed by hand. See how with `pulumi refresh`, bring it back with `pulumi up`"


def public_access(context: Context) -> str:
    """Nobody can open the bucket to the public, not even by mistake."""
    if not _guards(context).refuses_public_access:
        raise Fault("the bucket could be made public by a policy or an ACL", DRIFT)
    return "no policy and no ACL can open the bucket"


def versioning(context: Context) -> str:
    """A recording that is overwritten or deleted can be had back."""
    if not _guards(context).keeps_versions:
        raise Fault("a recording that is overwritten or deleted is lost", DRIFT)
    return "old versions are kept"


def lifecycle(context: Context) -> str:
    """Unfinished uploads, old versions and what checks write do not stay, and cost, for ever."""
    prefix = context.outputs.path_prefix
    rules = _guards(context).lifecycle
    covering = [rule for rule in rules if prefix.startswith(rule.prefix)]
    missing = []
    if not any(rule.abort_uploads_days for rule in covering):
        missing.append("unfinished uploads")
    if not any(rule.old_versions_days for rule in covering):
        missing.append("old versions")
    if not any(rule.expires_days for rule in rules if rule.prefix == prefix + VERIFY_FOLDER):
        missing.append(f"what checks write under {prefix}{VERIFY_FOLDER}")
    if missing:
        raise Fault(f"no lifecycle rule takes away {', '.join(missing)}", DRIFT)
    return "unfinished uploads, old versions and what checks write go by themselves"


def _guards(context: Context) -> Guards:
    try:
        return context.operator.guards()
    except (AccessDeniedError, CredentialsError) as error:
        raise NotRun(str(error), "log in as an operator who may read the bucket's settings, and verify again") from None
