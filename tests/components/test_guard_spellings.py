"""A fault is caught however it is spelt, and wherever in the stack it stands."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.components.misconfigurations import adding, setting, statement
from tests.components.planning import PROD_GCS, Change, Preview, deployed

PUBLIC = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": "*"}]})
ANYBODY = json.dumps({"bindings": [{"role": "roles/storage.objectViewer", "members": ["allUsers"]}]})
WRITING = {
    "Effect": "Allow",
    "Action": "s3:PutObject",
    "Resource": "arn:aws:s3:::acme-100ms-recordings-dev/recordings/*",
}


def stopping(stack: str, change: Change) -> set[str]:
    """The mandatory rules that a change to a deployed stack breaks."""
    plan = deployed(stack)
    change(plan)
    return {finding.rule.id for finding in plan.findings() if finding.stops}


def deny_http(resource: str) -> Change:
    def change(found: list[dict[str, Any]]) -> None:
        found[0]["Resource"] = ["arn:aws:s3:::acme-100ms-recordings-dev", resource]

    return statement("BucketPolicy", "policy", change)


@pytest.mark.parametrize("prefix", ["recordings/", ".recordings/", "a"])
def test_plain_http_denied_for_a_part_of_the_objects(prefix: str) -> None:
    """A statement that denies plain HTTP under one prefix leaves the other objects open to it."""
    assert stopping("dev", deny_http(f"arn:aws:s3:::acme-100ms-recordings-dev/{prefix}*")) == {"tls-only"}


def test_plain_http_denied_for_all_objects() -> None:
    """The whole bucket in one pattern is what the rule asks for."""
    assert stopping("dev", deny_http("arn:aws:s3:::acme-100ms-recordings-dev/*")) == set()


@pytest.mark.parametrize(
    "origin",
    ["*", "http*", "https:*", "*://*", "https://*", "https://*:443", "https://*.com", "https://*acme.com", "null"],
)
def test_origin_that_anybody_can_have(origin: str) -> None:
    """Every pattern that a page of a stranger's matches is any origin; so is that of sandboxed frames."""
    plant = setting("BucketCorsConfiguration", "cors", "corsRules.0.allowedOrigins.0", origin)
    assert stopping("prod", plant) == {"cors-any-origin"}


@pytest.mark.parametrize("origin", ["https://acme.com", "https://*.acme.com", "https://pr-*.acme.com:8443"])
def test_origin_under_a_domain_of_ones_own(origin: str) -> None:
    """A wildcard in front of a domain leaves only pages of that domain."""
    assert stopping("prod", setting("BucketCorsConfiguration", "cors", "corsRules.0.allowedOrigins.0", origin)) == set()


@pytest.mark.parametrize(
    ("rules", "stack", "plant"),
    [
        (
            {"cors-any-origin"},
            "prod",
            setting("Bucket", "bucket", "corsRules", [{"allowedOrigins": ["*"], "allowedMethods": ["GET"]}]),
        ),
        (
            {"expires-sooner"},
            "prod",
            setting(
                "Bucket",
                "bucket",
                "lifecycleRules",
                [{"enabled": True, "prefix": "recordings/", "expiration": {"days": 1}}],
            ),
        ),
        (
            {"expiry-outside-prefix"},
            "dev",
            setting("Bucket", "bucket", "lifecycleRules", [{"enabled": True, "expiration": {"days": 1}}]),
        ),
        ({"public-access-block"}, "dev", adding("aws:s3/accountPublicAccessBlock:AccountPublicAccessBlock")),
        (
            {"public-access-block"},
            "dev",
            adding("aws:s3/accessPoint:AccessPoint", publicAccessBlockConfiguration={"blockPublicPolicy": False}),
        ),
        ({"public-principal"}, "dev", adding("aws:s3/accessPoint:AccessPoint", policy=PUBLIC)),
        ({"public-principal"}, "dev", adding("aws:s3control/accessPointPolicy:AccessPointPolicy", policy=PUBLIC)),
        ({"acl"}, "dev", adding("aws:s3/bucketObjectv2:BucketObjectv2", acl="public-read")),
        (
            {"managed-policy"},
            "dev",
            adding("aws:iam/userGroupMembership:UserGroupMembership", user="w", groups=["admins"]),
        ),
        ({"managed-policy"}, "dev", adding("aws:iam/groupMembership:GroupMembership", users=["w"], group="admins")),
        (
            {"public-principal"},
            "dev-gcs",
            adding(
                "gcp:storage/managedFolderIamMember:ManagedFolderIamMember",
                managedFolder="recordings/",
                role="roles/storage.objectViewer",
                member="allUsers",
            ),
        ),
        (
            {"public-principal"},
            "dev-gcs",
            adding(
                "gcp:storage/managedFolderIamPolicy:ManagedFolderIamPolicy",
                managedFolder="recordings/",
                policyData=ANYBODY,
            ),
        ),
        (
            {"public-principal", "outside-prefix"},
            PROD_GCS,
            adding("gcp:projects/iAMPolicy:IAMPolicy", policyData=ANYBODY),
        ),
        (
            {"outside-prefix"},
            "dev-gcs",
            adding(
                "gcp:organizations/iAMMember:IAMMember", role="roles/storage.objectViewer", member="serviceAccount:a@b"
            ),
        ),
    ],
)
def test_same_fault_in_another_resource(rules: set[str], stack: str, plant: Change) -> None:
    """An older form, an access point, a managed folder or a higher level opens the same recordings."""
    assert stopping(stack, plant) == rules


def test_reader_that_writes_by_another_policy() -> None:
    """A second policy of the reader's is the reader's, whatever it is called."""
    plant = adding(
        "aws:iam/userPolicy:UserPolicy",
        user="100ms-recording-reader-dev",
        policy=json.dumps({"Version": "2012-10-17", "Statement": [WRITING]}),
    )
    assert stopping("dev", plant) == {"reader-writes"}


def test_guard_of_another_bucket_guards_nothing() -> None:
    """A guard that names another bucket leaves its own without."""
    plant = setting("BucketPublicAccessBlock", "public-access", "bucket", "another")
    assert stopping("dev", plant) == {"public-access-block"}


def test_elements_of_a_policy_that_nobody_knows() -> None:
    """What is written in another case than IAM's is not passed over as if it said nothing."""

    def change(plan: Preview) -> None:
        plan.policy("BucketPolicy", "policy", lambda found: found.append({"effect": "Allow", "principal": "*"}))

    assert stopping("dev", change) == {"policy-document"}
