"""What becomes of an existing IAM user when the stack takes it over as writer or reader.

Its keys stay as they are and belong to nobody here, as the secret of a key can't be read after it was made: the stack
adds its own beside them. One inline policy is taken over and rewritten; all others, groups and attached policies stay.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from recordings.adoption.bucket import shown
from recordings.adoption.findings import Proposal, check_owner
from recordings.adoption.parts import Part
from recordings.adoption.stack_file import StackFile
from recordings.adoption.survey import Document, UserFacts
from recordings.errors import UsageError
from recordings.policies import bucket_arn

MAX_KEYS: Final = 2
"""Of an IAM user: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html."""


def judge_user(
    proposal: Proposal,
    facts: UserFacts,
    role: Part,
    policy: str | None,
    bucket: tuple[str, str],
    file: StackFile,
    stack: str,
) -> None:
    """Find what taking the user over would cost. `policy` is the inline policy to take over; `bucket` name and region.

    Raises UsageError if it has no such policy.
    """
    who = f"user {facts.name!r}"
    proposal.set(f"{role}Name", facts.name)
    proposal.parts.append(role)
    check_owner(proposal, who, facts.tags, stack)
    if file.value(f"{role}External"):
        text = f"recordings:{role}External is given: remove it, or leave the user out"
        proposal.find(f"{role}External", text, acceptable=False)
    _judge_place(proposal, facts, file)
    _judge_keys(proposal, facts, role, file)
    _judge_policy(proposal, facts, role, policy or _configured(file, role), bucket_arn(*bucket))
    if rest := [*(f"policy {name}" for name in facts.attached), *(f"group {name}" for name in facts.groups)]:
        proposal.notes.append(f"{who} keeps {', '.join(rest)}, and may do what they allow beside what the stack allows")


def judge_new_user(proposal: Proposal, role: Part, name: str) -> None:
    """Find that a user which the stack would make is there already: `up` would stop half way."""
    proposal.find(
        f"{role}Name",
        f"the stack would make the IAM user {name!r}, which exists: take it over "
        f"({'--user' if role is Part.WRITER else '--reader-user'} {name}), or give another recordings:{role}Name",
        acceptable=False,
    )


def _configured(file: StackFile, role: Part) -> str | None:
    found: str | None = file.value(f"{role}PolicyName")
    return found


def _judge_place(proposal: Proposal, facts: UserFacts, file: StackFile) -> None:
    path = proposal.values.get("recordings:iamPath") or file.value("iamPath") or facts.path
    if path != facts.path:
        text = f"user {facts.name!r} has the path {facts.path!r}, the stack's users have {path!r}: one path serves both"
        proposal.find("iamPath", text, acceptable=False)
    elif path != "/":
        proposal.set("iamPath", path)
    boundary = file.value("permissionsBoundary") or proposal.values.get("recordings:permissionsBoundary")
    if boundary is None and facts.boundary:
        proposal.set("permissionsBoundary", facts.boundary)
    elif boundary != facts.boundary:
        there = facts.boundary or "no permissions boundary"
        proposal.find(f"boundary:{facts.name}", f"user {facts.name!r} has {there} now, and {boundary} then")


def _judge_keys(proposal: Proposal, facts: UserFacts, role: Part, file: StackFile) -> None:
    if not facts.keys:
        return
    keys = ", ".join(f"{id_} ({status})" for id_, status in facts.keys.items())
    slots: Any = file.value(f"{role}Keys") or {"blue": "active"}
    if len(facts.keys) + len(slots) > MAX_KEYS:
        proposal.find(
            f"{role}Keys",
            f"user {facts.name!r} has the keys {keys}, and IAM allows {MAX_KEYS} for a user: delete what is not in use "
            "(`aws iam get-access-key-last-used`), or leave the user out, so that a new one is made",
            acceptable=False,
        )
    proposal.notes.append(
        f"user {facts.name!r} keeps {keys}, unmanaged: the secret of a key cannot be read. The stack adds a key of its "
        "own; delete the old one when nothing uses it"
    )


def _judge_policy(proposal: Proposal, facts: UserFacts, role: Part, name: str | None, arn: str) -> None:
    if name is None and len(facts.inline) > 1:
        proposal.find(
            f"{role}-policy",
            f"user {facts.name!r} has the inline policies {', '.join(facts.inline)}: name the one to take over "
            f"(--{'user' if role is Part.WRITER else 'reader'}-policy)",
            acceptable=False,
        )
        return
    name = name or next(iter(facts.inline), None)
    if name is None:
        return
    if name not in facts.inline:
        raise UsageError(
            f"user {facts.name!r} has no inline policy {name!r}; legal: {', '.join(facts.inline) or 'none'}"
        )
    proposal.set(f"{role}PolicyName", name)
    proposal.parts.append(Part(f"{role}-policy"))
    proposal.notes.append(
        f"the inline policy {name!r} of user {facts.name!r} is rewritten to what the {role} needs under the prefix: "
        "what 100ms still records elsewhere in the bucket is refused from then on"
    )
    if elsewhere := [statement for statement in facts.inline[name] if not _is_about(statement, arn)]:
        text = "; ".join(map(shown, elsewhere))
        proposal.find(
            f"{role}-policy:{name}",
            f"the policy {name!r} of user {facts.name!r} loses what is not about the bucket: {text}",
        )
    if others := [other for other in facts.inline if other != name]:
        proposal.notes.append(f"user {facts.name!r} keeps the inline policies {', '.join(others)}")


def _is_about(statement: Document, arn: str) -> bool:
    """Whether a statement allows nothing but S3 actions on this bucket."""
    actions, resources = _list(statement.get("Action", ["*"])), _list(statement.get("Resource", ["*"]))
    own = all(resource == arn or str(resource).startswith(f"{arn}/") for resource in resources)
    return (
        own and all(str(action).lower().startswith("s3:") for action in actions) and statement.get("Effect") == "Allow"
    )


def _list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
