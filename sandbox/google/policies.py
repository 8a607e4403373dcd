"""Who may do what: bucket policies with conditions, the project's own bindings, and the question `allowed`.

Sources: cloud.google.com/storage/docs/access-control/iam (convenience members, default bindings),
.../json_api/v1/buckets/setIamPolicy, cloud.google.com/iam/docs/policies (versions).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.google import conditions, roles
from sandbox.google.errors import GoogleError, denied, invalid, precondition_failed
from sandbox.google.http import Json

PUBLIC: Final = ("allUsers", "allAuthenticatedUsers")
_MEMBER: Final = re.compile(
    r"(user|serviceAccount|group):[^\s:@?]+@[^\s:@?]+|domain:[^\s:@]+"
    r"|deleted:(user|serviceAccount|group):[^\s:@?]+@[^\s:@?]+\?uid=\d+"
)
_VERSIONS: Final = (0, 1, 3)


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Condition(_Model):
    title: str = Field(min_length=1)
    expression: str
    description: str | None = None
    location: str | None = None


class _Binding(_Model):
    role: str
    members: list[str] = []
    condition: _Condition | None = None


class _Policy(_Model):
    bindings: list[_Binding] = []
    version: int | None = None
    etag: str | None = None
    kind: str | None = None
    resource_id: str | None = Field(default=None, alias="resourceId")


@dataclass(frozen=True)
class Caller:
    """Who makes a request: a service account, or nobody (`email` is None). `aws` tells AWS-style signatures."""

    email: str | None
    aws: bool = False

    @property
    def members(self) -> frozenset[str]:
        """The policy members that this caller is."""
        if self.email is None:
            return frozenset({"allUsers"})
        return frozenset({"allUsers", "allAuthenticatedUsers", f"serviceAccount:{self.email}"})


ANONYMOUS: Final = Caller(None)


@dataclass(frozen=True)
class Target:
    """What a permission is asked for: a bucket (its stored document) and maybe an object in it."""

    bucket: Json
    name: str | None = None
    list_prefix: str | None = None

    def context(self) -> conditions.Context:
        """The target as conditions see it."""
        path = f"projects/_/buckets/{self.bucket['name']}"
        kind = "Bucket" if self.name is None else "Object"
        if self.name is not None:
            path += f"/objects/{self.name}"
        return conditions.Context(path, f"storage.googleapis.com/{kind}", datetime.now(UTC), self.list_prefix)


def default_bindings(project: str) -> list[Json]:
    """The bindings of a new bucket with uniform access."""
    editors = [f"projectEditor:{project}", f"projectOwner:{project}"]
    viewers = [f"projectViewer:{project}"]
    return [
        {"role": "roles/storage.legacyBucketOwner", "members": editors},
        {"role": "roles/storage.legacyBucketReader", "members": viewers},
        {"role": "roles/storage.legacyObjectOwner", "members": list(editors)},
        {"role": "roles/storage.legacyObjectReader", "members": list(viewers)},
    ]


def etag(number: int) -> str:
    """The etag of a policy, HMAC key or bucket in its n-th version."""
    return base64.b64encode(b"\x08" + number.to_bytes(4, "big").lstrip(b"\0")).decode()


def is_allowed(project: Json, caller: Caller, permission: str, target: Target | None = None) -> bool:
    """Whether the project or the bucket grants `permission` to `caller`."""
    members = caller.members
    for binding in project["bindings"]:
        if permission in roles.PROJECT_ROLES[binding["role"]] and members & set(binding["members"]):
            return True
    if target is None:
        return False
    if _is_public_refused(target.bucket):
        members -= set(PUBLIC)
    members |= _convenience(project, members)
    return any(
        permission in roles.BUCKET_ROLES[binding["role"]] and members & set(binding["members"])
        for binding in _in_force(target)
    )


def require(project: Json, caller: Caller, permission: str, target: Target | None = None) -> None:
    """Raise what Google answers unless `is_allowed`."""
    if not is_allowed(project, caller, permission, target):
        raise denied(caller.email, permission)


def _in_force(target: Target) -> Iterator[Json]:
    for binding in target.bucket["policy"]["bindings"]:
        condition = binding.get("condition")
        if condition is None or conditions.holds(condition["expression"], target.context()):
            yield binding


def _convenience(project: Json, members: frozenset[str]) -> frozenset[str]:
    return frozenset(
        f"{prefix}:{project['projectId']}"
        for prefix, role in roles.CONVENIENCE.items()
        for binding in project["bindings"]
        if binding["role"] == role and members & set(binding["members"])
    )


def _is_public_refused(bucket: Json) -> bool:
    return bool(bucket["resource"]["iamConfiguration"]["publicAccessPrevention"] == "enforced")


def shown(bucket: Json, requested_version: int) -> Json:
    """`getIamPolicy`. Raises GoogleError 400 for a policy with conditions unless version 3 is asked for."""
    if requested_version not in _VERSIONS:
        raise invalid(f"Invalid requestedPolicyVersion {requested_version}: legal are 1 and 3.")
    policy = bucket["policy"]
    conditional = any("condition" in binding for binding in policy["bindings"])
    if conditional and requested_version != 3:
        raise invalid(
            "The policy contains bindings with conditions, which only policy version 3 can show: "
            "ask with optionsRequestedPolicyVersion=3."
        )
    return {
        "kind": "storage#policy",
        "resourceId": f"projects/_/buckets/{bucket['name']}",
        "version": 3 if conditional else 1,
        "etag": etag(policy["revision"]),
        "bindings": policy["bindings"],
    }


def replaced(bucket: Json, body: Json, project: str) -> Json:
    """The stored policy after `setIamPolicy` with `body`. Raises GoogleError for what Google refuses."""
    try:
        given = _Policy.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        raise invalid(f"Invalid value at '{path}' of the policy: {first['msg']}.") from None
    policy = bucket["policy"]
    if given.etag not in (None, "", etag(policy["revision"])):
        raise precondition_failed("There were concurrent policy changes. Read the policy again and repeat the change.")
    version = given.version or 1
    if version not in _VERSIONS:
        raise invalid(f"Invalid policy version {version}: legal are 1 and 3.")
    bindings = [_binding(bucket, entry, project) for entry in given.bindings]
    had = [*policy["bindings"], *bindings]
    if version != 3 and any("condition" in binding for binding in had):
        raise invalid("Bindings with conditions need a policy of version 3: set 'version' to 3.")
    return {"revision": policy["revision"] + 1, "bindings": _merged(bindings)}


def _binding(bucket: Json, binding: _Binding, project: str) -> Json:
    if binding.role not in roles.BUCKET_ROLES:
        raise invalid(f"Role {binding.role} is not supported for this resource.")
    for member in binding.members:
        _check_member(bucket, member, project)
    if binding.condition is not None:
        _check_condition(bucket, binding, binding.condition)
    return binding.model_dump(exclude_none=True)


def _check_member(bucket: Json, member: str, project: str) -> None:
    if member in PUBLIC:
        if _is_public_refused(bucket):
            raise precondition_failed(
                "The member bindings allUsers and allAuthenticatedUsers are not allowed since public access "
                "prevention is enforced."
            )
        return
    kind, _, rest = member.partition(":")
    if kind in roles.CONVENIENCE:
        if rest != project:
            raise invalid(f"Invalid member {member}: the project is {project}.")
    elif not _MEMBER.fullmatch(member):
        raise invalid(f"Invalid argument: An invalid member {member!r} was specified in the policy.")


def _check_condition(bucket: Json, binding: _Binding, condition: _Condition) -> None:
    if not bucket["resource"]["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"]:
        raise precondition_failed("Uniform bucket-level access must be enabled to use IAM conditions.")
    if binding.role in roles.LEGACY:
        raise invalid(f"Conditions are not supported for the legacy role {binding.role}.")
    if any(member in PUBLIC or member.partition(":")[0] in roles.CONVENIENCE for member in binding.members):
        raise invalid("Conditions are not supported for allUsers, allAuthenticatedUsers and project members.")
    conditions.compiled(condition.expression)


def _merged(bindings: list[Json]) -> list[Json]:
    """Bindings with the same role and condition as one, members sorted, as Google stores them."""
    found: dict[str, Json] = {}
    for binding in bindings:
        key = f"{binding['role']} {binding.get('condition')}"
        known = found.setdefault(key, {**binding, "members": []})
        known["members"] = sorted({*known["members"], *binding["members"]})
    return [binding for _, binding in sorted(found.items()) if binding["members"]]


def check_members_exist(bindings: list[Json], exists: frozenset[str], domain: str) -> None:
    """Raise GoogleError 400 for a service account of this project that is not there, as Google does."""
    for binding in bindings:
        for member in binding["members"]:
            kind, _, email = member.partition(":")
            if kind == "serviceAccount" and email.endswith(f"@{domain}") and email not in exists:
                raise GoogleError(400, "invalid", f"Service account {email} does not exist.", code="InvalidArgument")
