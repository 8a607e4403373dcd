"""The resource kind `gcp:storage/bucketIAMMember:BucketIAMMember`: one member of one role on a bucket.

A bucket's policy is one document: each change reads it, changes it and writes it with its etag, and begins anew when
another change came in between (https://cloud.google.com/storage/docs/json_api/v1/buckets/setIamPolicy).
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import Any, Final

from sandbox.providers.base import CheckFailure, ProviderError, ResourceState
from sandbox.providers.gcp.cloud import Cloud, CloudError, Json, segment
from sandbox.providers.kinds import Kind
from sandbox.values import UNKNOWN, Properties

_VERSION: Final = 3
_TRIES: Final = 8
_PUBLIC: Final = ("allUsers", "allAuthenticatedUsers")


class BucketMember(Kind):
    """A member of a role, maybe under a condition; id: `b/BUCKET/ROLE/MEMBER[/TITLE/DESCRIPTION/EXPRESSION]`."""

    type_ = "gcp:storage/bucketIAMMember:BucketIAMMember"
    args = "pulumi_gcp.storage.bucket_iam_member:BucketIAMMemberArgs"
    replace_on = frozenset({"bucket", "condition", "member", "role"})
    computed = ("etag",)

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """Forms of role and member."""
        role, member = inputs["role"], inputs["member"]
        if role is not UNKNOWN and not role.startswith(("roles/", "projects/", "organizations/")):
            yield CheckFailure("role", f"{role!r} is no role; legal: as roles/storage.objectViewer")
        if member is not UNKNOWN and ":" not in member and member not in _PUBLIC:
            yield CheckFailure("member", f"{member!r} is no member; legal: as serviceAccount:EMAIL, user:EMAIL")
        if isinstance(member, str) and member.startswith("deleted:"):
            yield CheckFailure("member", f"{member!r} was deleted; legal: one that exists")

    def create(self, inputs: Properties) -> ResourceState:
        """Add it to the policy; that it is there already is no error, as in the official provider."""
        wanted = _binding(inputs)

        def add(bindings: list[Json]) -> bool:
            found = _same(bindings, wanted)
            if found is not None and inputs["member"] in found["members"]:
                return False
            if found is None:
                bindings.append({**wanted, "members": [inputs["member"]]})
            else:
                found["members"] = [*found["members"], inputs["member"]]
            return True

        policy = self._change(inputs["bucket"], f"granting {inputs['role']} to {inputs['member']}", add)
        return _state(inputs, policy["etag"])

    def read(self, id_: str, outputs: Properties | None) -> ResourceState | None:
        """Look for it in the policy. The etag is of the whole policy: one that others changed is no news of this."""
        known = outputs or _parsed(id_)
        policy = self._policy(known["bucket"], f"reading the policy of bucket {known['bucket']!r}")
        if policy is None:
            return None
        if outputs is None:
            known = _completed(known, policy["bindings"], id_)
        found = _same(policy["bindings"], _binding(known))
        if found is None or known["member"] not in found["members"]:
            return None
        return _state(known, known.get("etag") or policy["etag"])

    def update(self, state: ResourceState, new: Properties) -> ResourceState:
        """Nothing can change in place."""
        return state

    def delete(self, state: ResourceState) -> None:
        """Take it out of the policy; a bucket that is gone has none."""
        member, wanted = state.inputs["member"], _binding(state.inputs)

        def remove(bindings: list[Json]) -> bool:
            found = _same(bindings, wanted)
            if found is None or member not in found["members"]:
                return False
            found["members"] = [each for each in found["members"] if each != member]
            if not found["members"]:
                bindings.remove(found)
            return True

        try:
            self._change(state.inputs["bucket"], f"taking {state.inputs['role']} from {member}", remove)
        except CloudError as error:
            if error.status != 404:
                raise

    def find(self, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """Its inputs are its id."""
        return None if _id(inputs) in known_ids else self.read(_id(inputs), inputs)

    def _policy(self, bucket: str, doing: str) -> Json | None:
        path = f"b/{segment(bucket)}/iam"
        return self._cloud.find(doing, "storage", path, optionsRequestedPolicyVersion=_VERSION)

    def _change(self, bucket: str, what: str, change: Callable[[list[Json]], bool]) -> Json:
        doing = f"{what} on bucket {bucket!r}"
        with self._locks[bucket]:  # the members of one run would only get into each other's way
            for tries_left in reversed(range(_TRIES)):
                path = f"b/{segment(bucket)}/iam"
                policy = self._cloud.get(doing, "storage", path, optionsRequestedPolicyVersion=_VERSION)
                if not change(policy["bindings"]):
                    return policy
                try:
                    return self._cloud.call(doing, "PUT", "storage", path, body={**policy, "version": _VERSION})
                except CloudError as error:
                    if error.status != 412 or not tries_left:
                        raise
        raise AssertionError("unreachable")


def _binding(inputs: Properties) -> Json:
    """Role and condition, which make a binding one."""
    condition = {key: value for key, value in (inputs.get("condition") or {}).items() if value}
    return {"role": inputs["role"], **({"condition": condition} if condition else {})}


def _same(bindings: list[Json], wanted: Json) -> Json | None:
    return next((binding for binding in bindings if _binding(binding) == wanted), None)


def _id(inputs: Properties) -> str:
    condition = inputs.get("condition") or {}
    parts = ["b", inputs["bucket"].removeprefix("b/"), inputs["role"], inputs["member"]]
    if condition:
        parts += [condition.get("title") or "", condition.get("description") or "", condition["expression"]]
    return "/".join(parts)


def _parsed(id_: str) -> Properties:
    """Bucket, role and member of an import: `b/BUCKET ROLE MEMBER [TITLE]` (official), or our id as far as that."""
    if " roles/" in id_:
        bucket, role, member = id_.split(" ", 3)[:3]
        return {"bucket": bucket.removeprefix("b/"), "role": role, "member": member}
    parts = id_.split("/", 5)
    if len(parts) < 5:
        raise ProviderError(f"{id_!r} is no id of a bucket's member; legal: b/BUCKET ROLE MEMBER [CONDITION_TITLE]")
    return {"bucket": parts[1], "role": "/".join(parts[2:4]), "member": parts[4]}


def _completed(known: Properties, bindings: list[Any], id_: str) -> Properties:
    """`known` with the condition of the binding that the id means."""
    for binding in bindings:
        if binding["role"] == known["role"] and known["member"] in binding["members"]:
            found = {**known, **({"condition": binding["condition"]} if "condition" in binding else {})}
            title = (found.get("condition") or {}).get("title", "")
            official = f"b/{known['bucket']} {known['role']} {known['member']} {title}".rstrip()
            if id_ in (_id(found), official, official.removeprefix("b/")):
                return found
    return known


def _state(inputs: Properties, etag: str) -> ResourceState:
    given = {key: inputs[key] for key in ("bucket", "condition", "member", "role") if inputs.get(key)}
    return ResourceState(_id(inputs), given, {**given, "etag": etag})
