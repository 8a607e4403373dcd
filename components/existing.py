"""What exists before a deployment: the parts that it takes over, and the buckets that it only reads from.

Owns the rules of `recordings:adopt` and `recordings:formerBuckets`, and how a part is taken over: Pulumi imports it as
it is and updates it to what is declared. An id that is already in the state means nothing, so `adopt` may stay or go.
https://www.pulumi.com/docs/iac/concepts/resources/options/import/
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, TypeVar

from components.rules import require
from recordings.adoption.parts import Part, owner_of
from recordings.outputs import FormerBucket
from recordings.policies import reader_policy

F = TypeVar("F", bound=FormerBucket)

MAX_INLINE_CHARACTERS: Final = 2048
"""Of all inline policies of an IAM user, white space not counted.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""


def parts(values: Sequence[Part]) -> Sequence[Part]:
    """Check that nothing is taken over without what it belongs to."""
    for part in values:
        require(owner_of(part) in values, f"can't hold {part} without {owner_of(part)}")
    return values


def elsewhere(places: tuple[F, ...], bucket: str, region: str, prefix: str) -> tuple[F, ...]:
    """Check that former buckets differ from the stack's and each other."""
    known = {(bucket, prefix)}
    for place in places:
        where = (place.bucket_name, place.path_prefix)
        require(where not in known, "must list no bucket and prefix twice, nor the stack's own")
        known.add(where)
        same = place.bucket_name == bucket
        require(not same or place.region == region, f"{bucket} lies in {region}: give that region")
    return places


def readable(places: tuple[F, ...], bucket: str, region: str, prefix: str, kms_key: str | None) -> tuple[F, ...]:
    """Check that the reader's policy on AWS can name all former buckets, and their keys."""
    for place in places:
        near = place.kms_key is None or place.kms_key.split(":")[3] == place.region
        require(near, "has a kmsKey that does not lie in its bucket's region")
    size = len(json.dumps(reader_policy(bucket, region, prefix, kms_key, places), separators=(",", ":")))
    require(
        size <= MAX_INLINE_CHARACTERS,
        f"are too many for the reader's policy, which would have {size} characters where IAM takes "
        f"{MAX_INLINE_CHARACTERS}: name fewer, or copy their recordings over",
    )
    return places


def imported(part: Part, adopt: Sequence[Part], id_: str | None) -> str | None:
    """The id to import a part from, or None where it is to be made."""
    return id_ if part in adopt else None
