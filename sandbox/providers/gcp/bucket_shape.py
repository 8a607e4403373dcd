"""From Pulumi's spelling of a bucket to the JSON API's and back; only the spelling.

Sources: https://cloud.google.com/storage/docs/json_api/v1/buckets, and the inputs of `pulumi_gcp.storage.Bucket`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sandbox.values import Properties, Value

Json = dict[str, Any]

ATTRIBUTION: Final[Mapping[str, str]] = {"goog-pulumi-provisioned": "true"}
"""The label that the official provider adds to everything it makes."""
SOFT_DELETE_SECONDS: Final = 604_800
DEFAULTS: Final[Mapping[str, Value]] = {
    "forceDestroy": False,
    "labels": {},
    "publicAccessPrevention": "inherited",
    "softDeletePolicy": {"retentionDurationSeconds": SOFT_DELETE_SECONDS},
    "storageClass": "STANDARD",
    "uniformBucketLevelAccess": False,
    "versioning": {"enabled": False},
}
"""What a bucket has if nothing is said."""

_CORS: Final[Mapping[str, str]] = {
    "origins": "origin",
    "methods": "method",
    "responseHeaders": "responseHeader",
    "maxAgeSeconds": "maxAgeSeconds",
}
_CONDITION: Final[Mapping[str, str]] = {
    "age": "age",
    "createdBefore": "createdBefore",
    "customTimeBefore": "customTimeBefore",
    "daysSinceCustomTime": "daysSinceCustomTime",
    "daysSinceNoncurrentTime": "daysSinceNoncurrentTime",
    "matchesPrefixes": "matchesPrefix",
    "matchesStorageClasses": "matchesStorageClass",
    "matchesSuffixes": "matchesSuffix",
    "noncurrentTimeBefore": "noncurrentTimeBefore",
    "numNewerVersions": "numNewerVersions",
}
_SEND_ZERO: Final[Mapping[str, str]] = {
    "age": "sendAgeIfZero",
    "daysSinceCustomTime": "sendDaysSinceCustomTimeIfZero",
    "daysSinceNoncurrentTime": "sendDaysSinceNoncurrentTimeIfZero",
    "numNewerVersions": "sendNumNewerVersionsIfZero",
}
"""A zero means no condition unless this is true, as in the official provider."""
_STATES: Final[Mapping[str, bool | None]] = {"LIVE": True, "ARCHIVED": False, "ANY": None}
STATES: Final = tuple(_STATES)


def resource(inputs: Properties) -> Json:
    """The writable fields of the bucket; None takes a field away in a patch."""
    given = {**DEFAULTS, **inputs}
    rules = [_rule(rule) for rule in given.get("lifecycleRules") or ()]
    return {
        "storageClass": given["storageClass"],
        "iamConfiguration": {
            "uniformBucketLevelAccess": {"enabled": given["uniformBucketLevelAccess"]},
            "publicAccessPrevention": given["publicAccessPrevention"],
        },
        "versioning": {"enabled": given["versioning"]["enabled"]},
        "softDeletePolicy": {
            "retentionDurationSeconds": str(
                given["softDeletePolicy"].get("retentionDurationSeconds", SOFT_DELETE_SECONDS)
            )
        },
        "cors": [_renamed(entry, _CORS) for entry in given.get("cors") or ()] or None,
        "lifecycle": {"rule": rules} if rules else None,
        "autoclass": _autoclass(given.get("autoclass")),
        "encryption": _encryption(given.get("encryption")),
        "logging": given.get("logging"),
        "labels": {**given["labels"], **ATTRIBUTION},
    }


def _autoclass(autoclass: Properties | None) -> Json | None:
    return autoclass if autoclass and autoclass.get("enabled") else None


def _encryption(encryption: Properties | None) -> Json | None:
    return {"defaultKmsKeyName": encryption["defaultKmsKeyName"]} if encryption else None


def _rule(rule: Properties) -> Json:
    action = {key: value for key, value in rule["action"].items() if value}
    given = rule["condition"]
    condition: Json = {}
    for name, api in _CONDITION.items():
        value = given.get(name)
        if value or (value == 0 and given.get(_SEND_ZERO.get(name, ""))):
            condition[api] = value
    live = _STATES[given.get("withState") or "ANY"]
    return {"action": action, "condition": condition if live is None else {**condition, "isLive": live}}


def _renamed(value: Properties, names: Mapping[str, str]) -> Json:
    return {names[key]: item for key, item in value.items() if item not in (None, [])}


def inputs_of(bucket: Json) -> Properties:
    """The inputs, all of them, that would make this bucket; but for `forceDestroy` and `project`, which it hides."""
    access = bucket["iamConfiguration"]
    inputs: Properties = {
        "name": bucket["name"],
        "location": bucket["location"],
        "storageClass": bucket["storageClass"],
        "uniformBucketLevelAccess": access["uniformBucketLevelAccess"]["enabled"],
        "publicAccessPrevention": access["publicAccessPrevention"],
        "versioning": {"enabled": bucket.get("versioning", {}).get("enabled", False)},
        "softDeletePolicy": {"retentionDurationSeconds": int(bucket["softDeletePolicy"]["retentionDurationSeconds"])},
        "labels": {key: value for key, value in bucket.get("labels", {}).items() if key not in ATTRIBUTION},
        "cors": [{name: entry[api] for name, api in _CORS.items() if api in entry} for entry in bucket.get("cors", ())],
        "lifecycleRules": [_rule_of(rule) for rule in bucket.get("lifecycle", {}).get("rule", ())],
    }
    if autoclass := bucket.get("autoclass"):
        inputs["autoclass"] = {key: autoclass[key] for key in ("enabled", "terminalStorageClass") if key in autoclass}
    for name in ("encryption", "logging"):
        if name in bucket:
            inputs[name] = bucket[name]
    return inputs


def _rule_of(rule: Json) -> Properties:
    given = rule["condition"]
    condition = {name: given[api] for name, api in _CONDITION.items() if api in given}
    zeros = {_SEND_ZERO[name]: True for name, value in condition.items() if value == 0 and name in _SEND_ZERO}
    state = next(word for word, live in _STATES.items() if live is given.get("isLive"))
    return {"action": rule["action"], "condition": {**condition, **zeros, "withState": state}}


def outputs_of(bucket: Json, known: Properties, project: str) -> Properties:
    """What the official provider shows of the bucket; `known` has what the bucket itself does not tell."""
    inputs = inputs_of(bucket)
    soft = bucket["softDeletePolicy"]
    outputs = {
        **{key: value for key, value in inputs.items() if value != []},
        "effectiveLabels": bucket.get("labels", {}),
        "forceDestroy": known.get("forceDestroy", False),
        "project": known.get("project") or project,
        "projectNumber": int(bucket["projectNumber"]),
        "pulumiLabels": {**inputs["labels"], **ATTRIBUTION},
        "selfLink": bucket["selfLink"],
        "softDeletePolicy": {**inputs["softDeletePolicy"], "effectiveTime": soft.get("effectiveTime", "")},
        "timeCreated": bucket["timeCreated"],
        "updated": bucket["updated"],
        "url": f"gs://{bucket['name']}",
    }
    if "rpo" in bucket:
        outputs["rpo"] = bucket["rpo"]
    return outputs
