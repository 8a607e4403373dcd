"""The resource kind `gcp:storage/bucket:Bucket`: the bucket with all its settings, and its end.

Besides the calls it owns what Google refuses in them before anything is asked:
https://cloud.google.com/storage/docs/buckets#naming, .../lifecycle, .../soft-delete, .../autoclass,
.../tags-and-labels.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import ClassVar, Final

from sandbox.providers.base import CheckFailure, ResourceState
from sandbox.providers.compare import Rules
from sandbox.providers.gcp.account import NO_POLICY
from sandbox.providers.gcp.bucket_shape import ATTRIBUTION, DEFAULTS, STATES, inputs_of, outputs_of, resource
from sandbox.providers.gcp.cloud import Cloud, CloudError, Json, segment
from sandbox.providers.kinds import AutoName, Kind
from sandbox.values import UNKNOWN, Properties, Value

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_LABEL: Final = re.compile(r"[a-z0-9_-]{1,63}")
_DAY: Final = 24 * 3600
_LEGAL: Final[Mapping[str, tuple[str, ...]]] = {
    "storageClass": ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"),
    "publicAccessPrevention": ("inherited", "enforced"),
    "autoclass.terminalStorageClass": ("NEARLINE", "ARCHIVE"),
    "action.type": ("Delete", "SetStorageClass", "AbortIncompleteMultipartUpload"),
}
_SEND = ("sendAgeIfZero", "sendDaysSinceCustomTimeIfZero", "sendDaysSinceNoncurrentTimeIfZero",
         "sendNumNewerVersionsIfZero")  # fmt: skip
_LISTS: Final = ("matchesPrefixes", "matchesStorageClasses", "matchesSuffixes")
_CONDITION: Final = "lifecycleRules[].condition"


class Bucket(Kind):
    """A bucket; id: its name."""

    type_ = "gcp:storage/bucket:Bucket"
    args = "pulumi_gcp.storage.bucket:BucketArgs"
    replace_on = frozenset({"location", "name", "project"})
    rules = Rules(
        defaults={**DEFAULTS, "cors": [], "lifecycleRules": []},
        caseless=frozenset({"location"}),
        nothing={
            **{f"cors[].{name}": ([],) for name in ("methods", "origins", "responseHeaders")},
            "cors[].maxAgeSeconds": (0,),
            **{f"{_CONDITION}.{name}": (False,) for name in _SEND},
            **{f"{_CONDITION}.{name}": ([],) for name in _LISTS},
            f"{_CONDITION}.withState": ("ANY", ""),
            "lifecycleRules[].action.storageClass": ("",),
        },
    )
    computed = (
        "effectiveLabels",
        "project",
        "projectNumber",
        "pulumiLabels",
        "rpo",
        "selfLink",
        "timeCreated",
        "updated",
        "url",
    )
    secret_outputs = ("effectiveLabels", "pulumiLabels")
    unobserved = frozenset({"forceDestroy", "project"})
    unsupported: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(
            (
                "customPlacementConfig",
                "defaultEventBasedHold",
                "enableObjectRetention",
                "hierarchicalNamespace",
                "ipFilter",
                "requesterPays",
                "retentionPolicy",
                "rpo",
                "website",
            ),
            "leave it out",
        ),
        "deletionPolicy": NO_POLICY,
    }
    auto_name = AutoName("name", max_length=63, lowercase=True)

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """Name, labels, soft delete, storage classes and rules."""
        name = inputs["name"]
        if name is not UNKNOWN and (not _NAME.fullmatch(name) or name.startswith("goog") or "google" in name):
            yield CheckFailure(
                "name",
                f"{name!r} is no bucket name: 3 to 63 of a-z, 0-9, '-', '_' and '.', beginning and ending with a-z or "
                "0-9, not beginning with 'goog' nor holding 'google'",
            )
        for key in _map(inputs.get("labels")):
            if not _LABEL.fullmatch(key):
                yield CheckFailure("labels", f"{key!r} is no label key; legal: 1 to 63 of a-z, 0-9, '_' and '-'")
        seconds = _map(inputs.get("softDeletePolicy")).get("retentionDurationSeconds")
        if isinstance(seconds, int) and seconds and not 7 * _DAY <= seconds <= 90 * _DAY:
            yield CheckFailure(
                "softDeletePolicy.retentionDurationSeconds",
                f"{seconds} is not legal; legal: 0, or {7 * _DAY} (7 days) to {90 * _DAY} (90 days)",
            )
        yield from _word("storageClass", inputs.get("storageClass"), "storageClass")
        yield from _word("publicAccessPrevention", inputs.get("publicAccessPrevention"), "publicAccessPrevention")
        yield from _autoclass_faults(inputs)
        for index, rule in enumerate(_list(inputs.get("lifecycleRules"))):
            yield from _rule_faults(f"lifecycleRules[{index}]", _map(rule))

    def planned(self, inputs: Properties) -> Properties:
        """Location as Google shows it; what the cloud adds to a policy is unknown."""
        known: Properties = {"softDeletePolicy": UNKNOWN}
        if isinstance(inputs["location"], str):
            known["location"] = inputs["location"].upper()
        if "autoclass" in inputs and "terminalStorageClass" not in _map(inputs["autoclass"]):
            known["autoclass"] = UNKNOWN
        if any("withState" not in _map(_map(rule).get("condition")) for rule in _list(inputs.get("lifecycleRules"))):
            known["lifecycleRules"] = UNKNOWN
        if "labels" in inputs and inputs["labels"] is not UNKNOWN:
            known |= {name: {**inputs["labels"], **ATTRIBUTION} for name in ("effectiveLabels", "pulumiLabels")}
        return known

    def create(self, inputs: Properties) -> ResourceState:
        """buckets.insert, with everything in one call."""
        name, project = inputs["name"], inputs.get("project") or self._cloud.project
        body = {key: value for key, value in resource(inputs).items() if value is not None}
        body |= {"name": name, "location": inputs["location"]}
        made = self._cloud.call(f"creating bucket {name!r}", "POST", "storage", "b", {"project": project}, body)
        return self._state(made, inputs)

    def read(self, id_: str, outputs: Properties | None) -> ResourceState | None:
        """buckets.get."""
        name = id_.rpartition("/")[2]
        found = self._cloud.find(f"reading bucket {name!r}", "storage", f"b/{segment(name)}")
        return None if found is None else self._state(found, outputs or {})

    def update(self, state: ResourceState, new: Properties) -> ResourceState:
        """buckets.patch with every setting, labels that are gone as null."""
        body = resource(new)
        gone = {key: None for key in _map(state.outputs.get("effectiveLabels")) if key not in body["labels"]}
        body["labels"] = {**gone, **body["labels"]}
        if body["autoclass"] is None:
            body["autoclass"] = {"enabled": False}
        changed = self._cloud.call(
            f"changing bucket {state.id!r}", "PATCH", "storage", f"b/{segment(state.id)}", body=body
        )
        return self._state(changed, {**state.outputs, **new, "forceDestroy": new.get("forceDestroy", False)})

    def delete(self, state: ResourceState) -> None:
        """buckets.delete; with forceDestroy every version of every object first."""
        try:
            if state.inputs.get("forceDestroy"):
                self._empty(state.id)
            self._cloud.call(f"deleting bucket {state.id!r}", "DELETE", "storage", f"b/{segment(state.id)}")
        except CloudError as error:
            if error.status != 404:
                raise

    def find(self, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """Its name is its id."""
        name = inputs["name"]
        found = None if name in known_ids else self.read(name, inputs)
        if found is None:
            return None
        made = self._cloud.get(f"looking when bucket {name!r} was made", "storage", f"b/{segment(name)}")["timeCreated"]
        return replace(found, made=datetime.fromisoformat(made))

    def _state(self, bucket: Json, known: Properties) -> ResourceState:
        outputs = outputs_of(bucket, known, self._cloud.project)
        inputs = {**inputs_of(bucket), "forceDestroy": outputs["forceDestroy"]}
        return ResourceState(bucket["name"], inputs, outputs)

    def _empty(self, name: str) -> None:
        doing, path = f"emptying bucket {name!r}", f"b/{segment(name)}/o"
        for item in self._versions(doing, path):
            query = {"generation": item["generation"]}
            try:
                self._cloud.call(doing, "DELETE", "storage", f"{path}/{segment(item['name'])}", query)
            except CloudError as error:
                if error.status != 404:
                    raise

    def _versions(self, doing: str, path: str) -> Iterator[Json]:
        query: dict[str, object] = {"versions": "true"}
        while True:
            page = self._cloud.get(doing, "storage", path, **query)
            yield from page.get("items", ())
            if "nextPageToken" not in page:
                return
            query["pageToken"] = page["nextPageToken"]


def _autoclass_faults(inputs: Properties) -> Iterator[CheckFailure]:
    autoclass = _map(inputs.get("autoclass"))
    yield from _word(
        "autoclass.terminalStorageClass", autoclass.get("terminalStorageClass"), "autoclass.terminalStorageClass"
    )
    if not autoclass.get("enabled"):
        return
    if inputs.get("storageClass", "STANDARD") not in ("STANDARD", UNKNOWN):
        yield CheckFailure("storageClass", "must be STANDARD in a bucket with Autoclass")
    for index, rule in enumerate(_list(inputs.get("lifecycleRules"))):
        if _map(_map(rule).get("action")).get("type") == "SetStorageClass":
            yield CheckFailure(f"lifecycleRules[{index}].action.type", "cannot be SetStorageClass beside Autoclass")


def _rule_faults(path: str, rule: Properties) -> Iterator[CheckFailure]:
    action, condition = _map(rule.get("action")), _map(rule.get("condition"))
    yield from _word(f"{path}.action.type", action.get("type"), "action.type")
    sets = action.get("type") == "SetStorageClass"
    if sets or action.get("storageClass"):
        yield from _word(f"{path}.action.storageClass", action.get("storageClass") or "", "storageClass")
    if action.get("storageClass") and not sets:
        yield CheckFailure(f"{path}.action.storageClass", "belongs to SetStorageClass alone")
    state = condition.get("withState") or "ANY"
    if state is not UNKNOWN and state not in STATES:
        yield CheckFailure(f"{path}.condition.withState", f"{state!r} is not legal; legal: {', '.join(STATES)}")
    for name in ("sizeAboveBytes", "sizeBelowBytes"):
        if name in condition:
            yield CheckFailure(f"{path}.condition.{name}", "is not supported by the stand-in provider: leave it out")
    if action.get("type") == "AbortIncompleteMultipartUpload":
        others = set(condition) - {"age", "matchesPrefixes", "matchesSuffixes", "withState", "sendAgeIfZero"}
        if others or state not in ("ANY", UNKNOWN):
            yield CheckFailure(
                f"{path}.condition", "takes age, matchesPrefixes and matchesSuffixes alone where uploads are aborted"
            )
    if set(condition) <= {"withState"} and state == "ANY":
        yield CheckFailure(f"{path}.condition", "is empty: the rule would take every object")


def _word(path: str, value: Value, kind: str) -> Iterator[CheckFailure]:
    legal = _LEGAL[kind]
    if isinstance(value, str) and value not in legal:
        yield CheckFailure(path, f"{value!r} is not legal; legal: {', '.join(legal)}")


def _map(value: Value) -> Properties:
    return value if isinstance(value, dict) else {}


def _list(value: Value) -> list[Value]:
    return value if isinstance(value, list) else []
