"""One pull request through the workflows, as GitHub would carry them out: their own steps, against the sandbox."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from recordings import policies_github as policies
from sandbox.servers import Sandbox
from tests.functional.clients import aws, hms
from tests.functional.fake_github import GitHub, github
from tests.functional.project import ROOT, GcsProject, Project
from tests.functional.runner import ACCOUNT, acting_as, pull_request, runner, templates_with_rooms
from tests.workflows import Actions

if TYPE_CHECKING:
    from tests.functional.google_lab import Lab

NUMBER = 7
STACK = f"pr-{NUMBER}"


@dataclass
class Way:
    """A repository whose stack `dev` is deployed, at one provider, and a pool of templates."""

    hub: GitHub
    pool: list[str]
    bucket: str
    actions: Actions
    reader: Actions
    """Logged in to preview alone, where the sandbox has roles for that."""
    left: Callable[[], set[str]]
    """What there is at the provider: names of buckets and of users or service accounts."""


@pytest.fixture(params=["s3", "gcs"])
def way(request: pytest.FixtureRequest, sandbox: Sandbox, tmp_path: Path) -> Iterator[Way]:
    pool, on_aws = templates_with_rooms(sandbox, 2), request.param == "s3"
    project: Project = request.getfixturevalue("deployed_project" if on_aws else "google_project")
    variables = {"TEST_TEMPLATES": " ".join(pool), "TEST_STACK_LIFE": "1s"}
    with github() as hub, runner(project, hub, tmp_path, **variables) as actions:
        bucket = json.loads(project.raw_outputs())["bucketName"]
        if on_aws:
            yield on_amazon(sandbox, Way(hub, pool, bucket, actions, actions, lambda: at_amazon(sandbox)))
            forget_leases(sandbox, bucket)
        else:
            lab: Lab = request.getfixturevalue("lab")
            yield Way(hub, pool, bucket, actions, actions, lambda: at_google(lab))


@pytest.fixture(scope="module")
def google_project(project_at: Callable[..., GcsProject]) -> Iterator[GcsProject]:
    """The shipped stack for Google as the stack `dev`."""
    project = project_at(kind=GcsProject)
    project.up()
    yield project
    project.destroy()


def on_amazon(sandbox: Sandbox, way: Way) -> Way:
    """The same with the roles of the documentation."""
    place = (f"{way.bucket}-pr-*", "us-east-1")
    roles = (policies.deploy(*place, ACCOUNT), policies.operate(*place), policies.leases(way.bucket, "us-east-1"))
    reader = acting_as(way.actions, sandbox, policies.preview(way.bucket, "us-east-1", ACCOUNT))
    return replace(way, actions=acting_as(way.actions, sandbox, *roles), reader=reader)


def forget_leases(sandbox: Sandbox, bucket: str) -> None:
    """The bucket is shared with other tests."""
    s3 = aws("s3", sandbox)
    for version in s3.list_object_versions(Bucket=bucket, Prefix=".recordings/leases").get("Versions", []):
        s3.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])


def at_amazon(sandbox: Sandbox) -> set[str]:
    users = aws("iam", sandbox).get_paginator("list_users").paginate()
    buckets = aws("s3", sandbox).list_buckets()["Buckets"]
    return {each["Name"] for each in buckets} | {each["UserName"] for page in users for each in page["Users"]}


def at_google(lab: Lab) -> set[str]:
    buckets = lab.operator.get("/storage/v1/b", params={"project": lab.project}).json()
    keys = lab.operator.get(f"/storage/v1/projects/{lab.project}/hmacKeys").json()
    emails = {each["serviceAccountEmail"] for each in keys.get("items", ())}
    return {each["name"] for each in buckets["items"]} | {email.partition("@")[0] for email in emails}


def uploads(sandbox: Sandbox, pool: list[str]) -> list[Any]:
    """Where each template of the pool uploads to."""
    with hms(sandbox) as client:
        found = [client.get(f"templates/{id_}/settings").json()["recording"] for id_ in pool]
    return [each and each["upload"]["location"] for each in found]


def test_pull_request_from_its_opening_to_the_sweep_of_its_forgotten_stack(way: Way, sandbox: Sandbox) -> None:
    """Preview as a comment that is updated; a stack with a leased template; nothing left once the night has swept."""
    actions, bucket, before = way.actions, f"{way.bucket}-{STACK}", way.left()
    preview = way.reader.run("preview", "preview", pull_request(NUMBER, "opened"), stack="dev")
    assert preview is not None
    assert not preview.failed, preview.said
    [comment] = way.hub.comments.values()
    assert comment["of"] == NUMBER
    assert "## Preview of dev" in comment["body"]
    assert comment["body"].endswith(preview.summary.rstrip("\n") + "\n")
    up = actions.run("pr-stack", "up", pull_request(NUMBER, "labeled", "test-stack"))
    assert up is not None
    assert up.ended == dict.fromkeys(up.ended, 0), up.said
    assert "Make a test recording" not in up.ended
    assert uploads(sandbox, way.pool) == [bucket, None]
    made = way.left() - before
    assert bucket in made
    assert len([name for name in made if name.endswith(STACK)]) == 3, "the bucket, who writes, who reads"
    swept = actions.run("nightly", "sweep", {})
    assert swept is not None
    assert not swept.failed, swept.said
    assert f"| {STACK} | swept |" in swept.summary
    assert "| dev | left alone |" in swept.summary
    assert uploads(sandbox, way.pool) == [None, None]
    assert way.left() == before
    down = actions.run("pr-stack", "down", pull_request(NUMBER, "closed", "test-stack"))
    assert down is not None
    assert not down.failed, down.said
    assert way.hub.issues == {}
    for secret in actions.secrets.values():
        assert secret not in up.said + swept.said + down.said


@pytest.mark.parametrize("way", ["gcs"], indirect=True)
def test_stack_goes_with_its_pull_request(way: Way, sandbox: Sandbox) -> None:
    """A push deploys it and closing takes it down, in jobs that have nothing of each other but what is deployed."""
    before = way.left()
    up = way.actions.run("pr-stack", "up", pull_request(NUMBER, "synchronize", "test-stack"))
    assert up is not None
    assert not up.failed, up.said
    down = way.actions.run("pr-stack", "down", pull_request(NUMBER, "closed", "test-stack"))
    assert down is not None
    assert not down.failed, down.said
    assert "give template" in down.said
    assert uploads(sandbox, way.pool) == [None, None]
    assert way.left() == before


def test_fork_gets_a_preview_and_no_secret(project_at: Callable[..., Project], tmp_path: Path) -> None:
    """The embedded engine previews the shipped stack as new; no step is given a secret, a token or a cloud."""
    project, event = project_at(), pull_request(NUMBER, "opened", repository="mallory/recordings")
    shutil.copy(ROOT / "Pulumi.prod.yaml", project.folder)
    with github() as hub, runner(project, hub, tmp_path) as actions:
        bare = replace(actions, env={name: actions.env[name] for name in ("PATH", "GITHUB_REPOSITORY")})
        assert bare.run("preview", "preview", event, stack="prod") is None
        job = bare.run("preview", "fork", event, stack="prod")
    assert job is not None
    assert job.ended == {"Preview in the sandbox": 0, "Report": 0}, job.said
    assert "## Preview of prod, as if it were new" in job.summary
    assert "Safe" in job.summary
    assert hub.log == []
    given = {value for env in job.given.values() for value in env.values()}
    assert not given & {*actions.secrets.values(), actions.token}
