"""The roles of the workflows: no wildcard action, one bucket, one environment, nothing in a preview that changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from recordings import policies_github as roles
from recordings.adoption.parts import DEFAULT_NAMES

BUCKET, REGION, ACCOUNT = "acme-100ms-recordings-prod", "eu-west-1", "123456789012"
ARN = f"arn:aws:s3:::{BUCKET}"
ALL: dict[str, Any] = {
    "preview": roles.preview(BUCKET, REGION, ACCOUNT),
    "deploy": roles.deploy(BUCKET, REGION, ACCOUNT),
    "operate": roles.operate(BUCKET, REGION),
    "leases": roles.leases(BUCKET, REGION),
    "state": roles.state(BUCKET, REGION, writes=True),
    "read state": roles.state(BUCKET, REGION, writes=False),
}


def allowed(policy: Any) -> Iterator[tuple[str, str]]:
    """Every action with every resource."""
    for statement in policy["Statement"]:
        assert statement["Effect"] == "Allow"
        resources = statement["Resource"]
        for action in statement["Action"]:
            for resource in resources if isinstance(resources, list) else [resources]:
                yield action, resource


@pytest.mark.parametrize("name", ALL)
def test_actions_are_spelt_out_and_bound(name: str) -> None:
    """No wildcard in an action; a resource is this bucket, its objects or the users of stacks, but for one read."""
    for action, resource in allowed(ALL[name]):
        assert "*" not in action
        if action != "iam:GetAccessKeyLastUsed":
            assert resource.startswith((ARN, f"arn:aws:iam::{ACCOUNT}:user/100ms-recording-")), (action, resource)


@pytest.mark.parametrize("name", ALL)
def test_policy_fits_into_a_role(name: str) -> None:
    """A managed policy has 6,144 characters; all of a role's inline ones 10,240 (white space is not counted)."""
    assert len(json.dumps(ALL[name], separators=(",", ":"))) <= 6144


def test_preview_changes_nothing_and_reads_no_recording() -> None:
    """Get and List alone, and no object."""
    for action, resource in allowed(ALL["preview"]):
        assert action.split(":")[1].startswith(("Get", "List"))
        assert not resource.endswith("/*")
    assert "s3:GetObject" not in {action for action, _ in allowed(ALL["preview"])}


def test_users_are_those_that_stacks_make() -> None:
    """The patterns hold for the names that a stack gives by itself."""
    for name in DEFAULT_NAMES.values():
        assert any(name.format(stack="prod").startswith(pattern.rstrip("*")) for pattern in roles.USERS)


def test_trust_is_one_environment_of_one_repository() -> None:
    """Compared whole, with no wildcard: another repository or environment has another subject."""
    [statement] = roles.trust(ACCOUNT, "acme-1/recordings-2", "prod")["Statement"]
    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": "repo:acme-1/recordings-2:environment:prod",
        }
    }
    google = roles.google_trust("1", "github", "2", "prod")
    assert google["attributeCondition"] == "assertion.repository_id == '2'"
    assert google["member"].endswith("/attribute.environment/prod")


def test_leases_reach_one_object() -> None:
    """Beside listing: the leases, and not what other commands keep in that bucket."""
    written = {resource for action, resource in allowed(ALL["leases"]) if action == "s3:PutObject"}
    assert written == {f"{ARN}/.recordings/leases"}
