"""What becomes of objects as they age on Google Cloud Storage: storage classes, and the bucket's rules.

Owns the order of classes, the times that are paid in any case, and the lifecycle rules as data of our own. Declares
nothing (`components.gcs` does). Google knows no delete markers, so nothing has to remove them.

Sources: https://cloud.google.com/storage/docs/lifecycle (a rule changes the class without fee; Delete comes before
SetStorageClass), https://cloud.google.com/storage/docs/storage-classes (minimum storage durations, counted from an
object's creation), https://cloud.google.com/storage/docs/autoclass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from itertools import pairwise
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from components import lifecycle
from components.lifecycle import ABORT_UPLOADS_DAYS, VERIFY_DAYS, VERIFY_FOLDER, check_order
from components.rules import require


class GcsStorageClass(StrEnum):
    """Cheaper storage classes in the order in which a recording may move."""

    NEARLINE = "NEARLINE"
    COLDLINE = "COLDLINE"
    ARCHIVE = "ARCHIVE"


class GcsAutoclass(StrEnum):
    """The coldest class that Autoclass may choose."""

    NEARLINE = "NEARLINE"
    ARCHIVE = "ARCHIVE"


class Action(StrEnum):
    """What a rule does with an object, in Google's spelling."""

    DELETE = "Delete"
    SET_CLASS = "SetStorageClass"
    ABORT_UPLOAD = "AbortIncompleteMultipartUpload"


class Versions(StrEnum):
    """Which versions a rule is about, in the official provider's spelling."""

    LIVE = "LIVE"
    OLD = "ARCHIVED"
    ANY = "ANY"


_ORDER: Final = list(GcsStorageClass)
_BILLED: Final[Mapping[GcsStorageClass, int]] = {
    GcsStorageClass.NEARLINE: 30,
    GcsStorageClass.COLDLINE: 90,
    GcsStorageClass.ARCHIVE: 365,
}
"""Days from its creation that are paid for an object which is deleted from the class, however soon that is."""


class Transition(lifecycle.Transition):
    """Move recordings to a storage class of Google Cloud Storage."""

    storage_class: GcsStorageClass = Field(alias="class")


def check_transitions(transitions: Sequence[Transition]) -> Sequence[Transition]:
    """Check order and ages; ValueError says what is legal."""
    for step in transitions:
        require(step.after_days >= 1, f"must leave at least 1 day before {step.storage_class}")
    check_order(transitions, _ORDER, "Google")
    for first, then in pairwise(transitions):
        require(
            then.after_days > first.after_days,
            f"must be in the order of age: {then.storage_class} after {first.after_days + 1} days or more",
        )
    return transitions


def check_retention(retention_days: int, transitions: Sequence[Transition]) -> int:
    """Check that recordings are not deleted before the last class they move to has been paid off."""
    if retention_days and transitions:
        last = transitions[-1]
        least = max(last.after_days + 1, _BILLED[last.storage_class])
        require(
            retention_days >= least,
            f"must be 0, or at least {least}: recordings move to {last.storage_class} after {last.after_days} days, "
            f"where {_BILLED[last.storage_class]} days from their creation are paid in any case",
        )
    return retention_days


class Rule(BaseModel):
    """One lifecycle rule; days are whole days after creation, or after being replaced for `days_since_replaced`."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    action: Action
    prefix: str = ""
    versions: Versions = Versions.ANY
    age_days: int | None = None
    days_since_replaced: int | None = None
    storage_class: GcsStorageClass | None = None


def lifecycle_rules(
    prefix: str, retention_days: int, transitions: Sequence[Transition], old_version_days: int
) -> list[Rule]:
    """Give the bucket's rules. What is not a recording (the operator's objects) loses its old versions alone."""
    verify = prefix + VERIFY_FOLDER
    rules = [
        Rule(action=Action.ABORT_UPLOAD, age_days=ABORT_UPLOADS_DAYS),
        Rule(action=Action.DELETE, versions=Versions.OLD, days_since_replaced=old_version_days),
        Rule(action=Action.DELETE, prefix=verify, versions=Versions.LIVE, age_days=VERIFY_DAYS),
        Rule(action=Action.DELETE, prefix=verify, versions=Versions.OLD, days_since_replaced=VERIFY_DAYS),
    ]
    rules += [
        Rule(
            action=Action.SET_CLASS,
            prefix=prefix,
            versions=Versions.LIVE,
            age_days=step.after_days,
            storage_class=step.storage_class,
        )
        for step in transitions
    ]
    if retention_days:
        rules.append(Rule(action=Action.DELETE, prefix=prefix, versions=Versions.LIVE, age_days=retention_days))
    return rules
