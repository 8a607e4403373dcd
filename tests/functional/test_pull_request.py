"""One pull request through the workflows, as GitHub would carry them out: their own steps, against the sandbox."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recordings import policies_github as policies
from recordings.policies import Policy
from sandbox.servers import Sandbox
from tests.functional.clients import aws, control, hms
from tests.functional.fake_github import REPOSITORY, TOKEN, GitHub, github
from tests.functional.project import Project
from tests.workflows import Actions, path_with, shim

NUMBER = 7
STACK = f"pr-{NUMBER}"
HOME = "functional-recordings"
ACCOUNT = "000000000000"


@pytest.fixture
def hub() -> Iterator[GitHub]:
    with github() as running:
        yield running


@pytest.fixture
def pool(sandbox: Sandbox) -> list[str]:
    """Two templates, each with a room, that only test stacks use."""
    made = control(sandbox, "hms", "POST", "seed", {"templates": [{"count": 2}]})["templates"]
    control(sandbox, "hms", "POST", "seed", {"rooms": [{"template_id": id_} for id_ in made]})
    return list(made)


@pytest.fixture
def actions(
    sandbox: Sandbox, deployed_project: Project, hub: GitHub, pool: list[str], tmp_path: Path
) -> Iterator[Actions]:
    """GitHub's runner in the project's folder: `pulumi` is the embedded engine, `dev` the stack that stays."""
    folder, python = deployed_project.folder, deployed_project.python
    shim(folder / ".venv" / "bin" / "python", python)
    env = dict(deployed_project.env)
    given = {name: env.pop(name) for name in ("HMS_ACCESS_KEY", "HMS_APP_SECRET")}
    env.pop("PULUMI_COMMAND")
    env |= {
        "PATH": path_with(tmp_path, [*python, "-m", "sandbox"]),
        "GITHUB_API_URL": hub.url,
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_REF_NAME": "main",
    }
    yield Actions(folder, env, given, {"TEST_TEMPLATES": " ".join(pool), "TEST_STACK_LIFE": "1s"}, TOKEN)
    shutil.rmtree(folder / ".venv")
    s3 = aws("s3", sandbox)
    left = s3.list_object_versions(Bucket=HOME, Prefix=".recordings/leases").get("Versions", [])
    for version in left:
        s3.delete_object(Bucket=HOME, Key=version["Key"], VersionId=version["VersionId"])


def event(action: str, *labels: str) -> dict[str, Any]:
    request = {
        "number": NUMBER,
        "state": "closed" if action == "closed" else "open",
        "head": {"repo": {"full_name": REPOSITORY}},
        "base": {"ref": "main"},
        "labels": [{"name": name} for name in labels],
    }
    return {"action": action, "number": NUMBER, "pull_request": request, "label": {"name": "test-stack"}}


def acting_as(actions: Actions, sandbox: Sandbox, *policies: Policy) -> Actions:
    """The same runner, logged in as an IAM user with these policies alone, as a role of the documentation has them."""
    iam, name = aws("iam", sandbox), f"runner-{secrets.token_hex(4)}"
    iam.create_user(UserName=name)
    for number, policy in enumerate(policies):
        made = iam.create_policy(PolicyName=f"{name}-{number}", PolicyDocument=json.dumps(policy))["Policy"]
        iam.attach_user_policy(UserName=name, PolicyArn=made["Arn"])
    key = iam.create_access_key(UserName=name)["AccessKey"]
    login = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    return replace(actions, env={**actions.env, **login})


def templates(sandbox: Sandbox, pool: list[str]) -> list[Any]:
    """Where each template of the pool uploads to."""
    with hms(sandbox) as client:
        found = [client.get(f"templates/{id_}/settings").json()["recording"] for id_ in pool]
    return [each and each["upload"]["location"] for each in found]


def test_pull_request_from_its_opening_to_the_sweep_of_its_forgotten_stack(
    actions: Actions, hub: GitHub, pool: list[str], sandbox: Sandbox
) -> None:
    """Preview as a comment that is updated; a stack with a leased template; nothing left once the night has swept."""
    bucket, place = f"{HOME}-{STACK}", (f"{HOME}-pr-*", "us-east-1")
    reader = acting_as(actions, sandbox, policies.preview(HOME, "us-east-1", ACCOUNT))
    actions = acting_as(
        actions, sandbox, policies.deploy(*place, ACCOUNT), policies.operate(*place), policies.leases(HOME, "us-east-1")
    )
    preview = reader.run("preview", "preview", event("opened"), stack="dev")
    assert preview is not None
    assert not preview.failed, preview.said
    [comment] = hub.comments.values()
    assert comment["of"] == NUMBER
    assert "## Preview of dev" in comment["body"]
    assert comment["body"].endswith(preview.summary.rstrip("\n") + "\n")
    up = actions.run("pr-stack", "up", event("labeled", "test-stack"))
    assert up is not None
    assert up.ended == dict.fromkeys(up.ended, 0), up.said
    assert "Make a test recording" not in up.ended
    assert templates(sandbox, pool) == [bucket, None]
    swept = actions.run("nightly", "sweep", {})
    assert swept is not None
    assert not swept.failed, swept.said
    assert f"| {STACK} | swept |" in swept.summary
    assert "| dev | left alone |" in swept.summary
    assert templates(sandbox, pool) == [None, None]
    names = [each["Name"] for each in aws("s3", sandbox).list_buckets()["Buckets"]]
    assert bucket not in names
    assert HOME in names
    assert not (actions.folder / f"Pulumi.{STACK}.yaml").exists()
    down = actions.run("pr-stack", "down", event("closed", "test-stack"))
    assert down is not None
    assert not down.failed, down.said
    assert hub.issues == {}
    for secret in actions.secrets.values():
        assert secret not in up.said + swept.said + down.said
