"""`recordings verify` as a user runs it: lines, JSON, exit codes, templates."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.servers import Sandbox
from tests.functional.clients import control, hms
from tests.functional.project import ROOT, Project
from tests.functional.stand import Stand, entered


@pytest.fixture(autouse=True)
def in_sandbox(sandbox: Sandbox) -> Iterator[None]:
    with entered(sandbox):
        yield


def register(sandbox: Sandbox, stand: Stand, **changes: Any) -> str:
    """A new template that uploads as the stand says, apart from `changes`; its id."""
    upload = {
        "type": "s3",
        "location": stand.bucket,
        "prefix": "recordings",
        "options": {"region": "us-east-1"},
        "credentials": {"key": stand.raw["writerAccessKeyId"], "secretKey": stand.raw["writerSecretAccessKey"]},
    }
    settings = {"recording": {"upload": upload | changes}}
    return str(control(sandbox, "hms", "POST", "seed", {"templates": [{"settings": settings}]})["templates"][0])


def test_deployed_stack_passes(deployed_project: Project) -> None:
    """What the component declares and the sandbox enforces is what verify expects; stdout is one line a check."""
    done = deployed_project.recordings("verify")
    *lines, summary = done.stdout.splitlines()
    assert all(line.startswith("passed ") for line in lines), done.stdout
    assert summary == f"{len(lines)} passed, 0 failed, 0 not run"


def test_json_names_every_check_and_no_secret(sandbox: Sandbox) -> None:
    """One object on stdout; neither stream holds a key's secret or a presigned URL."""
    stand = Stand.build()
    template = register(sandbox, stand)
    result = stand.recordings("verify", "--json", "--template", template)
    said = json.loads(result.stdout)
    assert result.exit_code == 0
    assert said["passed"] is True
    assert {check["status"] for check in said["checks"]} == {"passed"}
    assert said["checks"][0].keys() == {"id", "title", "status", "detail", "fix", "seconds"}
    assert [check["id"] for check in said["checks"]][-2:] == [f"template {template}", "cleanup"]
    for secret in (stand.raw["writerSecretAccessKey"], stand.raw["readerSecretAccessKey"], "X-Amz-Signature"):
        assert secret not in result.output


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"location": "another-bucket"}, "recording.upload.location"),
        ({"prefix": "another"}, "recording.upload.prefix"),
        ({"options": {"region": "ap-south-1"}}, "recording.upload.options.region"),
        ({"credentials": {"key": "AKIAOLD", "secretKey": "x"}}, "recording.upload.credentials.key"),
    ],
)
def test_template_with_other_storage_fails(sandbox: Sandbox, changes: dict[str, Any], named: str) -> None:
    """Bucket, prefix, region, key: each is compared; the exit code is 1 and the fix says what to run."""
    stand = Stand.build()
    template = register(sandbox, stand, **changes)
    result = stand.recordings("verify", "--template", template, "--wait", "0s")
    assert result.exit_code == 1
    failed = [line for line in result.stdout.splitlines() if line.startswith("failed")]
    assert len(failed) == 1
    assert named in failed[0]
    assert "fix: template uses other storage: run `recordings register`" in result.stdout
    assert f"failed: template {template}" in result.stderr


def test_template_without_100ms_credentials_is_not_run(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Storage is proved all the same, and the reason is named; a template asked for by name is an error instead."""
    for name in ("HMS_ACCESS_KEY", "HMS_APP_SECRET", "HMS_MANAGEMENT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    stand = Stand.build().declared(templateIds=["whatever"])
    result = stand.recordings("verify")
    assert result.exit_code == 0
    assert "not run" in result.stdout
    assert "fix: set HMS_ACCESS_KEY and HMS_APP_SECRET" in result.stdout
    asked = stand.recordings("verify", "--template", "whatever")
    assert asked.exit_code == 2
    assert "HMS_ACCESS_KEY" in asked.stderr


def test_unknown_template_fails_with_its_id(sandbox: Sandbox) -> None:
    """A template that 100ms does not know is a failed check, not the end of the run."""
    result = Stand.build().recordings("verify", "--template", "65f000000000000000000000", "--wait", "0s")
    assert result.exit_code == 1
    assert "recordings:templateIds" in result.stdout
    assert "cleanup" in result.stdout


def test_slot_that_is_not_registered_proves_its_key_alone(sandbox: Sandbox) -> None:
    """`--key green` uses green's key; whether the template has it is not asked, for it cannot have it yet."""
    stand = Stand.build()
    template = register(sandbox, stand)
    key = stand.iam.create_access_key(UserName=f"{stand.bucket}-writer")["AccessKey"]
    green = {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"], "status": "active"}
    two = stand.declared(writerKeys={**stand.raw["writerKeys"], "green": green})
    result = two.recordings("verify", "--key", "green", "--template", template, "--json")
    checks = {check["id"]: check["status"] for check in json.loads(result.stdout)["checks"]}
    assert checks.pop(f"template {template}") == "not run"
    assert set(checks.values()) == {"passed"}
    stand.iam.delete_access_key(UserName=f"{stand.bucket}-writer", AccessKeyId=green["id"])
    assert two.recordings("verify", "--key", "green", "--wait", "0s").exit_code == 1


def test_unknown_slot_is_bad_usage() -> None:
    """The legal slots are named; nothing is written."""
    stand = Stand.build()
    result = stand.recordings("verify", "--key", "red")
    assert result.exit_code == 2
    assert "['blue']" in result.stderr
    assert stand.contents() == []


def test_dry_run_lists_the_checks_and_writes_nothing() -> None:
    """The same table, not run."""
    stand = Stand.build()
    stand.s3.delete_bucket(Bucket=stand.bucket)
    result = stand.recordings("verify", "--dry-run", "--json")
    assert result.exit_code == 0
    assert "writer-multipart" in [check["id"] for check in json.loads(result.stdout)["checks"]]


def test_wrong_account_stops_before_anything_is_written() -> None:
    """Exit 2, one message, an untouched bucket."""
    stand = Stand.build()
    result = stand.declared(expectedAccount="999999999999").recordings("verify")
    assert result.exit_code == 2
    assert "expectedAccount" in result.stderr
    assert stand.contents() == []
    assert not stand.s3.list_object_versions(Bucket=stand.bucket).get("Versions")


def test_new_key_is_waited_for(sandbox: Sandbox) -> None:
    """A key that becomes active while verify waits passes; the story says what it waits for."""
    stand = Stand.build()
    stand.deactivate("writer")
    command = [sys.executable, "-m", "recordings", "verify", "--wait", "60s", "--outputs", "-"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as run:
        assert run.stdin is not None
        assert run.stderr is not None
        run.stdin.write(json.dumps(stand.raw))
        run.stdin.close()
        waits = any("not usable yet" in line for line in run.stderr)
        stand.activate("writer")
        run.stdin = None  # it is closed, which `communicate` does not look at
        printed, told = run.communicate(timeout=120)
    assert (waits, run.returncode) == (True, 0), printed + told


def test_fake_100ms_is_not_changed_by_verify(sandbox: Sandbox) -> None:
    """Templates are read, never written."""
    stand = Stand.build()
    template = register(sandbox, stand)
    with hms(sandbox) as client:
        before = client.get(f"/templates/{template}/settings").json()
        stand.recordings("verify", "--template", template)
        assert client.get(f"/templates/{template}/settings").json() == before
