"""IAM policy documents as inputs: text or object, JSON either way."""

from __future__ import annotations

import json
from collections.abc import Iterable

from sandbox.providers.base import CheckFailure
from sandbox.values import UNKNOWN, Value


def policy_faults(policy: Value) -> Iterable[CheckFailure]:
    """A failure if the document is no JSON object with statements."""
    if policy is UNKNOWN or _holds_unknown(policy):
        return
    document = policy
    if isinstance(policy, str):
        try:
            document = json.loads(policy)
        except ValueError as error:
            yield CheckFailure("policy", f"contains invalid JSON: {error}")
            return
    if not isinstance(document, dict) or not document.get("Statement"):
        yield CheckFailure("policy", "must be a policy document: a JSON object with Version and Statement")


def policy_text(policy: Value) -> str:
    """The document as the text that is sent."""
    return policy if isinstance(policy, str) else json.dumps(policy)


def _holds_unknown(value: Value) -> bool:
    if isinstance(value, dict):
        return any(_holds_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(_holds_unknown(item) for item in value)
    return value is UNKNOWN
