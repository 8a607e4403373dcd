"""What guards a Google bucket, as the operator sees it: `Guards` out of the bucket's resource.

Owns reading alone; `components.gcs` declares. A rule with a condition that is neither age nor prefix (names, classes,
dates) holds for some objects only, so that it counts for none.

Source: https://cloud.google.com/storage/docs/lifecycle.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from recordings.stores.base import Guards, LifecycleRule

_UNDERSTOOD: Final = frozenset({"age", "daysSinceNoncurrentTime", "isLive", "matchesPrefix"})


def guards(bucket: Any) -> Guards:
    """From a bucket of Google's library that has been loaded."""
    access = bucket.iam_configuration
    return Guards(
        refuses_public_access=access.public_access_prevention == "enforced"
        and bool(access.uniform_bucket_level_access_enabled),
        keeps_versions=bool(bucket.versioning_enabled),
        lifecycle=tuple(rule for found in bucket.lifecycle_rules for rule in _rules(found)),
        soft_delete=timedelta(seconds=int(bucket.soft_delete_policy.retention_duration_seconds or 0)),
    )


def _rules(rule: Mapping[str, Any]) -> Iterator[LifecycleRule]:
    condition: Mapping[str, Any] = rule.get("condition", {})
    if set(condition) - _UNDERSTOOD:
        return
    age = condition.get("age")
    old = condition.get("daysSinceNoncurrentTime")
    for prefix in condition.get("matchesPrefix") or [""]:
        match rule["action"]["type"]:
            case "AbortIncompleteMultipartUpload":
                yield LifecycleRule(prefix, abort_uploads_days=age)
            case "Delete" if old is not None or condition.get("isLive") is False:
                yield LifecycleRule(prefix, old_versions_days=age if old is None else old)
            case "Delete":
                yield LifecycleRule(prefix, expires_days=age)
            case _:
                continue
