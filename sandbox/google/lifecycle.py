"""Lifecycle rules, applied when somebody says what time it is (`POST /_sandbox/lifecycle?now=…&bucket=…`).

All conditions of a rule must hold. Delete goes before SetStorageClass, of several classes the coldest wins, and no
object ever gets warmer. Source: cloud.google.com/storage/docs/lifecycle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sandbox.google import xml_multipart
from sandbox.google.bucket_fields import CLASSES
from sandbox.google.cloud import Cloud
from sandbox.google.http import Json
from sandbox.google.objects import LIVE, NONCURRENT, Objects, Version


@dataclass(frozen=True)
class _Case:
    """A version at a moment; `newer` is how many versions of the same name are newer."""

    version: Version
    moment: datetime
    newer: int

    def days_since(self, text: str | None) -> float:
        return -1.0 if text is None else (self.moment - datetime.fromisoformat(text)) / timedelta(days=1)


def _is_before(text: str | None, day: str) -> bool:
    return text is not None and datetime.fromisoformat(text) < datetime.fromisoformat(day).replace(tzinfo=UTC)


_CONDITIONS: Final[Mapping[str, Callable[[_Case, Any], bool]]] = {
    "age": lambda case, days: case.days_since(case.version.created) >= days,
    "createdBefore": lambda case, day: _is_before(case.version.created, day),
    "customTimeBefore": lambda case, day: _is_before(case.version.attributes.custom_time, day),
    "daysSinceCustomTime": lambda case, days: case.days_since(case.version.attributes.custom_time) >= days,
    "daysSinceNoncurrentTime": lambda case, days: case.days_since(case.version.noncurrent_since) >= days,
    "noncurrentTimeBefore": lambda case, day: _is_before(case.version.noncurrent_since, day),
    "numNewerVersions": lambda case, count: case.newer >= count,
    "isLive": lambda case, live: (case.version.state == LIVE) is live,
    "matchesPrefix": lambda case, prefixes: case.version.name.startswith(tuple(prefixes)),
    "matchesSuffix": lambda case, suffixes: case.version.name.endswith(tuple(suffixes)),
    "matchesStorageClass": lambda case, classes: case.version.storage_class in classes,
}


def apply(cloud: Cloud, moment: datetime, only: str | None) -> Json:
    """Apply the rules of one or every bucket as if it were `moment`; counts of what was done."""
    done = {"deleted": 0, "reclassed": 0, "aborted": 0, "purged": 0}
    for bucket in [cloud.bucket(only)] if only else cloud.state.all("bucket"):
        rules = (bucket["resource"].get("lifecycle") or {}).get("rule", [])
        objects = Objects(cloud, bucket)
        for case in _cases(objects, moment):
            _apply_to(objects, case, rules, done)
        done["aborted"] += _abort(cloud, bucket["name"], rules, moment)
        done["purged"] += objects.purge_soft_deleted(moment)
    return done


def _cases(objects: Objects, moment: datetime) -> list[_Case]:
    by_name: dict[str, list[Version]] = {}
    for version in objects.all(LIVE, NONCURRENT):
        by_name.setdefault(version.name, []).append(version)
    return [
        _Case(version, moment, len(versions) - 1 - place)
        for versions in by_name.values()
        for place, version in enumerate(versions)
    ]


def _apply_to(objects: Objects, case: _Case, rules: list[Json], done: dict[str, int]) -> None:
    actions = [rule["action"] for rule in rules if _holds(rule["condition"], case)]
    if any(action["type"] == "Delete" for action in actions):
        objects.expire(case.version, case.moment)
        done["deleted"] += 1
        return
    classes = [CLASSES.index(action["storageClass"]) for action in actions if action["type"] == "SetStorageClass"]
    if classes and max(classes) > CLASSES.index(case.version.storage_class):
        objects.reclass(case.version, CLASSES[max(classes)], case.moment)
        done["reclassed"] += 1


def _holds(condition: Json, case: _Case) -> bool:
    return all(_CONDITIONS[name](case, value) for name, value in condition.items())


def _abort(cloud: Cloud, bucket: str, rules: list[Json], moment: datetime) -> int:
    conditions = [rule["condition"] for rule in rules if rule["action"]["type"] == "AbortIncompleteMultipartUpload"]
    aborted = 0
    for upload in cloud.state.all("upload"):
        age = (moment - datetime.fromisoformat(upload["created"])) / timedelta(days=1)
        if upload["bucket"] == bucket and any(
            age >= condition.get("age", 0)
            and upload["name"].startswith(tuple(condition.get("matchesPrefix", [""])))
            and upload["name"].endswith(tuple(condition.get("matchesSuffix", [""])))
            for condition in conditions
        ):
            xml_multipart.forget(cloud, upload)
            aborted += 1
    return aborted
