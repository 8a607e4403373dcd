"""Misconfigurations, each one change to a deployed stack that works: the rule that is for it, the stack, the change."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.components.planning import PROD_GCS, Change, Preview


def setting(type_: str, name: str, path: str, value: Any) -> Change:
    return lambda plan: plan.set(type_, name, path, value)


def statement(type_: str, name: str, change: Callable[[list[dict[str, Any]]], Any]) -> Change:
    return lambda plan: plan.policy(type_, name, change)


def action(name: str, *actions: str) -> Change:
    """The writer or reader may do something more."""
    return statement("UserPolicy", name, lambda found: found[0]["Action"].extend(actions))


def resource(value: str) -> Change:
    return statement("UserPolicy", "writer", lambda found: found[0].update(Resource=value))


def deleting(type_: str, name: str) -> Change:
    return lambda plan: plan.delete(type_, name)


def adding(type_: str, **inputs: Any) -> Change:
    return lambda plan: plan.add(type_, "more", **inputs)


def allow_everybody(found: list[dict[str, Any]]) -> None:
    found.append(
        {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
    )


def expiry(days: int) -> Change:
    """Recordings, or on Google what is like them, go after so many days."""
    return lambda plan: plan.set("BucketLifecycleConfiguration", "lifecycle", "rules.4.expiration.days", days)


def second_key(kind: str, owner_key: str, active: str) -> Change:
    """The second slot of the writer, as old as the first."""

    def change(plan: Preview) -> None:
        first = plan.step(kind, "writer-blue")
        for step in plan.steps:
            if step is first:
                other = json.loads(json.dumps(step).replace("-writer-blue", "-writer-green"))
        plan.steps.append(other)
        for name in ("writer-blue", "writer-green"):
            plan.aged(name, 10, kind)

    return change


def exported(plan: Preview) -> None:
    outputs = plan.steps[0]["newState"]["outputs"]
    outputs["writerSecretAccessKey"] = "issued-secret"


def unprotected(plan: Preview) -> None:
    plan.config["recordings:protect"] = "false"
    plan.step("Bucket", "bucket")["newState"]["protect"] = False


def gcs(path: str, value: Any) -> Change:
    return setting("Bucket", "bucket", path, value)


def member(role: str, path: str, value: Any) -> Change:
    return setting("BucketIAMMember", role, path, value)


def expression(text: str) -> Change:
    return member("writer-objectAdmin", "condition.expression", text)


ATTACHMENT = "aws:iam/userPolicyAttachment:UserPolicyAttachment"
PREFIX = "resource.name.startsWith('projects/_/buckets/acme-100ms-recordings-dev-gcs/objects/recordings/')"
OTHER = "arn:aws:s3:::another/recordings/*"
OWN = "arn:aws:s3:::acme-100ms-recordings-staging"

PLANTS: list[tuple[str, str, Change]] = [
    # Amazon S3
    ("public-access-block", "dev", setting("BucketPublicAccessBlock", "public-access", "blockPublicPolicy", False)),
    ("public-access-block", "dev", setting("BucketPublicAccessBlock", "public-access", "ignorePublicAcls", None)),
    ("public-access-block", "staging", deleting("BucketPublicAccessBlock", "public-access")),
    ("public-principal", "dev", statement("BucketPolicy", "policy", allow_everybody)),
    ("acl", "dev", setting("BucketOwnershipControls", "ownership", "rule.objectOwnership", "ObjectWriter")),
    ("acl", "dev", setting("Bucket", "bucket", "acl", "public-read")),
    ("acl", "dev", adding("aws:s3/bucketAcl:BucketAcl", acl="public-read")),
    ("acl", "prod", deleting("BucketOwnershipControls", "ownership")),
    ("tls-only", "dev", statement("BucketPolicy", "policy", lambda found: found.pop(0))),
    ("tls-only", "dev", statement("BucketPolicy", "policy", lambda found: found[0].update(Resource=[OWN + "/*"]))),
    ("tls-only", "dev", statement("BucketPolicy", "policy", lambda found: found[0].update(Action="s3:GetObject"))),
    ("tls-only", "dev", statement("BucketPolicy", "policy", lambda found: found[0].update(Principal={"AWS": "1"}))),
    (
        "tls-only",
        "dev",
        statement("BucketPolicy", "policy", lambda found: found[0]["Condition"].update(Null={"aws:x": "true"})),
    ),
    ("tls-only", "dev", deleting("BucketPolicy", "policy")),
    ("tls-version", "dev", statement("BucketPolicy", "policy", lambda found: found.pop(1))),
    ("encryption", "dev", setting("BucketServerSideEncryptionConfiguration", "encryption", "rules", [])),
    ("encryption", "dev", deleting("BucketServerSideEncryptionConfiguration", "encryption")),
    ("versioning", "dev", setting("BucketVersioning", "versioning", "versioningConfiguration.status", "Suspended")),
    ("versioning", "prod", deleting("BucketVersioning", "versioning")),
    ("lifecycle", "dev", setting("BucketLifecycleConfiguration", "lifecycle", "rules.1.status", "Disabled")),
    ("lifecycle", "dev", setting("BucketLifecycleConfiguration", "lifecycle", "rules.0", {"status": "Disabled"})),
    ("lifecycle", "staging", deleting("BucketLifecycleConfiguration", "lifecycle")),
    ("retention-removed", "staging", setting("BucketLifecycleConfiguration", "lifecycle", "rules.4", None)),
    ("expires-sooner", "staging", expiry(7)),
    (
        "expires-sooner",
        "prod",
        setting("BucketLifecycleConfiguration", "lifecycle", "rules.1.noncurrentVersionExpiration.noncurrentDays", 1),
    ),
    (
        "expiry-outside-prefix",
        "dev",
        setting("BucketLifecycleConfiguration", "lifecycle", "rules.4.filter", {"prefix": "rec"}),
    ),
    ("cors-any-origin", "prod", setting("BucketCorsConfiguration", "cors", "corsRules.0.allowedOrigins.0", "*")),
    (
        "cors-any-origin",
        "prod",
        setting("BucketCorsConfiguration", "cors", "corsRules.0.allowedOrigins.0", "https://*"),
    ),
    ("cors-methods", "dev", setting("BucketCorsConfiguration", "cors", "corsRules.0.allowedMethods.0", "PUT")),
    ("access-log", "prod", deleting("BucketLogging", "access-log")),
    ("force-destroy", "staging", setting("Bucket", "bucket", "forceDestroy", True)),
    ("unprotected", "prod", unprotected),
    ("wildcard-action", "dev", statement("UserPolicy", "writer", lambda found: found[0].update(Action="s3:*"))),
    ("wildcard-action", "dev", action("reader", "s3:Get*")),
    (
        "wildcard-action",
        "dev",
        statement("UserPolicy", "writer", lambda found: found[0].update(NotAction=found[0].pop("Action"))),
    ),
    ("wildcard-resource", "dev", resource("*")),
    ("wildcard-resource", "dev", resource("arn:aws:s3:::*/recordings/*")),
    ("outside-prefix", "staging", resource(OWN + "/*")),
    ("outside-prefix", "staging", resource(OTHER)),
    ("outside-prefix", "dev", statement("UserPolicy", "reader", lambda found: found[1].pop("Condition"))),
    ("privilege-escalation", "dev", action("writer", "iam:PassRole")),
    ("excess-action", "dev", action("writer", "s3:PutBucketPolicy")),
    ("reader-writes", "dev", action("reader", "s3:PutObject")),
    (
        "managed-policy",
        "dev",
        adding(ATTACHMENT, policyArn="arn:aws:iam::aws:policy/Any"),
    ),
    ("console-login", "dev", adding("aws:iam/userLoginProfile:UserLoginProfile", user="100ms")),
    ("policy-document", "dev", setting("UserPolicy", "writer", "policy", "s3:GetObject for all")),
    (
        "uploads-refused",
        "dev",
        statement(
            "BucketPolicy",
            "policy",
            lambda found: found.append(
                {
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:PutObject",
                    "Resource": OWN + "/*",
                    "Condition": {"Null": {"s3:x-amz-server-side-encryption": "true"}},
                }
            ),
        ),
    ),
    ("bucket-loss", "prod", lambda plan: plan.replace("Bucket", "bucket", "bucket", "acme-renamed")),
    ("reader-loss", "prod", deleting("User", "reader")),
    ("writer-loss", "prod", lambda plan: plan.replace("User", "writer", "name", "renamed")),
    ("active-key-loss", "prod", deleting("AccessKey", "reader-blue")),
    ("key-age", "dev", lambda plan: plan.aged("writer-blue", 61)),
    ("keys-overlap", "dev", second_key("AccessKey", "user", "Active")),
    ("secret-in-clear", "dev", exported),
    ("secret-in-clear", "dev", adding("pulumi:providers:aws", secretKey="wJalrXUtnFEMI")),
    # Google Cloud Storage
    ("public-access-block", "dev-gcs", gcs("publicAccessPrevention", "inherited")),
    ("public-principal", "dev-gcs", member("reader-objectViewer", "member", "allUsers")),
    ("public-principal", "dev-gcs", member("reader-objectViewer", "member", "allAuthenticatedUsers")),
    ("acl", "dev-gcs", gcs("uniformBucketLevelAccess", False)),
    ("acl", "dev-gcs", adding("gcp:storage/bucketAccessControl:BucketAccessControl", entity="domain-example.com")),
    ("versioning", "dev-gcs", gcs("versioning", None)),
    ("soft-delete", "dev-gcs", gcs("softDeletePolicy.retentionDurationSeconds", 0)),
    ("lifecycle", "dev-gcs", gcs("lifecycleRules.1", None)),
    ("retention-removed", "dev-gcs", gcs("lifecycleRules.4", None)),
    ("expires-sooner", PROD_GCS, gcs("lifecycleRules.1.condition.daysSinceNoncurrentTime", 1)),
    ("expiry-outside-prefix", "dev-gcs", gcs("lifecycleRules.4.condition.matchesPrefixes", None)),
    ("cors-any-origin", PROD_GCS, gcs("cors.0.origins", ["*"])),
    ("cors-methods", "dev-gcs", gcs("cors.0.methods", ["GET", "DELETE"])),
    ("access-log", PROD_GCS, gcs("logging", None)),
    ("force-destroy", PROD_GCS, gcs("forceDestroy", True)),
    ("unprotected", PROD_GCS, unprotected),
    ("wildcard-action", "dev-gcs", member("writer-objectAdmin", "role", "roles/storage.admin")),
    ("privilege-escalation", "dev-gcs", member("writer-objectAdmin", "role", "roles/iam.serviceAccountTokenCreator")),
    ("excess-action", "dev-gcs", member("writer-objectAdmin", "role", "roles/storage.hmacKeyAdmin")),
    ("reader-writes", "dev-gcs", member("reader-objectViewer", "role", "roles/storage.objectAdmin")),
    ("outside-prefix", "dev-gcs", member("writer-objectAdmin", "condition", None)),
    (
        "outside-prefix",
        "dev-gcs",
        expression(PREFIX.replace("recordings/'", "'")),
    ),
    ("outside-prefix", "dev-gcs", expression(f"{PREFIX} || true")),
    ("outside-prefix", "dev-gcs", expression(f"!{PREFIX}")),
    (
        "outside-prefix",
        "dev-gcs",
        adding("gcp:projects/iAMMember:IAMMember", role="roles/storage.objectViewer", member="serviceAccount:a@b"),
    ),
    ("json-key", "dev-gcs", adding("gcp:serviceaccount/key:Key", serviceAccountId="reader")),
    ("bucket-loss", PROD_GCS, lambda plan: plan.replace("Bucket", "bucket", "name", "acme-renamed")),
    ("reader-loss", PROD_GCS, deleting("Account", "reader")),
    ("writer-loss", PROD_GCS, lambda plan: plan.replace("Account", "writer", "accountId", "renamed")),
    ("active-key-loss", PROD_GCS, deleting("HmacKey", "writer-blue")),
    ("key-age", "dev-gcs", lambda plan: plan.aged("reader-blue", 61, "HmacKey")),
    ("keys-overlap", "dev-gcs", second_key("HmacKey", "serviceAccountEmail", "ACTIVE")),
    ("secret-in-clear", "dev-gcs", adding("pulumi:providers:gcp", credentials='{"private_key": "x"}')),
]
