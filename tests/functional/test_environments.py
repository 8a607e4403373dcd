"""The environments' jobs as GitHub would carry them out: deployments of `main`, previews, nights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from recordings import policies_github as policies
from sandbox.servers import Sandbox
from tests.functional.clients import aws, eventually, hms
from tests.functional.databases import migrated_database
from tests.functional.fake_github import GitHub, github
from tests.functional.project import ROOT, Project
from tests.functional.runner import ACCOUNT, acting_as, pull_request, runner, templates_with_rooms
from tests.workflows import Actions, Job

STACKS = ("dev", "staging", "prod")
BUCKETS = "acme-100ms-recordings-*"
BUCKET = "acme-100ms-recordings-dev"
LOGS = "acme-access-logs"
"""Of the shipped Pulumi.prod.yaml."""


@dataclass
class Site:
    """A repository whose `main` was deployed: the shipped stacks, each with a template and users of its own.

    Jobs are logged in with the roles of the documentation.
    """

    sandbox: Sandbox
    project: Project
    hub: GitHub
    actions: Actions
    templates: dict[str, str]
    jobs: dict[str, Job]

    def file(self, stack: str = "dev") -> Path:
        return self.project.folder / f"Pulumi.{stack}.yaml"

    def check_out(self) -> None:
        """What is on `main` now is what the next jobs find, and is where they begin."""
        for stack in STACKS:
            self.file(stack).write_bytes(self.hub.files[self.file(stack).name])

    def commit(self) -> None:
        """The other way round."""
        self.hub.files |= {self.file(stack).name: self.file(stack).read_bytes() for stack in STACKS}

    @contextmanager
    def changed(self, **config: str) -> Iterator[None]:
        """dev's file with other values."""
        text = self.file().read_text()
        values = {f"recordings:{key}": value for key, value in config.items()}
        self.file().write_text(yaml.safe_dump({"config": {**yaml.safe_load(text)["config"], **values}}))
        try:
            yield
        finally:
            self.file().write_text(text)

    def outputs(self, stack: str) -> str:
        """As `pulumi stack output --json --show-secrets` prints them."""
        return replace(self.project, stack=stack).raw_outputs()

    def night(self, **secrets: str) -> Job:
        actions = replace(self.actions, secrets={**self.actions.secrets, **secrets})
        job = actions.run("nightly", "look-after", {}, stack="dev")
        assert job is not None
        return job

    def recording(self) -> str:
        """Make one in dev's room; its key in the bucket."""
        with hms(self.sandbox) as api:
            room = api.get("rooms", params={"template_id": self.templates["dev"]}).json()["data"][0]["id"]
            id_ = api.post(f"recordings/room/{room}/start", json={}).json()["id"]
            eventually(lambda: api.get(f"recordings/{id_}").json()["status"] == "running")
            api.post(f"recordings/{id_}/stop", json={}).raise_for_status()
            eventually(lambda: api.get(f"recordings/{id_}").json()["status"] == "completed")
        listed = aws("s3", self.sandbox).list_objects_v2(Bucket=BUCKET, Prefix="recordings/")["Contents"]
        return next(each["Key"] for each in listed if each["Key"].endswith(".mp4"))


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox of its own: a night hears of every recording of the workspace, of other tests' too."""
    with Sandbox(tmp_path_factory.mktemp("environments")) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def site(
    alone: Sandbox, project_at: Callable[..., Project], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    sandbox, shared = alone, project_at()
    project, ids = replace(shared, env={**shared.env, **sandbox.env}), templates_with_rooms(sandbox, len(STACKS))
    templates = dict(zip(STACKS, ids, strict=True))
    for stack, id_ in templates.items():
        own = [
            f'templateIds: ["{id_}"]',
            f"writerName: 100ms-recording-user-of-{stack}",
            f"readerName: 100ms-recording-reader-of-{stack}",
        ]
        text = (ROOT / f"Pulumi.{stack}.yaml").read_text() + "".join(f"  recordings:{line}\n" for line in own)
        (project.folder / f"Pulumi.{stack}.yaml").write_text(text)
    log_bucket(sandbox)
    folder = tmp_path_factory.mktemp("runner")
    with github() as hub, migrated_database(sandbox) as url, runner(project, hub, folder) as actions:
        roles = policies.deploy(BUCKETS, "us-east-1", ACCOUNT), policies.operate(BUCKETS, "us-east-1")
        actions = replace(acting_as(actions, sandbox, *roles), secrets={**actions.secrets, "DATABASE_URL": url})
        made = Site(sandbox, project, hub, actions, templates, {})
        made.commit()
        made.jobs = actions.run_all("up", {})
        yield made


def log_bucket(sandbox: Sandbox) -> None:
    s3 = aws("s3", sandbox)
    s3.create_bucket(Bucket=LOGS)
    allowed = {"Service": "logging.s3.amazonaws.com"}, "s3:PutObject", f"arn:aws:s3:::{LOGS}/*"
    statement = {"Effect": "Allow", **dict(zip(("Principal", "Action", "Resource"), allowed, strict=True))}
    s3.put_bucket_policy(Bucket=LOGS, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def assert_no_secret(site: Site, *jobs: Job) -> None:
    secrets = [*site.actions.secrets.values(), site.actions.token]
    for stack in STACKS:
        raw = json.loads(site.outputs(stack))
        secrets += [slot["secret"] for who in ("writer", "reader") for slot in raw[f"{who}Keys"].values()]
    for text in (*(job.said + job.summary for job in jobs), json.dumps(site.hub.issues)):
        assert not [secret for secret in secrets if secret in text]


def test_main_is_deployed_to_each_environment_in_turn(site: Site) -> None:
    """Deployed, registered with its own template, verified; the summary says so; none follows one that failed."""
    assert [*site.jobs] == [*STACKS]
    for stack, job in site.jobs.items():
        assert job.ended == {"Deploy": 0, "Register and verify": 0, "Report": 0}, job.said
        with hms(site.sandbox) as api:
            settings = api.get(f"templates/{site.templates[stack]}/settings").json()
        assert settings["recording"]["upload"]["location"] == f"acme-100ms-recordings-{stack}"
        for words in (f"## Deployment of {stack}", "17 created" if stack == "prod" else "16 created", "0 failed"):
            assert words in job.summary
    assert_no_secret(site, *site.jobs.values())


def test_deployment_that_fails_stops_those_after_it(site: Site) -> None:
    """dev fails: its summary has the reason, nothing is registered, staging and prod are not touched."""
    with site.changed(expectedAccount="999999999999"):
        jobs = site.actions.run_all("up", {})
    assert [*jobs] == ["dev"]
    assert jobs["dev"].ended == {"Deploy": jobs["dev"].ended["Deploy"], "Report": 0}
    assert jobs["dev"].failed
    assert "999999999999" in jobs["dev"].summary


def test_preview_says_why_there_is_none_and_stops_danger_unless_a_label_allows_it(site: Site) -> None:
    """One comment through it all, which always has the last preview."""

    def preview(*labels: str) -> Job:
        job = site.actions.run("preview", "preview", pull_request(9, "synchronize", *labels), stack="dev")
        assert job is not None
        return job

    with site.changed(expectedAccount="999999999999"):
        assert preview().ended["Say that there is no preview"] == 0
    [comment] = site.hub.comments.values()
    for words in ("## No preview of dev", "see run 1", "999999999999"):
        assert words in comment["body"]
    with site.changed(bucketName="acme-another-bucket"):
        assert preview().ended["Fail on danger"] == 1
        assert "dangerous" in comment["body"].lower()
        assert not preview("allow-danger").failed
    assert not preview().failed
    assert [*site.hub.comments.values()] == [comment]
    assert "dangerous" not in comment["body"].lower()


def test_night_commits_its_step_of_a_rotation_and_opens_no_issue(site: Site) -> None:
    """100ms has the next key, the file that says so is on `main`, and nobody is called."""
    site.recording()
    begin_rotation(site)
    job = site.night()
    assert job.ended == {"Look after it": 0, "Keep the configuration that a rotation changed": 0}, job.said
    assert "all is well" in job.summary
    assert "not checked" not in job.said
    site.check_out()
    raw = json.loads(site.outputs("dev"))
    assert raw["registeredKey"] == "green"
    assert yaml.safe_load(site.file().read_text())["config"]["recordings:registeredKey"] == "green"
    with hms(site.sandbox) as api:
        settings = api.get(f"templates/{site.templates['dev']}/settings").json()
    assert settings["recording"]["upload"]["credentials"]["key"] == raw["writerKeys"]["green"]["id"]
    assert site.hub.issues == {}
    assert_no_secret(site, job)


def begin_rotation(site: Site) -> None:
    """Until the new key is proved: what is next is to use it."""
    where = ("--stack", "dev", "--cwd", str(site.project.folder))
    begun = site.project.run("-m", "recordings", "rotate", "--no-deploy", *where, check=False)
    assert begun.returncode == 4, begun.stderr
    site.commit()
    site.project.engine("up", "--yes")
    site.project.run("-m", "recordings", "rotate", "--advance", *where)


def test_nights_open_one_issue_for_drift_and_loss(site: Site) -> None:
    """It names both; the next night finds the same, and writes the same issue again."""
    key, s3 = site.recording(), aws("s3", site.sandbox)
    s3.delete_object(Bucket=BUCKET, Key=key)
    s3.delete_bucket_cors(Bucket=BUCKET)
    jobs = [site.night()]
    bodies = [issue["body"] for issue in site.hub.issues.values()]
    jobs.append(site.night(DATABASE_URL=""))
    steps = {"Look after it": 1, "Keep the configuration that a rotation changed": 0, "Open an issue": 0}
    assert [job.ended for job in jobs] == [steps] * 2, jobs[0].said
    for words in ("`recordings reconcile`", "1 to look at", "`pulumi refresh", "BucketCorsConfiguration", key):
        assert words in bodies[0]
    [issue] = site.hub.issues.values()
    assert issue["title"] == "Recordings of dev need a look"
    assert "left out: DATABASE_URL is not set" in issue["body"]
    assert "BucketCorsConfiguration" in issue["body"]
    assert_no_secret(site, *jobs)
