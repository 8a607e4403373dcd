"""A stack on Google Cloud Storage, deployed in the sandbox by the embedded engine as its users would."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from recordings.outputs import StackOutputs, StorageProvider
from tests.functional.project import GcsProject

if TYPE_CHECKING:
    from tests.functional.google_lab import Lab


@pytest.fixture
def gcs_project(project_at: Callable[..., GcsProject]) -> Iterator[GcsProject]:
    """The shipped stack, undeployed; destroyed afterwards."""
    project = project_at("dev-gcs", kind=GcsProject)
    yield project
    if project.exists:
        project.destroy()


Left = Callable[[], list[str]]


@pytest.fixture
def left(lab: Lab) -> Left:
    """What this stack has in the cloud, asked of the cloud."""

    def ask() -> list[str]:
        buckets = lab.operator.get("/storage/v1/b", params={"project": lab.project}).json()["items"]
        accounts = lab.operator.get(f"/v1/projects/{lab.project}/serviceAccounts").json()["accounts"]
        keys = lab.operator.get(f"/storage/v1/projects/{lab.project}/hmacKeys").json()["items"]
        names = [*(b["name"] for b in buckets), *(a["email"] for a in accounts)]
        names += [f"key of {key['serviceAccountEmail']}" for key in keys]
        return [name for name in names if "dev-gcs" in name]

    return ask


def put(lab: Lab, outputs: StackOutputs, key: str) -> int:
    """Upload as the writer."""
    client = lab.s3((outputs.writer_access_key_id, outputs.writer_secret_access_key.get_secret_value()))
    answer = client.put_object(Bucket=outputs.bucket_name, Key=key, Body=b"x")
    return int(answer["ResponseMetadata"]["HTTPStatusCode"])


def test_shipped_stack_comes_works_and_goes(gcs_project: GcsProject, lab: Lab, left: Left) -> None:
    """Previewed whole, deployed, at rest, drift told, and with its objects gone without a trace."""
    gcs_project.configure(expectedAccount=lab.project, expectedRegions=["EUROPE-WEST1"])
    preview = gcs_project.preview()
    assert preview["changeSummary"] == {"create": 9}
    members = [step for step in preview["steps"] if "BucketIAMMember" in step["urn"]]
    shown = {step["newState"]["inputs"]["member"].partition("@")[0] for step in members}
    assert shown == {"serviceAccount:hms-rec-dev-gcs", "serviceAccount:hms-rec-reader-dev-gcs"}
    outputs = gcs_project.up()
    assert outputs.storage_provider is StorageProvider.GCS
    assert len(left()) == 5
    gcs_project.engine("preview", "--expect-no-changes")
    gcs_project.engine("refresh", "--yes", "--expect-no-changes")
    assert put(lab, outputs, f"{outputs.path_prefix}a") == 200
    lab.operator.patch(f"/storage/v1/b/{outputs.bucket_name}", json={"versioning": {"enabled": False}})
    gcs_project.engine("refresh", "--yes")
    drifted = next(step for step in gcs_project.preview()["steps"] if step["op"] == "update")
    assert drifted["diffReasons"] == ["versioning"]
    gcs_project.destroy()
    assert left() == []


def test_keys_rotate_by_slots(gcs_project: GcsProject, lab: Lab, left: Left) -> None:
    """A second slot is registered, then the first goes, active as it is; a JSON key is there if asked for."""
    blue = gcs_project.up()
    gcs_project.configure(writerKeys={"blue": "active", "green": "active"}, registeredKey="green")
    green = gcs_project.up()
    assert blue.writer_access_key_id != green.writer_access_key_id
    assert (put(lab, blue, "recordings/b"), put(lab, green, "recordings/g")) == (200, 200)
    gcs_project.configure(writerKeys={"green": "active"}, registeredKey="green", serviceAccountKey=True)
    last = gcs_project.up()
    assert last.writer_access_key_id == green.writer_access_key_id
    assert put(lab, last, "recordings/g2") == 200
    with pytest.raises(ClientError, match="InvalidSecurity"):
        put(lab, blue, "recordings/b2")
    assert sum(name.startswith("key of hms-rec-dev") for name in left()) == 1
    assert last.service_account_key is not None
    assert lab.credentials(json.loads(last.service_account_key.get_secret_value())).token


def test_forbidden_keys_are_explained(gcs_project: GcsProject, lab: Lab) -> None:
    """An organisation that forbids keys: the deployment says whom to ask, and an account of theirs works instead."""
    lab.switch(constraints=["constraints/iam.disableServiceAccountKeyCreation"])
    try:
        failed = gcs_project.engine("up", "--yes", check=False)
    finally:
        lab.switch(constraints=[])
    assert failed.returncode != 0
    for words in ("constraints/iam.disableServiceAccountKeyCreation", "writerExternal", "exception"):
        assert words in failed.stdout + failed.stderr
    email = lab.account()
    access_id, secret = lab.hmac(email)
    theirs = json.dumps({"principal": email, "accessKeyId": access_id, "secretAccessKey": secret})
    place = ("--cwd", str(gcs_project.folder), "--stack", gcs_project.stack)
    gcs_project.run("-m", "sandbox", "config", "set", "recordings:writerExternal", "--secret", *place, input=theirs)
    outputs = gcs_project.up()
    assert outputs.writer_principal == email
    assert put(lab, outputs, "recordings/theirs") == 200


def test_wrong_project_changes_nothing(gcs_project: GcsProject, left: Left) -> None:
    """The guard stops before the first resource."""
    gcs_project.configure(expectedAccount="another-project")
    failed = gcs_project.engine("up", "--yes", check=False)
    assert failed.returncode != 0
    assert "recordings:expectedAccount is 'another-project'" in failed.stdout + failed.stderr
    assert left() == []
