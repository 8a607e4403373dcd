"""In a protected stack nothing goes that holds or opens recordings: the bucket, its users, a key that works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from policy import scopes
from policy.model import Facts, Operation, Planned, Rule, Severity
from policy.rules.keys import KEYS, is_active, owner

BUCKETS: Final = ("aws:s3:Bucket", "gcp:storage:Bucket")
IDENTITIES: Final = ("aws:iam:User", "gcp:serviceaccount:Account")


def _says(resource: Planned) -> str:
    return "replaced by another" if resource.operation is Operation.REPLACE else "deleted"


def _bucket(bucket: Planned, facts: Facts) -> Iterator[str]:
    if bucket.lost:
        yield f"the bucket with its recordings would be {_says(bucket)}"


def _identity(role: str) -> Callable[[Planned, Facts], Iterator[str]]:
    def check(identity: Planned, facts: Facts) -> Iterator[str]:
        if identity.lost and identity.name.endswith(role):
            yield f"the {role} would be {_says(identity)}, and its keys with it"

    return check


def _key(key: Planned, facts: Facts) -> Iterator[str]:
    holder = owner(key, facts)
    if holder is not None and holder.lost:
        return  # said of the user already
    if key.lost and key.old_inputs is not None and is_active(key.kind, key.old_inputs):
        yield f"a key that is in use would be {_says(key)}"


RULES: Final = (
    Rule(
        "bucket-loss",
        Severity.MANDATORY,
        "Recordings would be gone, or left behind in a bucket that nothing knows any more.",
        "Undo what renames or removes the bucket; a new one is a new stack, the old one becomes a former bucket.",
        dict.fromkeys(BUCKETS, _bucket),
        applies=scopes.protected,
        needs_old=True,
        on_loss=True,
    ),
    Rule(
        "reader-loss",
        Severity.MANDATORY,
        "Every signed URL in use would stop working, and downloads until everything has the new key.",
        "Keep the reader; change its keys with `recordings rotate --reader`.",
        dict.fromkeys(IDENTITIES, _identity("reader")),
        applies=scopes.protected,
        needs_old=True,
        on_loss=True,
    ),
    Rule(
        "writer-loss",
        Severity.MANDATORY,
        "100ms would upload with a key that no longer works until it is registered anew; recordings would fail.",
        "Keep the writer; change its keys with `recordings rotate`.",
        dict.fromkeys(IDENTITIES, _identity("writer")),
        applies=scopes.protected,
        needs_old=True,
        on_loss=True,
    ),
    Rule(
        "active-key-loss",
        Severity.MANDATORY,
        "Whoever holds the key (100ms, or URLs that are out) would be refused at once.",
        "Make the slot inactive first, deploy, and remove it when nothing uses it: `recordings rotate` does that.",
        dict.fromkeys(KEYS, _key),
        applies=scopes.protected,
        needs_old=True,
        on_loss=True,
    ),
)
