"""What becomes of an existing service account when the stack takes it over as writer or reader.

Its HMAC keys stay as they are and belong to nobody here, as the secret of a key can't be read after it was made: the
stack adds its own beside them. Bindings are added to those that the account has; what these allow beyond the stack's
is told, and taken from nobody. Bindings on the project are not read: that needs rights which nothing else here needs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from recordings.adoption.findings import Proposal
from recordings.adoption.gcs_parts import email_of
from recordings.adoption.gcs_survey import AccountFacts, BucketFacts, Document
from recordings.adoption.parts import Part
from recordings.adoption.stack_file import StackFile
from recordings.errors import UsageError
from recordings.policies_gcs import Binding, member

MAX_KEYS: Final = 10
"""HMAC keys of a service account: https://cloud.google.com/storage/docs/authentication/hmackeys#restrictions."""
_ID: Final = re.compile(r"[a-z][-a-z0-9]{4,28}[a-z0-9]")


def account_id(given: str, project: str, role: Part) -> str:
    """The id of an account of `project`, given as id or e-mail. Raises UsageError for any other."""
    id_ = given.partition("@")[0]
    if not _ID.fullmatch(id_) or given not in (id_, email_of(id_, project)):
        raise UsageError(
            f"{given!r} is no service account that project {project} can take over; legal: an id of 6 to 30 lower-case "
            f"letters, digits and '-', or {email_of('ID', project)}. An account of another project, or one that Google "
            f"made, works as recordings:{role}External, with an HMAC key that its owner makes"
        )
    return id_


def judge_account(
    proposal: Proposal,
    facts: AccountFacts,
    role: Part,
    bucket: BucketFacts,
    granted: Sequence[Binding],
    file: StackFile,
) -> None:
    """Find what taking the account over would cost; `granted` is what the stack binds it to."""
    who = f"service account {facts.id!r}"
    proposal.set(f"{role}Name", facts.id)
    proposal.parts.append(role)
    if file.value(f"{role}External"):
        text = f"recordings:{role}External is given: remove it, or leave the account out"
        proposal.find(f"{role}External", text, acceptable=False)
    if facts.resource.get("disabled"):
        proposal.find(f"disabled:{facts.id}", f"{who} is disabled, and is enabled")
    if description := facts.resource.get("description"):
        proposal.find(f"description:{facts.id}", f"the description {description!r} of {who} goes")
    if name := facts.resource.get("displayName"):
        proposal.notes.append(f"{who} is called {name!r} now, and for what the stack uses it then")
    _judge_keys(proposal, facts, role, file)
    for binding in _others(bucket.bindings, member(facts.email), granted):
        condition = binding.get("condition", {}).get("expression")
        where = f"where {condition}" if condition else "in the whole bucket"
        proposal.notes.append(
            f"{who} keeps {binding['role']} {where}, beside what the stack allows: when nothing needs it, take it away "
            "(`gcloud storage buckets remove-iam-policy-binding`)"
        )


def judge_new_account(proposal: Proposal, role: Part, id_: str) -> None:
    """Find that an account which the stack would make is there already: `up` would stop half way."""
    proposal.find(
        f"{role}Name",
        f"the stack would make the service account {id_!r}, which exists: take it over "
        f"({'--user' if role is Part.WRITER else '--reader-user'} {id_}), or give another recordings:{role}Name",
        acceptable=False,
    )


def _judge_keys(proposal: Proposal, facts: AccountFacts, role: Part, file: StackFile) -> None:
    if not facts.keys:
        return
    slots: Any = file.value(f"{role}Keys") or {"blue": "active"}
    if len(facts.keys) + len(slots) > MAX_KEYS:
        proposal.find(
            f"{role}Keys",
            f"service account {facts.id!r} has {len(facts.keys)} HMAC keys, and Google allows {MAX_KEYS}: make those "
            "not in use inactive and delete them (`gcloud storage hmac update --deactivate`, `delete`), or leave the "
            "account out, so that a new one is made",
            acceptable=False,
        )
    keys = ", ".join(f"{id_} ({state})" for id_, state in facts.keys.items())
    proposal.notes.append(
        f"service account {facts.id!r} keeps the HMAC keys {keys}, unmanaged: the secret of a key cannot be read. The "
        "stack adds a key of its own; delete the old one when nothing uses it"
    )


def _others(bindings: Sequence[Document], who: str, granted: Sequence[Binding]) -> list[Document]:
    """What a member has on the bucket beside `granted`."""
    ours = [(binding["role"], binding["condition"]["expression"]) for binding in granted]
    return [
        binding
        for binding in bindings
        if who in binding.get("members", ())
        and (binding["role"], binding.get("condition", {}).get("expression")) not in ours
    ]
