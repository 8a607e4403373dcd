"""Keys: none old, two active ones only while they are rotated, and none of a kind that never ends.

Both rules on age are advisory: time alone must not stop the deployment that would put it right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from policy.model import Facts, Operation, Planned, Properties, Rule, Severity, at, peek

MAX_AGE: Final = timedelta(days=60)
OVERLAP: Final = timedelta(days=7)
"""The longest that a signed URL can be valid; after it nothing can need the older key.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-presigned-url.html"""


@dataclass(frozen=True)
class _Form:
    """Where a kind of key has its state, what an active one has there, and whose it is."""

    state: str
    active: str
    owner: str


KEYS: Final = {
    "aws:iam:AccessKey": _Form("status", "Active", "user"),
    "gcp:storage:HmacKey": _Form("state", "ACTIVE", "serviceAccountEmail"),
}


def is_active(kind: str, inputs: Properties) -> bool:
    """Whether a key with these inputs works; a state that is not given means active. Raises NotKnownError."""
    return at(inputs, KEYS[kind].state) in (None, KEYS[kind].active)


def owner(key: Planned, facts: Facts) -> Planned | None:
    """The user or service account that a key is of, if the plan shows it."""
    for urn in key.sources.get(KEYS[key.kind].owner, ()):
        if (found := facts.planned(urn)) is not None:
            return found
    return None


def _siblings(key: Planned, facts: Facts) -> list[Planned]:
    """The keys of the same owner, itself among them."""
    property_ = KEYS[key.kind].owner
    mine = (peek(key.inputs, property_), tuple(key.sources.get(property_, ())))
    return [
        item
        for item in facts.resources
        if item.kind == key.kind
        and item.remains
        and (peek(item.inputs, property_), tuple(item.sources.get(property_, ()))) == mine
    ]


def _age(key: Planned, facts: Facts) -> timedelta:
    is_new = key.created is None or key.operation in (Operation.CREATE, Operation.REPLACE)
    return timedelta(0) if is_new or key.created is None else facts.now - key.created


def _old(key: Planned, facts: Facts) -> Iterator[str]:
    age = _age(key, facts)
    if age > MAX_AGE:
        yield f"the key is {age.days} days old, more than {MAX_AGE.days}"


def _both_active(key: Planned, facts: Facts) -> Iterator[str]:
    active = [item for item in _siblings(key, facts) if is_active(item.kind, item.inputs)]
    ages = sorted((_age(item, facts), item.urn) for item in active)
    if len(active) > 1 and ages[-1][1] == key.urn and ages[0][0] > OVERLAP:
        yield f"two keys of one user have been active for {ages[0][0].days} days, more than {OVERLAP.days}"


def _json_key(key: Planned, facts: Facts) -> Iterator[str]:
    yield "a JSON key of a service account never expires, and 100ms takes none"


RULES: Final = (
    Rule(
        "key-age",
        Severity.ADVISORY,
        "The longer a key lives, the more places know it.",
        "Run `recordings rotate` (with --reader for the reader's).",
        dict.fromkeys(KEYS, _old),
        standards="CIS AWS 2.12; CIS GCP 1.7",
        needs_old=True,
    ),
    Rule(
        "keys-overlap",
        Severity.ADVISORY,
        "The second key is for the time of a rotation; afterwards it is one more key to lose.",
        "End the rotation: `recordings rotate --advance`.",
        dict.fromkeys(KEYS, _both_active),
        needs_old=True,
    ),
    Rule(
        "json-key",
        Severity.ADVISORY,
        "A JSON key opens everything that the account may do, from anywhere, until somebody deletes it.",
        "Set recordings:serviceAccountKey to false.",
        {"gcp:serviceaccount:Key": _json_key},
        standards="CIS GCP 1.5",
    ),
)
