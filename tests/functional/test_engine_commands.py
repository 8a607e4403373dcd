"""The engine's commands on the sandbox, as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml

from sandbox.servers import Sandbox
from tests.functional.clients import control

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import pulumi
from pulumi_aws.iam.access_key import AccessKey
from pulumi_aws.iam.user import User
from pulumi_aws.s3.bucket import Bucket
config = pulumi.Config()
bucket = Bucket("bucket", bucket=config.require("bucket"), tags={"env": config.get("env") or "a"})
user = User("user", name=config.require("bucket"), opts=pulumi.ResourceOptions(depends_on=[bucket]))
key = AccessKey("key", user=user.name)
pulumi.export("bucket", bucket.bucket)
pulumi.export("secret", key.secret)
pulumi.export("note", config.get_secret("note"))
"""


@dataclass
class Shell:
    """A project of its own and the commands on it; `name` names its bucket, user and project."""

    folder: Path
    env: dict[str, str]
    name: str
    python: Sequence[str]

    def __post_init__(self) -> None:
        (self.folder / "Pulumi.yaml").write_text(f"name: {self.name}\nruntime: python\n")
        (self.folder / "__main__.py").write_text(PROGRAM)
        self.configure(bucket=self.name)

    def configure(self, **config: str) -> None:
        file = self.folder / "Pulumi.dev.yaml"
        content = yaml.safe_load(file.read_text()) if file.exists() else {"config": {"aws:region": "us-east-1"}}
        content["config"].update({f"{self.name}:{key}": value for key, value in config.items()})
        file.write_text(yaml.safe_dump(content))

    def arguments(self, *command: str) -> list[str]:
        return ["-m", "sandbox", *command, "--cwd", str(self.folder), "--stack", "dev"]

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A process to send signals to: the real one."""
        arguments, pipe = [sys.executable, *self.arguments(*command)], subprocess.PIPE
        return subprocess.Popen(arguments, cwd=ROOT, env=self.env, stdout=pipe, stderr=pipe, text=True)

    def run(self, *command: str, ends: int = 0, given: str | None = None) -> str:
        """Run a command, demand its exit code, and give what it printed; errors come after results."""
        arguments = [*self.python, *self.arguments(*command)]
        done = subprocess.run(
            arguments, cwd=ROOT, env=self.env, input=given, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == ends, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def client(self, service: str) -> Any:
        connect: Any = boto3.client
        return connect(
            service,
            region_name="us-east-1",
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            aws_access_key_id=self.env["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.env["AWS_SECRET_ACCESS_KEY"],
            verify=self.env["AWS_CA_BUNDLE"],
        )


@pytest.fixture
def shell(sandbox: Sandbox, python: Sequence[str], tmp_path: Path) -> Iterator[Shell]:
    env = {**os.environ, **sandbox.env, "PULUMI_BACKEND_URL": (tmp_path / "state").as_uri()}
    shell = Shell(tmp_path, env, f"engine-{tmp_path.name.replace('_', '-')[-20:].strip('-')}", python)
    yield shell
    if (tmp_path / "state" / ".pulumi" / "stacks" / shell.name / "dev.json").exists():
        shell.run("destroy", "--yes", "--skip-preview")


def test_stack_from_nothing_to_nothing(shell: Shell) -> None:
    """Deploy, look, drift, refresh, restore, destroy, remove: output and exit code of each."""
    assert "--yes" in shell.run("up", ends=2)
    done = shell.run("up", "--yes")
    assert "+ 4 to create" in done
    assert "+ 4 created" in done
    outputs = json.loads(shell.run("stack", "output", "--json", "--show-secrets"))
    assert outputs["bucket"] == shell.name
    assert len(outputs["secret"]) >= 20
    shown = shell.run("stack", "output", "--json")
    assert json.loads(shown)["secret"] == "[secret]"
    assert outputs["secret"] not in shown + next((shell.folder / "state").rglob("dev.json")).read_text()

    shell.client("s3").put_bucket_tagging(Bucket=shell.name, Tagging={"TagSet": [{"Key": "env", "Value": "hand"}]})
    shell.run("preview", "--expect-no-changes")
    assert '~ env: "a" => "hand"' in shell.run("refresh", "--preview-only", "--diff")
    shell.run("refresh", "--yes", "--expect-no-changes", ends=7)
    assert '~ env: "hand" => "a"' in shell.run("preview", "--diff", "--expect-no-changes", ends=7)
    assert "~ 1 updated" in shell.run("up", "--yes", "--skip-preview")

    assert "still has resources" in shell.run("stack", "rm", "--yes", ends=1)
    assert "- 4 deleted" in shell.run("destroy", "--yes")
    shell.run("stack", "rm", "--yes", "--preserve-config")
    shell.run("stack", "output", ends=6)


def test_preview_json_is_one_object(shell: Shell) -> None:
    """On stdout alone, with the differences by property path."""
    shell.run("up", "--yes", "--skip-preview")
    shell.configure(env="b")
    digest = json.loads(shell.run("preview", "--json"))
    [step] = [step for step in digest["steps"] if step["op"] == "update"]
    assert step["detailedDiff"] == {"tags.env": {"kind": "update", "inputDiff": True}}
    assert digest["changeSummary"] == {"same": 3, "update": 1}


def test_secret_configuration_is_encrypted_and_comes_back(shell: Shell) -> None:
    """Set on standard input, kept encrypted, shown only when asked for."""
    shell.run("config", "set", "note", "--secret", given="canary-note\n")
    file = (shell.folder / "Pulumi.dev.yaml").read_text()
    assert "canary-note" not in file
    assert "encryptionsalt" in file
    assert shell.run("config", "get", "note").strip() == "canary-note"
    assert "canary-note" not in shell.run("up", "--yes")
    assert json.loads(shell.run("stack", "output", "note", "--json", "--show-secrets")) == "canary-note"
    shown = json.loads(shell.run("config", "--json"))
    assert shown[f"{shell.name}:note"] == {"secret": True}
    assert shown["aws:region"] == {"value": "us-east-1", "secret": False}


def test_import_takes_over_and_protects(shell: Shell) -> None:
    """A bucket made by another client enters the state; the program that declares it changes nothing."""
    shell.client("s3").create_bucket(Bucket=shell.name)
    shell.configure(env="")
    shell.run("import", "aws:s3/bucket:Bucket", "bucket", shell.name, "--yes")
    entry = next(item for item in _resources(shell) if item["type"] == "aws:s3/bucket:Bucket")
    assert entry["protect"] is True
    digest = json.loads(shell.run("preview", "--json"))
    assert not [step for step in digest["steps"] if step["op"] in ("delete", "replace")]
    listing = [*shell.python, "-m", "sandbox", "stack", "ls", "--json", "--cwd", str(shell.folder)]
    listed = subprocess.run(listing, cwd=ROOT, env=shell.env, capture_output=True, text=True, check=True).stdout
    (dev,) = json.loads(listed)
    assert datetime.fromisoformat(dev.pop("lastUpdate")) <= datetime.now(UTC)
    assert dev == {"name": "dev", "current": False, "resourceCount": len(_resources(shell))}
    shell.run("destroy", "--yes", "--skip-preview", ends=1)
    shell.run("state", "unprotect", "--all", "--yes")


def test_update_killed_in_the_middle_leaves_nothing_behind(shell: Shell) -> None:
    """SIGKILL while resources are made; one more run, and the user has one key, the one that the state knows."""
    process = shell.start("up", "--yes", "--skip-preview")
    assert process.stdout is not None
    for line in process.stdout:
        if "AccessKey key creating" in line:
            process.send_signal(signal.SIGKILL)
            break
    process.communicate(timeout=60)
    shell.run("up", "--yes")
    shell.run("refresh", "--yes", "--expect-no-changes")
    keys = shell.client("iam").list_access_keys(UserName=shell.name)["AccessKeyMetadata"]
    known = [item["id"] for item in _resources(shell) if item["type"] == "aws:iam/accessKey:AccessKey"]
    assert [key["AccessKeyId"] for key in keys] == known


def test_interrupt_ends_with_its_own_code(shell: Shell, sandbox: Sandbox) -> None:
    """SIGINT stops the run after what is under way; the state has it and the next run goes on."""
    # or all is made before the signal comes
    control(sandbox, "aws", "POST", "faults", {"match": f"PUT /{shell.name}", "fault": "slow", "delay": 3})
    process = shell.start("up", "--yes", "--skip-preview")
    assert process.stdout is not None
    for line in process.stdout:
        if "Bucket bucket creating" in line:
            process.send_signal(signal.SIGINT)
            break
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 8, errors
    assert "Traceback" not in errors
    raw = json.loads(next((shell.folder / "state").rglob("dev.json")).read_text())
    assert "pending_operations" not in raw["checkpoint"]["latest"]
    shell.run("up", "--yes")
    shell.run("preview", "--expect-no-changes")


def test_refused_before_anything_runs(shell: Shell) -> None:
    """An endpoint elsewhere, a wrong passphrase, a project that is none: exit code 1, no traceback."""
    for change in ({"AWS_ENDPOINT_URL": "https://s3.amazonaws.com"}, {"PULUMI_BACKEND_URL": "s3://bucket"}):
        other = Shell(shell.folder, {**shell.env, **change}, shell.name, shell.python)
        assert "error: " in other.run("up", "--yes", ends=1)
    shell.run("up", "--yes", "--skip-preview")
    other = Shell(shell.folder, {**shell.env, "PULUMI_CONFIG_PASSPHRASE": "other"}, shell.name, shell.python)
    assert "incorrect passphrase" in other.run("preview", ends=1)


def _resources(shell: Shell) -> list[dict[str, Any]]:
    raw = json.loads(next((shell.folder / "state").rglob("dev.json")).read_text())
    resources: list[dict[str, Any]] = raw["checkpoint"]["latest"].get("resources", [])
    return resources
