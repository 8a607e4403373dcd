"""What becomes of objects as they age on S3: which storage classes may follow each other, and the bucket's rules.

Owns the ages and the order that AWS asks for, and the lifecycle rules as data of our own. Declares nothing
(`components.s3` does).

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html.
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


class StorageClass(StrEnum):
    """Cheaper storage classes in the order of S3's waterfall: a recording only ever moves down."""

    STANDARD_IA = "STANDARD_IA"
    INTELLIGENT_TIERING = "INTELLIGENT_TIERING"
    ONEZONE_IA = "ONEZONE_IA"
    GLACIER_IR = "GLACIER_IR"
    GLACIER = "GLACIER"
    DEEP_ARCHIVE = "DEEP_ARCHIVE"


_ORDER: Final = list(StorageClass)
_EARLIEST: Final[Mapping[StorageClass, int]] = {StorageClass.STANDARD_IA: 30, StorageClass.ONEZONE_IA: 30}
"""Days after its creation before which S3 refuses to move an object there."""
_BILLED: Final[Mapping[StorageClass, int]] = {
    StorageClass.STANDARD_IA: 30,
    StorageClass.INTELLIGENT_TIERING: 0,
    StorageClass.ONEZONE_IA: 30,
    StorageClass.GLACIER_IR: 90,
    StorageClass.GLACIER: 90,
    StorageClass.DEEP_ARCHIVE: 180,
}
"""Days that are paid in the class however soon the object leaves it; for the two IA classes S3 insists on them."""


class Transition(lifecycle.Transition):
    """Move recordings to a storage class of S3."""

    storage_class: StorageClass = Field(alias="class")


def check_transitions(transitions: Sequence[Transition]) -> Sequence[Transition]:
    """Check order and ages; ValueError says what S3 asks for."""
    for step in transitions:
        earliest = _EARLIEST.get(step.storage_class, 0)
        require(step.after_days >= earliest, f"must leave {earliest} days before {step.storage_class}: S3 asks for it")
    check_order(transitions, _ORDER, "S3")
    for first, then in pairwise(transitions):
        require(
            (first.storage_class, then.storage_class) != (StorageClass.ONEZONE_IA, StorageClass.GLACIER_IR),
            "can't move there: S3 moves down the list, but never from ONEZONE_IA to GLACIER_IR",
        )
        stay = max(_BILLED[first.storage_class], 1)
        require(
            then.after_days >= first.after_days + stay,
            f"must leave at least {stay} days in {first.storage_class}: {then.storage_class} after "
            f"{first.after_days + stay} days or more",
        )
    return transitions


def check_retention(retention_days: int, transitions: Sequence[Transition]) -> int:
    """Check that recordings are not deleted before the last class they move to has been paid off."""
    if retention_days and transitions:
        last = transitions[-1]
        least = last.after_days + max(_BILLED[last.storage_class], 1)
        require(
            retention_days >= least,
            f"must be 0, or at least {least}: recordings move to {last.storage_class} after {last.after_days} days, "
            "and the minimum time there is paid in any case",
        )
    return retention_days


class Rule(BaseModel):
    """One lifecycle rule; days are whole days after creation (or after being replaced, for old versions)."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    id: str
    prefix: str = ""
    transitions: tuple[Transition, ...] = ()
    expire_days: int | None = None
    expire_markers: bool = False
    expire_old_versions_days: int | None = None
    abort_uploads_days: int | None = None


def lifecycle_rules(
    prefix: str, retention_days: int, transitions: Sequence[Transition], old_version_days: int
) -> list[Rule]:
    """Give the bucket's rules. What is not a recording (the operator's objects) loses its old versions alone.

    Delete markers go in rules of their own: S3 refuses them beside a number of days.
    """
    verify = prefix + VERIFY_FOLDER
    rules = [
        Rule(id="unfinished-uploads", abort_uploads_days=ABORT_UPLOADS_DAYS),
        Rule(id="old-versions", expire_old_versions_days=old_version_days, expire_markers=True),
        Rule(id="verify-objects", prefix=verify, expire_days=VERIFY_DAYS, expire_old_versions_days=VERIFY_DAYS),
        Rule(id="verify-markers", prefix=verify, expire_markers=True),
    ]
    if retention_days or transitions:
        rules.append(
            Rule(id="recordings", prefix=prefix, transitions=tuple(transitions), expire_days=retention_days or None)
        )
    return rules
