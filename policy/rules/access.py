"""Nobody but writer, reader and operator reaches a recording, and over TLS alone.

Facts: https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html,
https://cloud.google.com/storage/docs/public-access-prevention, https://cloud.google.com/storage/docs/uniform-bucket-level-access.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from policy import scopes
from policy.documents import (
    BINDINGS,
    BUCKET_POLICIES,
    Statement,
    allowed,
    bindings,
    known_members,
    statements,
)
from policy.model import Facts, Mark, Planned, Rule, Severity, at, items, offending, peek

_FLAGS: Final = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
_OWN_SUBDOMAINS: Final = re.compile(r"(https?://)?[^*/]*\*(\.[^*./:]+){2,}(:\d+)?")
"""`https://*.example.com`: behind the wildcard stands a domain."""
_EVERYBODY: Final = ("allUsers", "allAuthenticatedUsers")
_S3_CORS: Final = ("aws:s3:BucketCorsConfiguration", "aws:s3:Bucket")
"""A bucket has them inline too, an older form of the same."""
_GOOGLE_ACLS: Final = (
    "BucketACL",
    "BucketAccessControl",
    "DefaultObjectACL",
    "DefaultObjectAccessControl",
    "ObjectACL",
    "ObjectAccessControl",
)


def _public_access_block(block: Planned, facts: Facts) -> Iterator[str]:
    values = [(flag, peek(block.inputs, flag)) for flag in _FLAGS]
    known = [(flag, value) for flag, value in values if not isinstance(value, Mark)]
    if off := [flag for flag, value in known if value is not True]:
        yield f"{', '.join(off)} must be true"
        return
    for flag in _FLAGS:
        at(block.inputs, flag)


def _access_point(point: Planned, facts: Facts) -> Iterator[str]:
    off = [flag for flag in _FLAGS if peek(point.inputs, "publicAccessBlockConfiguration", flag) is False]
    if off:
        yield f"{', '.join(off)} of the access point must be true"


def _public_access_prevention(bucket: Planned, facts: Facts) -> Iterator[str]:
    found = at(bucket.inputs, "publicAccessPrevention")
    if found != "enforced":
        yield f"publicAccessPrevention is {found or 'not set'}, not enforced"


def _public_statements(resource: Planned, facts: Facts) -> Iterator[str]:
    for statement in allowed(resource):
        everybody = any("*" in principal.split(":") for principal in statement.principals)
        if everybody or "NotPrincipal" in statement.inverted:
            yield f"the policy allows everybody {', '.join(statement.actions)}"


def _public_members(resource: Planned, facts: Facts) -> Iterator[str]:
    for binding in bindings(resource):
        public = [member for member in binding.members if member in _EVERYBODY]
        if public:
            yield f"{binding.role} is bound to {', '.join(public)}"
        else:
            known_members(resource, binding)


def _ownership(controls: Planned, facts: Facts) -> Iterator[str]:
    found = at(controls.inputs, "rule", "objectOwnership")
    if found != "BucketOwnerEnforced":
        yield f"objectOwnership is {found or 'not set'}, not BucketOwnerEnforced: ACLs count again"


def _inline_acl(bucket: Planned, facts: Facts) -> Iterator[str]:
    if (acl := at(bucket.inputs, "acl")) not in (None, "private"):
        yield f"the bucket has the ACL {acl}"
    if items(bucket.inputs, "grants"):
        yield "the bucket has grants, which are ACLs"


def _object_acl(resource: Planned, facts: Facts) -> Iterator[str]:
    if (acl := at(resource.inputs, "acl")) not in (None, "private", "bucket-owner-full-control"):
        yield f"the object has the ACL {acl}"


def _any_acl(resource: Planned, facts: Facts) -> Iterator[str]:
    yield "the bucket gets an ACL beside its policy"


def _uniform_access(bucket: Planned, facts: Facts) -> Iterator[str]:
    if at(bucket.inputs, "uniformBucketLevelAccess") is not True:
        yield "uniformBucketLevelAccess is not true: ACLs count again"


def _denies(policy: Planned, operator: str, key: str, value: str) -> Iterator[Statement]:
    """The statements that deny everybody everything in the bucket under this one condition."""
    for statement in statements(policy):
        whole = any(resource == "*" or resource.partition("/")[2] == "*" for resource in statement.resources)
        bucket = any("/" not in resource for resource in statement.resources)
        everything = {"s3:*", "*"} & {action.casefold() for action in statement.actions}
        if statement.allows or statement.inverted or not (whole and bucket and everything):
            continue
        if "*" in statement.principals and _is_condition(statement.condition, operator, key, value):
            yield statement


def _is_condition(condition: Mapping[str, Any], operator: str, key: str, value: str) -> bool:
    """Whether the condition is this one test; AWS compares names of operators and keys in any case."""
    folded = {
        (str(name).casefold(), str(tested).casefold()): [str(item).casefold() for item in items(tests, tested)]
        for name, tests in condition.items()
        if isinstance(tests, Mapping)
        for tested in tests
    }
    return folded == {(operator.casefold(), key.casefold()): [value]}


def _tls_only(policy: Planned, facts: Facts) -> Iterator[str]:
    if not any(_denies(policy, "Bool", "aws:SecureTransport", "false")):
        yield "no statement denies everybody plain HTTP for the bucket and its objects"


def _tls_version(policy: Planned, facts: Facts) -> Iterator[str]:
    if not any(any(_denies(policy, "NumericLessThan", "s3:TlsVersion", version)) for version in ("1.2", "1.3")):
        yield "no statement denies TLS below 1.2"


def _origins(resource: Planned, *path: str) -> Iterator[str]:
    found = [origin for rule in items(resource.inputs, path[0]) for origin in items(rule, path[1])]
    for origin in offending(found, ".".join(path), _is_any_origin):
        yield f"pages of every origin may read recordings: {origin}"


def _is_any_origin(origin: object) -> bool:
    """Whether a page of anybody's can have such an origin; `null` is that of every sandboxed frame."""
    text = str(origin)
    return text.casefold() == "null" or ("*" in text and not _OWN_SUBDOMAINS.fullmatch(text))


def _s3_origins(cors: Planned, facts: Facts) -> Iterator[str]:
    yield from _origins(cors, "corsRules", "allowedOrigins")


def _gcs_origins(bucket: Planned, facts: Facts) -> Iterator[str]:
    yield from _origins(bucket, "cors", "origins")


def _s3_methods(cors: Planned, facts: Facts) -> Iterator[str]:
    yield from _methods(cors, "corsRules", "allowedMethods")


def _gcs_methods(bucket: Planned, facts: Facts) -> Iterator[str]:
    yield from _methods(bucket, "cors", "methods")


def _methods(resource: Planned, *path: str) -> Iterator[str]:
    found = [method for rule in items(resource.inputs, path[0]) for method in items(rule, path[1])]
    for method in offending(found, ".".join(path), lambda item: item not in ("GET", "HEAD", "OPTIONS")):
        yield f"pages may {method} recordings; playing them takes GET and HEAD"


RULES: Final = (
    Rule(
        "public-access-block",
        Severity.MANDATORY,
        "Without it one wrong policy or ACL opens every recording to the world.",
        "Leave all four flags true (on Google publicAccessPrevention: enforced).",
        {
            "aws:s3:BucketPublicAccessBlock": _public_access_block,
            "aws:s3:AccountPublicAccessBlock": _public_access_block,
            "aws:s3:AccessPoint": _access_point,
            "gcp:storage:Bucket": _public_access_prevention,
        },
        guards={"aws:s3:Bucket": "aws:s3:BucketPublicAccessBlock"},
        standards="CIS AWS 3.1.4, S3.1/2/3/8, CKV_AWS_53-56; CIS GCP 5.1, CKV_GCP_114",
    ),
    Rule(
        "public-principal",
        Severity.MANDATORY,
        "It gives recordings to everybody.",
        "Name the principals, or sign URLs with the reader.",
        dict.fromkeys(BUCKET_POLICIES, _public_statements) | dict.fromkeys(BINDINGS, _public_members),
        standards="S3.2/3, CKV_AWS_70; CIS GCP 5.1, CKV_GCP_28",
    ),
    Rule(
        "acl",
        Severity.MANDATORY,
        "ACLs give access beside the policies, unseen by whoever reads those.",
        "Keep BucketOwnerEnforced (on Google uniformBucketLevelAccess: true) and declare no ACL.",
        {
            "aws:s3:BucketOwnershipControls": _ownership,
            "aws:s3:Bucket": _inline_acl,
            "aws:s3:BucketAcl": _any_acl,
            **dict.fromkeys(("aws:s3:BucketObject", "aws:s3:BucketObjectv2", "aws:s3:ObjectCopy"), _object_acl),
            "gcp:storage:Bucket": _uniform_access,
            **{f"gcp:storage:{name}": _any_acl for name in _GOOGLE_ACLS},
        },
        guards={"aws:s3:Bucket": "aws:s3:BucketOwnershipControls"},
        standards="S3.12, CKV2_AWS_65, CKV_AWS_20/57; CIS GCP 5.2, CKV_GCP_29",
    ),
    Rule(
        "tls-only",
        Severity.MANDATORY,
        "Over plain HTTP recordings and signed URLs can be read on the way. (On Google only the organisation policy "
        "storage.secureHttpTransport can refuse it.)",
        "Keep the bucket policy's statement that denies aws:SecureTransport false.",
        {"aws:s3:BucketPolicy": _tls_only},
        guards={"aws:s3:Bucket": "aws:s3:BucketPolicy"},
        standards="CIS AWS 3.1.1, S3.5",
    ),
    Rule(
        "tls-version",
        Severity.ADVISORY,
        "TLS below 1.2 has known weaknesses.",
        "Keep the bucket policy's statement that denies s3:TlsVersion below 1.2.",
        {"aws:s3:BucketPolicy": _tls_version},
    ),
    Rule(
        "cors-any-origin",
        Severity.MANDATORY,
        "In production any page in a user's browser could read recordings whose URL it learns.",
        "List the origins of your applications in recordings:corsOrigins.",
        dict.fromkeys(_S3_CORS, _s3_origins) | {"gcp:storage:Bucket": _gcs_origins},
        applies=scopes.production,
    ),
    Rule(
        "cors-methods",
        Severity.ADVISORY,
        "A page that plays recordings has no need to write or delete them.",
        "Allow GET and HEAD alone.",
        dict.fromkeys(_S3_CORS, _s3_methods) | {"gcp:storage:Bucket": _gcs_methods},
    ),
)
