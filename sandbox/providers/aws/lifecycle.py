"""The resource kind `aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration`.

Besides the calls it owns what S3 refuses in lifecycle rules and emulators let pass:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleExpiration.html.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Final

from sandbox.providers.aws.bucket_part import BucketPart
from sandbox.providers.aws.shapes import from_api, to_api
from sandbox.providers.base import CheckFailure, ResourceState
from sandbox.providers.compare import Rules
from sandbox.values import UNKNOWN, Properties, Value

_MINIMUM_DAYS: Final = {"STANDARD_IA": 30, "ONEZONE_IA": 30}
_CLASSES: Final = ("GLACIER", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "DEEP_ARCHIVE", "GLACIER_IR")
_ACTIONS: Final = (
    "abortIncompleteMultipartUpload",
    "expiration",
    "noncurrentVersionExpiration",
    "noncurrentVersionTransitions",
    "transitions",
)
_NO_FILTER: Final[Properties] = {"prefix": ""}
_DEFAULT_SIZE: Final = "all_storage_classes_128K"


class Lifecycle(BucketPart):
    """What S3 does with objects as they age."""

    type_ = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    args = "pulumi_aws.s3.bucket_lifecycle_configuration:BucketLifecycleConfigurationArgs"
    absent = frozenset({"NoSuchLifecycleConfiguration"})
    unobserved = frozenset({"region", "timeouts"})
    rules = Rules(
        sets=frozenset({"rules[].transitions", "rules[].noncurrentVersionTransitions"}),
        defaults={"transitionDefaultMinimumObjectSize": _DEFAULT_SIZE},
        nothing={
            "rules[].expiration.expiredObjectDeleteMarker": (False,),
            "rules[].filter": ({}, _NO_FILTER),
            "rules[].filter.and.objectSizeGreaterThan": (0,),
            "rules[].noncurrentVersionTransitions": ([],),
            "rules[].transitions": ([],),
        },
    )

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """What S3 refuses in the rules, one by one and together."""
        rules = inputs.get("rules")
        if rules is UNKNOWN:
            return
        if not rules:
            yield CheckFailure("rules", "at least one rule is required")
            return
        for index, rule in enumerate(rules):
            if isinstance(rule, dict):
                yield from (CheckFailure(f"rules[{index}]{path}", reason) for path, reason in _rule_faults(rule))
        ids = Counter(rule.get("id") for rule in rules if isinstance(rule, dict) and isinstance(rule.get("id"), str))
        yield from (
            CheckFailure("rules", f"id {name!r} is used {count} times") for name, count in ids.items() if count > 1
        )

    def put(self, bucket: str, inputs: Properties) -> None:
        """PutBucketLifecycleConfiguration."""
        rules: Any = [to_api(_with_filter(rule)) for rule in inputs["rules"]]
        self.cloud.s3.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration={"Rules": rules},
            TransitionDefaultMinimumObjectSize=inputs.get("transitionDefaultMinimumObjectSize", _DEFAULT_SIZE),
        )

    def get(self, bucket: str) -> Properties | None:
        """GetBucketLifecycleConfiguration; a filter that lets everything through is left out."""
        answer = self.cloud.s3.get_bucket_lifecycle_configuration(Bucket=bucket)
        return {
            "rules": [_plain(from_api(rule)) for rule in answer["Rules"]],
            "transitionDefaultMinimumObjectSize": answer.get("TransitionDefaultMinimumObjectSize", _DEFAULT_SIZE),
        }

    def remove(self, bucket: str, state: ResourceState) -> None:
        """DeleteBucketLifecycle."""
        self.cloud.s3.delete_bucket_lifecycle(Bucket=bucket)


def _with_filter(rule: Properties) -> Properties:
    return rule if rule.get("filter") or rule.get("prefix") is not None else {**rule, "filter": _NO_FILTER}


def _plain(rule: Properties) -> Properties:
    kept = {key: value for key, value in rule.items() if value != []}
    if kept.get("filter") in ({}, _NO_FILTER):
        del kept["filter"]
    return kept


def _rule_faults(rule: Properties) -> Iterator[tuple[str, str]]:
    status = rule.get("status")
    if status is not UNKNOWN and status not in ("Enabled", "Disabled"):
        yield ".status", f"{status!r} is not legal; legal: Enabled, Disabled"
    if not any(action in rule for action in _ACTIONS):
        yield "", f"has no action; legal: {', '.join(_ACTIONS)}"
    if rule.get("filter") and rule.get("prefix"):
        yield ".prefix", "cannot be given beside filter"
    yield from _expiration_faults(_map(rule.get("expiration")), _map(rule.get("filter")))
    yield from _transition_faults(rule)
    yield from _positive(rule, "noncurrentVersionExpiration", "noncurrentDays")
    yield from _positive(rule, "abortIncompleteMultipartUpload", "daysAfterInitiation")


def _expiration_faults(expiration: Properties, filter_: Properties) -> Iterator[tuple[str, str]]:
    given = [name for name in ("date", "days", "expiredObjectDeleteMarker") if expiration.get(name)]
    if len(given) > 1:
        yield ".expiration", f"{' and '.join(given)} cannot be given together; legal: one of them"
    if expiration.get("days") is not None:
        yield from _positive({"expiration": expiration}, "expiration", "days")
    tagged = "tag" in filter_ or "tags" in _map(filter_.get("and"))
    if expiration.get("expiredObjectDeleteMarker") and tagged:
        yield ".expiration.expiredObjectDeleteMarker", "cannot be given with a filter by tag"


def _transition_faults(rule: Properties) -> Iterator[tuple[str, str]]:
    for name, age in (("transitions", "days"), ("noncurrentVersionTransitions", "noncurrentDays")):
        for index, transition in enumerate(_list(rule.get(name))):
            path, item = f".{name}[{index}]", _map(transition)
            storage, days = item.get("storageClass"), item.get(age)
            if isinstance(storage, str) and storage not in _CLASSES:
                yield f"{path}.storageClass", f"{storage!r} is not legal; legal: {', '.join(_CLASSES)}"
            minimum = _MINIMUM_DAYS.get(storage, 0) if isinstance(storage, str) else 0
            if isinstance(days, int) and days < minimum:
                yield f"{path}.{age}", f"{days} is too early for {storage}; legal: {minimum} or more"
            if storage in _MINIMUM_DAYS and isinstance(days, int):
                yield from _too_early_expiry(rule, name, days, path)


def _too_early_expiry(rule: Properties, name: str, days: int, path: str) -> Iterator[tuple[str, str]]:
    action, age = ("expiration", "days") if name == "transitions" else ("noncurrentVersionExpiration", "noncurrentDays")
    expiry = _map(rule.get(action)).get(age)
    if isinstance(expiry, int) and expiry <= days:
        yield path, f"moves objects at {days} days that {action} deletes at {expiry}; legal: before the deletion"


def _positive(rule: Properties, action: str, name: str) -> Iterator[tuple[str, str]]:
    days = _map(rule.get(action)).get(name)
    if isinstance(days, int) and days < 1:
        yield f".{action}.{name}", f"{days} is not legal; legal: 1 or more"


def _map(value: Value) -> Properties:
    return value if isinstance(value, dict) else {}


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []
