"""Writer and reader may do what they need, under the prefix of the recordings, and nothing else.

What they need is in `recordings.policies` and `recordings.policies_gcs`. Facts:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html,
https://cloud.google.com/iam/docs/conditions-attribute-reference, https://cloud.google.com/storage/docs/access-control/iam-roles.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from policy.documents import (
    BINDINGS,
    BUCKET_POLICIES,
    IDENTITY_POLICIES,
    Binding,
    Statement,
    allowed,
    bindings,
    strange_elements,
)
from policy.model import Facts, Planned, Rule, Severity, at, items, peek
from recordings import policies, policies_gcs

_READING: Final = frozenset(
    action.casefold() for action in (*policies.READER_ACTIONS, *policies.READER_KEY_ACTIONS, "s3:ListBucket")
)
_NEEDED: Final = _READING | {
    action.casefold()
    for actions in (*policies.WRITER_ACTIONS.values(), policies.WRITER_KEY_ACTIONS)
    for action in actions
}
_ESCALATING: Final = ("iam:", "sts:", "organizations:")
_ROLES: Final = frozenset(role for roles in policies_gcs.WRITER_ROLES.values() for role in roles)
_READING_ROLES: Final = frozenset({policies_gcs.OBJECT_VIEWER})
_EVERYTHING: Final = frozenset(
    {
        "roles/owner",
        "roles/editor",
        "roles/storage.admin",
        "roles/storage.legacyBucketOwner",
        "roles/storage.legacyObjectOwner",
    }
)
_POLICIES: Final = (*IDENTITY_POLICIES, *BUCKET_POLICIES)


def _is_wild(action: str) -> bool:
    return "*" in action or "?" in action


def _escalates(action: str) -> bool:
    return not _is_wild(action) and action.casefold().startswith(_ESCALATING)


def _actions(resource: Planned) -> list[str]:
    return [action for statement in allowed(resource) for action in statement.actions]


def _wild_actions(resource: Planned, facts: Facts) -> Iterator[str]:
    for statement in allowed(resource):
        if "NotAction" in statement.inverted:
            yield "NotAction allows every action but those it names"
        elif wild := [action for action in statement.actions if _is_wild(action)]:
            yield f"{', '.join(wild)} is allowed"


def _wild_roles(resource: Planned, facts: Facts) -> Iterator[str]:
    for binding in bindings(resource):
        if binding.role in _EVERYTHING:
            yield f"{binding.role} allows everything, policies included"


def _escalating_actions(resource: Planned, facts: Facts) -> Iterator[str]:
    if found := [action for action in _actions(resource) if _escalates(action)]:
        yield f"{', '.join(found)} is allowed, which leads to other identities' rights"


def _escalating_roles(resource: Planned, facts: Facts) -> Iterator[str]:
    for binding in bindings(resource):
        if binding.role.startswith("roles/iam."):
            yield f"{binding.role} leads to other identities' rights"


def _excess_actions(resource: Planned, facts: Facts) -> Iterator[str]:
    excess = [
        action
        for action in _actions(resource)
        if action.casefold() not in _NEEDED and not _is_wild(action) and not _escalates(action)
    ]
    if excess:
        yield f"{', '.join(excess)} is allowed, which neither writer nor reader needs"


def _excess_roles(resource: Planned, facts: Facts) -> Iterator[str]:
    for binding in bindings(resource):
        if binding.role not in _ROLES | _EVERYTHING and not binding.role.startswith("roles/iam."):
            yield f"{binding.role} is bound, which neither writer nor reader needs"


def _reader_actions(resource: Planned, facts: Facts) -> Iterator[str]:
    writing = [action for action in _actions(resource) if action.casefold() in _NEEDED - _READING]
    if _is_readers(resource, facts) and writing:
        yield f"the reader may {', '.join(writing)}"


def _reader_roles(resource: Planned, facts: Facts) -> Iterator[str]:
    writing = [binding.role for binding in bindings(resource) if binding.role in _ROLES - _READING_ROLES]
    if _is_readers(resource, facts) and writing:
        yield f"the reader has {', '.join(writing)}"


def _is_readers(resource: Planned, facts: Facts) -> bool:
    """Whether it is the reader's by its own name, or by whose it is, however it is called itself."""
    if "-reader" in resource.name:
        return True
    sources = [urn for key in ("user", "member", "members") for urn in resource.sources.get(key, ())]
    user = peek(resource.inputs, "user")
    users = [item.name for item in facts.resources if item.kind == "aws:iam:User" and peek(item.inputs, "name") == user]
    return any(name.endswith("-reader") for name in (*sources, *(users if isinstance(user, str) else ())))


def _wild_resources(resource: Planned, facts: Facts) -> Iterator[str]:
    for statement in allowed(resource):
        if "NotResource" in statement.inverted:
            yield "NotResource allows everything but what it names"
            continue
        for arn in statement.resources:
            if _is_wild(_place(arn)[0]):
                yield f"{', '.join(statement.actions)} is allowed on {arn}"


def _place(arn: str) -> tuple[str, str]:
    """The bucket (or key of KMS) and the object key of an ARN, each perhaps with wildcards."""
    bucket, _, key = arn.split(":", 5)[-1].partition("/")
    return (f"{bucket}/{key}", "") if ":kms:" in arn else (bucket, key)


def _outside(resource: Planned, facts: Facts) -> Iterator[str]:
    for statement in allowed(resource):
        for arn in statement.resources:
            bucket, key = _place(arn)
            if not arn.startswith("arn:") or ":s3:" not in arn or _is_wild(bucket):
                continue
            yield from _outside_place(statement, arn, bucket, key, facts)


def _outside_place(statement: Statement, arn: str, bucket: str, key: str, facts: Facts) -> Iterator[str]:
    if facts.bucket_name is not None and bucket not in {facts.bucket_name, *facts.former_buckets}:
        yield f"{arn} lies in another bucket than {facts.bucket_name}"
    elif bucket != facts.bucket_name or not facts.path_prefix:
        return
    elif "/" in arn:
        if not key.startswith(facts.path_prefix):
            yield f"{arn} is wider than {facts.path_prefix}"
    elif not _lists_prefix(statement.condition, facts.path_prefix):
        yield f"{', '.join(statement.actions)} on the bucket is not bound to {facts.path_prefix}"


def _lists_prefix(condition: Mapping[str, Any], prefix: str) -> bool:
    tested = {
        key.casefold(): items(tests, key)
        for operator, tests in condition.items()
        if operator in ("StringLike", "StringEquals") and isinstance(tests, Mapping)
        for key in tests
    }
    found = tested.get("s3:prefix", [])
    return bool(found) and all(str(value).startswith(prefix) for value in found)


def _outside_bindings(resource: Planned, facts: Facts) -> Iterator[str]:
    for binding in bindings(resource):
        if binding.role in _EVERYTHING or binding.role not in _ROLES:
            continue  # of another rule
        if binding.place != "bucket":
            yield f"{binding.role} is bound to the whole {binding.place}, not to the bucket"
        elif binding.folder and binding.folder.startswith(facts.path_prefix or ""):
            continue
        elif binding.expression is None:
            yield f"{binding.role} is bound without a condition: to all objects of the bucket"
        elif not all(_is_bound(part, binding, facts) for part in binding.expression.split("||")):
            yield f"the condition of {binding.role} is wider than the prefix: {binding.expression}"


def _is_bound(part: str, binding: Binding, facts: Facts) -> bool:
    """Whether one alternative of a condition keeps to the prefix; of an empty prefix or a former bucket, to the bucket.

    Of what is joined by `&&`, one that binds is enough.
    """
    own = facts.bucket_name is None or binding.bucket in (None, facts.bucket_name)
    prefix = (facts.path_prefix or "") if own else ""
    bucket = re.escape(binding.bucket) if binding.bucket else "[^/']+"
    literal = re.escape(prefix.replace("\\", "\\\\").replace("'", "\\'"))
    bound = [
        rf"resource\.name\.startsWith\('projects/_/buckets/{bucket}/objects/{literal}.*'\)",
        rf"api\.getAttribute\('storage\.googleapis\.com/objectListPrefix', ''\)\.startsWith\('{literal}.*'\)",
    ]
    if not prefix:
        bound.append(r"resource\.type == 'storage\.googleapis\.com/Bucket'")
    wholes = [_bare(conjunct) for conjunct in part.split("&&")]
    return any(re.fullmatch(pattern, whole, re.DOTALL) for pattern in bound for whole in wholes)


def _bare(conjunct: str) -> str:
    """Without the parentheses around the whole of an alternative, which the split may have cut in two."""
    text = conjunct.strip()
    while text.startswith("("):
        text = text[1:].strip()
    while text.count(")") > text.count("(") and text.endswith(")"):
        text = text[:-1].strip()
    return text


def _unreadable(resource: Planned, facts: Facts) -> Iterator[str]:
    try:
        strange = strange_elements(resource)
    except (ValueError, RecursionError):
        yield "the policy is no JSON document with statements"
        return
    if strange:
        yield f"the policy has elements that IAM does not know: {', '.join(strange)}"


def _attached(resource: Planned, facts: Facts) -> Iterator[str]:
    found = [
        str(arn) for key in ("policyArn", "policyArns", "managedPolicyArns") for arn in items(resource.inputs, key)
    ]
    yield f"managed policies are attached: {', '.join(found) or 'not named'}"


def _grouped(resource: Planned, facts: Facts) -> Iterator[str]:
    users = [str(user) for key in ("user", "users") for user in items(resource.inputs, key)]
    groups = [str(group) for key in ("group", "groups") for group in items(resource.inputs, key)]
    yield f"{', '.join(users) or 'a user'} gets the policies of a group: {', '.join(groups) or 'not named'}"


def _login(resource: Planned, facts: Facts) -> Iterator[str]:
    yield f"{at(resource.inputs, 'user') or 'a user'} gets a password for the console"


_BOTH: Final = "CIS AWS 2.14, CKV_AWS_62/63/286-290/355; CIS GCP 1.6, CKV_GCP_41/42/46/49/117"

RULES: Final = (
    Rule(
        "wildcard-action",
        Severity.MANDATORY,
        "It allows more than uploading and reading: to delete the bucket, or to open it.",
        "List the actions; `recordings.policies` has all that writer and reader need.",
        dict.fromkeys(_POLICIES, _wild_actions) | dict.fromkeys(BINDINGS, _wild_roles),
        standards=_BOTH,
    ),
    Rule(
        "wildcard-resource",
        Severity.MANDATORY,
        "A leaked key would open every bucket of the account.",
        "Name the bucket and the prefix.",
        dict.fromkeys(IDENTITY_POLICIES, _wild_resources),
        standards=_BOTH,
    ),
    Rule(
        "outside-prefix",
        Severity.MANDATORY,
        "A leaked key would open what is no recording, the operator's own objects first of all.",
        "Bind it to the bucket and recordings:pathPrefix, on Google by a condition.",
        dict.fromkeys(IDENTITY_POLICIES, _outside) | dict.fromkeys(BINDINGS, _outside_bindings),
        standards=_BOTH,
    ),
    Rule(
        "privilege-escalation",
        Severity.MANDATORY,
        "Whoever has the key could give itself any right (iam:PassRole, sts:AssumeRole, a service account's token).",
        "Remove it: storing and reading recordings takes none of it.",
        dict.fromkeys(_POLICIES, _escalating_actions) | dict.fromkeys(BINDINGS, _escalating_roles),
        standards=_BOTH,
    ),
    Rule(
        "excess-action",
        Severity.MANDATORY,
        "Neither 100ms nor a download needs it.",
        "Remove it, or give it to an identity of its own outside this stack.",
        dict.fromkeys(IDENTITY_POLICIES, _excess_actions) | dict.fromkeys(BINDINGS, _excess_roles),
        standards=_BOTH,
    ),
    Rule(
        "reader-writes",
        Severity.MANDATORY,
        "The reader's key lies with every back end; it must not be able to change a recording.",
        "Let the writer alone write.",
        dict.fromkeys(IDENTITY_POLICIES, _reader_actions) | dict.fromkeys(BINDINGS, _reader_roles),
        standards=_BOTH,
    ),
    Rule(
        "managed-policy",
        Severity.MANDATORY,
        "A managed policy, or a group's, knows no prefix, and changes without this stack.",
        "Use the one inline policy that each user has.",
        dict.fromkeys(
            ("aws:iam:UserPolicyAttachment", "aws:iam:PolicyAttachment", "aws:iam:UserPolicyAttachmentsExclusive"),
            _attached,
        )
        | dict.fromkeys(("aws:iam:UserGroupMembership", "aws:iam:GroupMembership"), _grouped),
        standards="CIS AWS 2.14",
    ),
    Rule(
        "console-login",
        Severity.MANDATORY,
        "Writer and reader are programs.",
        "Remove the login profile.",
        {"aws:iam:UserLoginProfile": _login},
    ),
    Rule(
        "policy-document",
        Severity.MANDATORY,
        "What cannot be read cannot be judged.",
        "Write the policy as a JSON document.",
        dict.fromkeys(_POLICIES, _unreadable),
    ),
)
