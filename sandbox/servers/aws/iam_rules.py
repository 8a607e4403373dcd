"""Rules of IAM that ministack does not have: quotas, names, order of deletion.

Sources: the IAM User Guide, "IAM and AWS STS quotas" and "IAM identifiers"; error texts as IAM answers them.
"""

from __future__ import annotations

import re
from typing import Final

from sandbox.servers.aws.emulator import Emulator, Query
from sandbox.servers.aws.errors import Answer, query_error

_KEYS_PER_USER: Final = 2
_POLICY_CHARACTERS: Final = 2048
"""Of all inline policies of a user together, white space not counted."""

_NAME: Final = re.compile(r"[\w+=,.@-]+", re.ASCII)
_NAME_LENGTH: Final = 64


def iam_refusal(emulator: Emulator, form: Query) -> Answer | None:
    """What IAM answers to a call (the query protocol's form) if one of the rules forbids it."""
    action, user = form.get("Action", [""])[0], form.get("UserName", [""])[0]
    if action == "CreateUser":
        return _name_rule(user)
    if action == "CreateAccessKey":
        return _access_key_rule(emulator, user)
    if action == "PutUserPolicy":
        name, document = form.get("PolicyName", [""])[0], form.get("PolicyDocument", [""])[0]
        return _policy_size_rule(user, {**emulator.inline_policies(user), name: document})
    if action == "DeleteUser" and emulator.inline_policies(user):
        return query_error("iam", 409, "DeleteConflict", "Cannot delete entity, must delete policies first.")
    return None


def _name_rule(user: str) -> Answer | None:
    if len(user) > _NAME_LENGTH:
        length = f"Member must have length less than or equal to {_NAME_LENGTH}"
        message = f"1 validation error detected: Value at 'userName' failed to satisfy constraint: {length}"
        return query_error("iam", 400, "ValidationError", message)
    if not _NAME.fullmatch(user):
        legal = "It must contain only alphanumeric characters and/or the following: +=,.@_-"
        return query_error("iam", 400, "ValidationError", f"The specified value for userName is invalid. {legal}")
    return None


def _access_key_rule(emulator: Emulator, user: str) -> Answer | None:
    if len(emulator.keys_of(user)) < _KEYS_PER_USER:
        return None
    return query_error("iam", 409, "LimitExceeded", f"Cannot exceed quota for AccessKeysPerUser: {_KEYS_PER_USER}")


def _policy_size_rule(user: str, policies: dict[str, str]) -> Answer | None:
    if sum(len("".join(document.split())) for document in policies.values()) <= _POLICY_CHARACTERS:
        return None
    message = f"Maximum policy size of {_POLICY_CHARACTERS} bytes exceeded for user {user}"
    return query_error("iam", 409, "LimitExceeded", message)
