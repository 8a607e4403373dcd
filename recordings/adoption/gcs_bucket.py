"""What becomes of an existing bucket on Google when the stack takes it over: what goes, what stays and is written down.

The stack declares the whole bucket, so that a setting which it does not know goes, and one that cannot change would
replace the bucket: that stops. Bindings of others stay. Lifecycle rules are told in the words of
`recordings.adoption.lifecycle`.

Source: https://cloud.google.com/storage/docs/json_api/v1/buckets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from recordings.adoption.common import CorsRule, judge_cors, judge_deletion
from recordings.adoption.findings import Proposal, check_stack, merge_tags
from recordings.adoption.gcs_parts import SOFT_DELETE_SECONDS
from recordings.adoption.gcs_survey import BucketFacts, Document
from recordings.adoption.lifecycle import Effect, judge_rules
from recordings.adoption.parts import Part
from recordings.adoption.stack_file import StackFile
from recordings.verification.cors import EXPOSED

PUBLIC: Final = frozenset({"allUsers", "allAuthenticatedUsers"})
_OWN_LABELS: Final = ("recordings-", "goog")
"""Labels that the stack writes itself, and Google's, begin so."""
_GOES: Final = {
    "website": ("website", "the configuration as a website goes"),
    "billing": ("requester-pays", "requester pays is turned off: the project of the bucket pays for requests"),
    "defaultEventBasedHold": ("event-based-hold", "new objects no longer get an event-based hold"),
    "ipFilter": ("ip-filter", "the IP filter goes: requests from any network are answered, if they are allowed"),
}
"""What no configuration key keeps, by field of the resource."""
_FIXED: Final = {
    "customPlacementConfig": ("placement", "lies in a pair of regions of its own"),
    "hierarchicalNamespace": ("namespace", "has a hierarchical namespace"),
    "objectRetention": ("object-retention", "has retention by object"),
}
"""What is given when a bucket is made and never changes."""


def judge_bucket(proposal: Proposal, facts: BucketFacts, project: str, file: StackFile, stack: str) -> None:
    """Find what taking the bucket over would cost, and propose the configuration that keeps the rest."""
    found = facts.resource
    proposal.set("bucketName", facts.name)
    proposal.parts.append(Part.BUCKET)
    _judge_place(proposal, found, project, file)
    _judge_labels(proposal, facts, file, stack)
    judge_deletion(proposal, file)
    rules = [
        CorsRule(str(number), rule.get("method", ()), rule.get("origin", ()), rule.get("responseHeader", ()))
        for number, rule in enumerate(found.get("cors", ()), start=1)
    ]
    judge_cors(proposal, rules, (*EXPOSED, "Range"), file)
    _judge_access(proposal, facts)
    _judge_keeping(proposal, found)
    _judge_classes(proposal, found, file)
    _judge_encryption(proposal, found, file)
    _judge_log(proposal, facts, file)
    _judge_rest(proposal, found)


def judge_lifecycle(proposal: Proposal, facts: BucketFacts, file: StackFile, prefix: str) -> None:
    """Find rules that go, and what the stack's rules would delete that was kept until now."""
    rules = facts.resource.get("lifecycle", {}).get("rule", ())
    named = [(str(number), list(_effects(rule))) for number, rule in enumerate(rules, start=1)]
    judge_rules(proposal, named, file, prefix, versioned=_is_versioned(facts.resource))


def _judge_place(proposal: Proposal, found: Document, project: str, file: StackFile) -> None:
    location, region = str(found["location"]).lower(), file.at("gcp:region")
    if region is None:
        proposal.values["gcp:region"] = location
    elif str(region).lower() != location:
        text = f"the bucket lies in {location}, the stack in {region}: correct gcp:region"
        proposal.find("region", text, acceptable=False)
    if file.at("gcp:project") is None:
        proposal.values["gcp:project"] = project


def _judge_labels(proposal: Proposal, facts: BucketFacts, file: StackFile, stack: str) -> None:
    labels, what = facts.resource.get("labels", {}), f"bucket {facts.name!r}"
    own = stack.lower().replace(".", "-")[:63]
    check_stack(proposal, what, labels.get("recordings-stack", own), own)
    merge_tags(proposal, file.value("tags"), [(what, labels)], _OWN_LABELS)


def _judge_access(proposal: Proposal, facts: BucketFacts) -> None:
    access = facts.resource.get("iamConfiguration", {})
    if not access.get("uniformBucketLevelAccess", {}).get("enabled"):
        proposal.find(
            "acl",
            "the bucket has fine-grained access, and gets uniform bucket-level access: who reads or writes objects by "
            "an ACL no longer can",
        )
    public = sorted({f"{b['role']} of {who}" for b in facts.bindings for who in PUBLIC & {*b.get("members", ())}})
    if public and access.get("publicAccessPrevention") != "enforced":
        proposal.find(
            "public-access", f"the bucket's policy lets everybody in ({', '.join(public)}); public access is prevented"
        )


def _judge_keeping(proposal: Proposal, found: Document) -> None:
    if not _is_versioned(found):
        proposal.notes.append("versioning is off and is turned on: replaced and deleted recordings are kept and paid")
    days, ours = _soft_delete_seconds(found) // 86_400, SOFT_DELETE_SECONDS // 86_400
    if days > ours:
        proposal.find(
            "soft-delete", f"what is deleted for good can be restored for {days} days now, and for {ours} days then"
        )
    elif days < ours:
        proposal.notes.append(f"soft delete is turned on: what is deleted for good is kept, and paid, for {ours} days")
    if policy := found.get("retentionPolicy"):
        held = int(policy.get("retentionPeriod", 0)) / 86_400
        if policy.get("isLocked"):
            text = f"the bucket has a locked retention policy ({held:g} days), which nobody can remove: leave it alone"
            proposal.find("retention-policy", text, acceptable=False)
        else:
            text = f"the retention policy goes: objects can be deleted before they are {held:g} days old"
            proposal.find("retention-policy", text)


def _judge_classes(proposal: Proposal, found: Document, file: StackFile) -> None:
    if (default := found.get("storageClass", "STANDARD")) != "STANDARD":
        text = f"new objects have the storage class {default} now, and STANDARD then (recordings:storageClasses moves"
        proposal.find("storage-class", f"{text} them by age)")
    autoclass, configured = found.get("autoclass", {}), file.value("autoclass")
    if not autoclass.get("enabled"):
        return
    terminal = autoclass.get("terminalStorageClass", "NEARLINE")
    if configured is None and not file.value("storageClasses"):
        proposal.set("autoclass", terminal)
    elif configured != terminal:
        then = f"down to {configured}" if configured else "off"
        proposal.find("autoclass", f"Autoclass chooses down to {terminal} now, and is {then} then")


def _judge_encryption(proposal: Proposal, found: Document, file: StackFile) -> None:
    key, configured = found.get("encryption", {}).get("defaultKmsKeyName"), file.value("kmsKey")
    if key is None or key == configured:
        return
    if configured is None:
        proposal.set("kmsKey", key)
    else:
        proposal.find("encryption", f"new objects are encrypted with {key} now, and with {configured} then")


def _judge_log(proposal: Proposal, facts: BucketFacts, file: StackFile) -> None:
    there, configured = facts.resource.get("logging"), file.value("accessLogBucket")
    if not there:
        return
    target, prefix = there["logBucket"], there.get("logObjectPrefix", facts.name)
    if configured is None:
        proposal.set("accessLogBucket", target)
    if (configured or target) != target or prefix != facts.name:
        now, then = f"{target} as {prefix}…", f"{configured or target} as {facts.name}…"
        proposal.find("access-log", f"the access log goes to bucket {now} now, to {then} then")


def _judge_rest(proposal: Proposal, found: Document) -> None:
    for field, (name, text) in _GOES.items():
        if _is_on(found.get(field)):
            proposal.find(name, text)
    for field, (name, text) in _FIXED.items():
        if _is_on(found.get(field)):
            proposal.find(
                name,
                f"the bucket {text}, which is given when a bucket is made and is not the stack's: let the stack make a "
                "bucket, and list this one as one of its recordings:formerBuckets",
                acceptable=False,
            )


def _is_on(value: Any) -> bool:
    """Whether a field says something: `{"enabled": false}` and the like do not."""
    if isinstance(value, Mapping):
        return any(each not in (False, "Disabled") for each in value.values())
    return bool(value)


def _is_versioned(found: Document) -> bool:
    return bool(found.get("versioning", {}).get("enabled"))


def _soft_delete_seconds(found: Document) -> int:
    return int(found.get("softDeletePolicy", {}).get("retentionDurationSeconds", 0))


def _effects(rule: Document) -> Iterator[Effect]:
    """What a rule does; age counts from an object's creation, so that an old version is gone by then at the latest."""
    condition: dict[str, Any] = dict(rule.get("condition", {}))
    prefixes: list[str | None] = [*(condition.pop("matchesPrefix", None) or [""])]
    live, age = condition.pop("isLive", None), condition.pop("age", None)
    replaced, newer = condition.pop("daysSinceNoncurrentTime", None), condition.pop("numNewerVersions", None)
    if condition:
        prefixes = [None]
    for prefix in prefixes:
        match rule["action"]["type"]:
            case "AbortIncompleteMultipartUpload":
                yield Effect("abort", prefix, age)
            case "SetStorageClass":
                kind = "move" if live is not False and replaced is None and newer is None else "old-move"
                target = rule["action"]["storageClass"]
                yield Effect(kind, prefix, age, target if kind == "move" else f"moves old versions to {target}")
            case _ if newer is not None:
                yield Effect("newer", prefix, replaced, "deletes all but the newest old versions")
            case _ if replaced is not None or live is False:
                yield Effect("old", prefix, age if replaced is None else replaced)
            case _:
                yield Effect("expire", prefix, age)
                if live is None:
                    yield Effect("old", prefix, age)
