"""Who may do what, read from planned resources: IAM statements on AWS, role bindings on Google.

Owns reading every place in which a policy can stand. Does not judge (`policy.rules`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy.model import Mark, NotKnownError, Planned, at, items

IDENTITY_POLICIES: Final = ("aws:iam:UserPolicy", "aws:iam:Policy", "aws:iam:RolePolicy", "aws:iam:GroupPolicy")
BUCKET_POLICIES: Final = (
    "aws:s3:BucketPolicy",
    "aws:s3:Bucket",
    "aws:s3:AccessPoint",
    "aws:s3control:AccessPointPolicy",
    "aws:s3control:ObjectLambdaAccessPointPolicy",
)
"""A bucket has one inline too, an older form of the same; an access point is another way to the same objects."""
BINDINGS: Final = (
    "gcp:storage:BucketIAMMember",
    "gcp:storage:BucketIAMBinding",
    "gcp:storage:BucketIAMPolicy",
    "gcp:storage:ManagedFolderIamMember",
    "gcp:storage:ManagedFolderIamBinding",
    "gcp:storage:ManagedFolderIamPolicy",
    *(
        f"gcp:{place}:IAM{form}"
        for place in ("projects", "serviceaccount", "folder", "organizations")
        for form in ("Member", "Binding", "Policy")
    ),
)
_PLACES: Final = {"storage": "bucket", "projects": "project", "folder": "folder", "organizations": "organization"}
_IN_BUCKET: Final = ("bucket", "managedFolder")
_ELEMENTS: Final = frozenset({"Version", "Id", "Statement"})
_PARTS: Final = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
"""Of a statement: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html."""


@dataclass(frozen=True)
class Statement:
    """One IAM statement. `inverted` names what is said by NotAction, NotResource or NotPrincipal."""

    allows: bool
    principals: tuple[str, ...]
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    inverted: frozenset[str]
    condition: Mapping[str, Any]


@dataclass(frozen=True)
class Binding:
    """One role for some members; `members` may hold marks. `folder` is the one in the bucket that it is for, if any.

    `place` is bucket, project, folder, organization or account.
    """

    place: str
    role: str
    members: tuple[Any, ...]
    expression: str | None
    bucket: str | None
    folder: str | None


def document(resource: Planned) -> Mapping[str, Any] | None:
    """The IAM document of a resource, None where it has none. Raises NotKnownError, or ValueError if it is no JSON."""
    policy = at(resource.inputs, "policy")
    if policy is None:
        return None
    parsed = json.loads(policy) if isinstance(policy, str) else policy
    if not isinstance(parsed, Mapping) or not all(isinstance(item, Mapping) for item in items(parsed, "Statement")):
        raise ValueError("no policy document")
    return parsed


def strange_elements(resource: Planned) -> list[str]:
    """Elements of the document that IAM does not know, such as `action`: what they say is not judged.

    Raises NotKnownError, or ValueError if it is no JSON.
    """
    found = document(resource) or {}
    strange = set(found) - _ELEMENTS
    return sorted(strange.union(*(set(item) - _PARTS for item in items(found, "Statement"))))


def statements(resource: Planned) -> list[Statement]:
    """The statements of a resource's document; none where it cannot be read, which is a rule of its own."""
    try:
        found = document(resource)
    except (ValueError, RecursionError):
        return []
    return [_statement(item) for item in items(found, "Statement")]


def allowed(resource: Planned) -> list[Statement]:
    """Its statements that allow something."""
    return [statement for statement in statements(resource) if statement.allows]


def _statement(raw: Mapping[str, Any]) -> Statement:
    condition = at(raw, "Condition")
    return Statement(
        allows=str(at(raw, "Effect")).casefold() != "deny",
        principals=_principals(raw),
        actions=tuple(str(item) for key in ("Action", "NotAction") for item in items(raw, key)),
        resources=tuple(str(item) for key in ("Resource", "NotResource") for item in items(raw, key)),
        inverted=frozenset(key for key in ("NotAction", "NotResource", "NotPrincipal") if key in raw),
        condition=condition if isinstance(condition, Mapping) else {},
    )


def _principals(raw: Mapping[str, Any]) -> tuple[str, ...]:
    found: list[Any] = []
    for key in ("Principal", "NotPrincipal"):
        value = at(raw, key)
        if isinstance(value, Mapping):
            found += [item for name in value for item in items(value, name)]
        else:
            found += items(raw, key)
    return tuple(map(str, found))


def bindings(resource: Planned) -> list[Binding]:
    """The role bindings that a resource makes. Raises NotKnownError."""
    place = _PLACES.get(resource.kind.split(":")[1], "account")
    if resource.kind.endswith("Policy"):
        try:
            data = at(resource.inputs, "policyData")
            parsed = json.loads(data) if isinstance(data, str) else data
        except (ValueError, RecursionError):
            return []
        return [_binding(place, resource, raw) for raw in items(parsed, "bindings") if isinstance(raw, Mapping)]
    return [_binding(place, resource, resource.inputs)]


def _binding(place: str, resource: Planned, raw: Mapping[str, Any]) -> Binding:
    expression, bucket, folder = at(raw, "condition", "expression"), *map(resource.inputs.get, _IN_BUCKET)
    return Binding(
        place,
        str(at(raw, "role")),
        tuple(_members(raw)),
        expression if isinstance(expression, str) else None,
        bucket if isinstance(bucket, str) else None,
        folder if isinstance(folder, str) else None,
    )


def _members(raw: Mapping[str, Any]) -> list[Any]:
    """Members with marks left in: one that is known to be public counts, whatever the others are."""
    found: list[Any] = []
    for key in ("member", "members"):
        value = raw.get(key)
        found += value if isinstance(value, Sequence) and not isinstance(value, str) else [value] if value else []
    return found


def of_accounts(resource: Planned, key: str) -> bool:
    """Whether an input that is not known yet comes from service accounts alone, so that it can be nobody else."""
    urns = resource.sources.get(key, ())
    return bool(urns) and all(":serviceaccount/account:Account::" in urn for urn in urns)


def known_members(resource: Planned, binding: Binding) -> list[str]:
    """The members as text. Raises NotKnownError for one that could be anybody."""
    unknown = [member for member in binding.members if isinstance(member, Mark)]
    if unknown and not (of_accounts(resource, "member") or of_accounts(resource, "members")):
        raise NotKnownError("member")
    return [str(member) for member in binding.members if not isinstance(member, Mark)]
