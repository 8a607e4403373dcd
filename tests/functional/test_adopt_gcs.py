"""An existing bucket and service accounts on Google, made by its own client, are taken over as they are."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from recordings.policies_gcs import OBJECT_ADMIN
from tests.functional.project import Project

if TYPE_CHECKING:
    from tests.functional.google_lab import Lab

KEY = "recordings/beam/room/20240101/Rec-room-1704067200000.mp4"
BODY = b"an old recording"
LOSSES = ("acl", "cors:1", "lifecycle:1", "soft-delete", "storage-class")
COMMENT = "# where our recordings lie"


@dataclass(frozen=True)
class Old:
    """What was there before: a bucket with a history of its own, and the account that 100ms uploads with."""

    client: Any
    bucket: str
    email: str
    key_id: str

    @property
    def account(self) -> str:
        return self.email.partition("@")[0]


@pytest.fixture
def old(lab: Lab) -> Old:
    client = lab.storage()
    bucket = client.bucket("old-" + secrets.token_hex(6))
    bucket.labels = {"team": "video"}
    bucket.storage_class = "NEARLINE"
    bucket.cors = [{"origin": ["https://old.example"], "method": ["GET", "PUT"], "responseHeader": ["Range"]}]
    bucket.add_lifecycle_delete_rule(age=5, matches_prefix=["tmp/"])
    bucket.soft_delete_policy.retention_duration_seconds = 30 * 86_400
    client.create_bucket(bucket, location="europe-west3")
    bucket.blob(KEY).upload_from_string(BODY)
    email = lab.account()
    lab.grant(bucket.name, (OBJECT_ADMIN.rpartition(".")[2], f"serviceAccount:{email}", None))
    return Old(client, bucket.name, email, lab.hmac(email)[0])


@pytest.fixture
def project(project_at: Callable[..., Project]) -> Project:
    """A stack on Google, undeployed, of its own name; what it takes over is protected and stays."""
    project = project_at("s" + secrets.token_hex(4))
    file_of(project).write_text(f"config:\n  {COMMENT}\n  recordings:provider: gcs\n")
    return project


def file_of(project: Project) -> Path:
    return project.folder / f"Pulumi.{project.stack}.yaml"


def adopt(project: Project, old: Old, *arguments: str, accept: tuple[str, ...] = LOSSES) -> Any:
    """Run `recordings adopt` on the project."""
    accepted = [word for name in accept for word in ("--accept", name)]
    where = ["--stack", project.stack, "--cwd", str(project.folder), "--bucket", old.bucket]
    code = "import sys; from recordings.cli import main; main()"
    return project.run("-c", code, "adopt", *where, *accepted, *arguments, check=False)


def steps(done: subprocess.CompletedProcess[str]) -> set[tuple[str, str]]:
    planned = json.loads(done.stdout)["planned"]
    return {(step["op"], step["resource"].rpartition(" ")[2]) for step in planned}


def test_bucket_and_account_are_taken_over_whole(project: Project, old: Old, lab: Lab) -> None:
    """Nothing is deleted or replaced; recording, key and rights are there; the second preview shows no change.

    Nor does it once `recordings:adopt` is removed.
    """
    unique = lab.operator.get(f"/v1/projects/-/serviceAccounts/{old.email}").json()["uniqueId"]
    made = old.client.get_bucket(old.bucket).time_created
    done = adopt(project, old, "--user", old.email, "--json")
    assert done.returncode == 0, done.stderr
    assert {("import", "recordings-bucket"), ("import", "recordings-writer")} <= steps(done)
    assert {op for op, _ in steps(done)} <= {"import", "create", "update"}
    assert COMMENT in file_of(project).read_text()
    outputs = project.up()
    project.engine("preview", "--expect-no-changes")
    bucket = old.client.get_bucket(old.bucket)
    assert (bucket.time_created, bucket.blob(KEY).download_as_bytes()) == (made, BODY)
    assert bucket.labels["team"] == "video"
    assert bucket.versioning_enabled
    assert bucket.iam_configuration.public_access_prevention == "enforced"
    assert (outputs.bucket_name, outputs.writer_principal) == (old.bucket, old.email)
    assert (outputs.region, outputs.cors_origins) == ("europe-west3", ("https://old.example",))
    assert lab.operator.get(f"/v1/projects/-/serviceAccounts/{old.email}").json()["uniqueId"] == unique
    keys = {key.access_id: key.state for key in old.client.list_hmac_keys(service_account_email=old.email)}
    assert keys == {old.key_id: "ACTIVE", outputs.writer_access_key_id: "ACTIVE"}
    policy = bucket.get_iam_policy(requested_policy_version=3)
    mine = [b for b in policy.bindings if f"serviceAccount:{old.email}" in b["members"]]
    assert {("condition" in b) for b in mine} == {True, False}
    settings = yaml.safe_load(file_of(project).read_text())
    del settings["config"]["recordings:adopt"]
    file_of(project).write_text(yaml.safe_dump(settings))
    project.engine("preview", "--expect-no-changes")
    again = adopt(project, old, accept=())
    assert (again.returncode, "nothing to do" in again.stderr) == (0, True)


def test_losses_stop_unless_each_is_accepted(project: Project, old: Old) -> None:
    """Each is named; the file stays as it was, and the cloud too; what stays is told."""
    before = file_of(project).read_bytes()
    done = adopt(project, old, "--user", old.account, accept=LOSSES[1:])
    assert done.returncode == 1, done.stderr
    assert "stops: the bucket has fine-grained access" in done.stderr
    assert "accepted: CORS rule '1' goes, and with it: PUT" in done.stderr
    assert f"keeps {OBJECT_ADMIN} in the whole bucket" in done.stderr
    assert f"keeps the HMAC keys {old.key_id} (ACTIVE), unmanaged" in done.stderr
    assert file_of(project).read_bytes() == before
    assert old.client.get_bucket(old.bucket).storage_class == "NEARLINE"


def test_what_is_not_there_is_an_error(project: Project, old: Old) -> None:
    """One message that names it: a bucket, an account, an account of another project."""
    missing = Old(old.client, "never-made-" + secrets.token_hex(6), "", "")
    cases: list[tuple[Callable[[], Any], int, str]] = [
        (lambda: adopt(project, missing), 3, missing.bucket),
        (lambda: adopt(project, old, "--user", "nobody-here"), 2, "there is no service account 'nobody-here'"),
        (lambda: adopt(project, old, "--user", "a@b.iam.gserviceaccount.com"), 2, "recordings:writerExternal"),
        (lambda: adopt(project, old, "--user-policy", "p"), 2, "are AWS's"),
    ]
    for run, code, said in cases:
        done = run()
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
        assert "Traceback" not in done.stderr
