"""An existing bucket and user, made by another client, are taken over as they are; former buckets are read from."""

from __future__ import annotations

import hashlib
import json
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest
import yaml
from mypy_boto3_iam import IAMClient
from mypy_boto3_s3 import S3Client

from sandbox.servers import Sandbox
from tests.functional.clients import aws, browser, refused
from tests.functional.project import Project

KEY = "recordings/beam/room/20240101/Rec-room-1704067200000.mp4"
BODY = b"an old recording"
LOSSES = ("cors:1", "lifecycle:tidy", "policy:Keep")


@dataclass(frozen=True)
class Old:
    """What was there before: a bucket with a history of its own, and the user that 100ms uploads with."""

    s3: S3Client
    iam: IAMClient
    bucket: str
    user: str
    key_id: str

    def tags(self) -> dict[str, str]:
        """The bucket's tags."""
        return {tag["Key"]: tag["Value"] for tag in self.s3.get_bucket_tagging(Bucket=self.bucket)["TagSet"]}


def make_old(sandbox: Sandbox) -> Old:
    s3, iam = aws("s3", sandbox), aws("iam", sandbox)
    name = "old-" + secrets.token_hex(6)
    s3.create_bucket(Bucket=name)
    s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": "team", "Value": "video"}]})
    cors: Any = [{"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://old.example"]}]
    s3.put_bucket_cors(Bucket=name, CORSConfiguration={"CORSRules": cors})
    rule: Any = {"ID": "tidy", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 5}}
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": [rule]})
    keep = {"Sid": "Keep", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject"}
    policy = {"Version": "2012-10-17", "Statement": [{**keep, "Resource": f"arn:aws:s3:::{name}/keep/*"}]}
    s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))
    s3.put_object(Bucket=name, Key=KEY, Body=BODY)
    iam.create_user(UserName=name, Path="/teams/", Tags=[{"Key": "who", "Value": "100ms"}])
    allow = {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": f"arn:aws:s3:::{name}/*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName=name, PolicyName="100ms-upload", PolicyDocument=document)
    key_id = iam.create_access_key(UserName=name)["AccessKey"]["AccessKeyId"]
    return Old(s3, iam, name, name, key_id)


@pytest.fixture
def old(sandbox: Sandbox) -> Old:
    return make_old(sandbox)


@pytest.fixture
def project(project_at: Callable[..., Project]) -> Project:
    """A stack of its own name, after which its users are named."""
    return project_at("s" + secrets.token_hex(4), bucketName="not-this-one")


def adopt(project: Project, old: Old, *arguments: str, accept: tuple[str, ...] = LOSSES) -> Any:
    """Run `recordings adopt` on the project."""
    accepted = [word for name in accept for word in ("--accept", name)]
    where = ["--stack", project.stack, "--cwd", str(project.folder), "--bucket", old.bucket]
    code = "import sys; from recordings.cli import main; main()"
    return project.run("-c", code, "adopt", *where, *accepted, *arguments, check=False)


def file_of(project: Project) -> Path:
    return project.folder / f"Pulumi.{project.stack}.yaml"


def text_of(project: Project) -> str:
    return file_of(project).read_text()


def ops(done: subprocess.CompletedProcess[str]) -> set[str]:
    return {step["op"] for step in json.loads(done.stdout)["planned"]}


def test_bucket_and_user_are_taken_over_whole(project: Project, old: Old) -> None:
    """Nothing is deleted or replaced, recording and key are there; the second preview shows no change.

    Nor does it once `recordings:adopt` is removed.
    """
    done = adopt(project, old, "--user", old.user, "--json")
    assert done.returncode == 0, done.stderr
    assert ops(done) == {"import", "create", "update"}
    created = old.s3.list_buckets()["Buckets"]
    outputs = project.up()
    project.engine("preview", "--expect-no-changes")
    assert [bucket for bucket in old.s3.list_buckets()["Buckets"] if bucket in created] == created
    assert old.s3.get_object(Bucket=old.bucket, Key=KEY)["Body"].read() == BODY
    assert (outputs.bucket_name, outputs.writer_principal.rpartition("/")[2]) == (old.bucket, old.user)
    assert old.tags()["team"] == "video"
    keys = {key["AccessKeyId"] for key in old.iam.list_access_keys(UserName=old.user)["AccessKeyMetadata"]}
    assert keys == {old.key_id, outputs.writer_access_key_id}
    assert old.iam.list_user_policies(UserName=old.user)["PolicyNames"] == ["100ms-upload"]
    assert old.s3.get_bucket_versioning(Bucket=old.bucket)["Status"] == "Enabled"
    assert outputs.cors_origins == ("https://old.example",)
    settings = yaml.safe_load(text_of(project))
    del settings["config"]["recordings:adopt"]
    file_of(project).write_text(yaml.safe_dump(settings))
    project.engine("preview", "--expect-no-changes")
    again = adopt(project, old, "--user", old.user, accept=())
    assert (again.returncode, "nothing to do" in again.stderr) == (0, True)


def test_losses_stop_unless_each_is_accepted(project: Project, old: Old) -> None:
    """Each is named; the file stays as it was, and the cloud too."""
    before = text_of(project)
    done = adopt(project, old, accept=LOSSES[:2])
    assert done.returncode == 1
    assert "accepted: CORS rule '1' goes, and with it: PUT" in done.stderr
    assert "stops: statement 'Keep' of the bucket policy goes" in done.stderr
    assert "--accept policy:Keep" in done.stderr
    assert text_of(project) == before
    assert "Keep" in old.s3.get_bucket_policy(Bucket=old.bucket)["Policy"]


def test_dry_run_prints_the_step_and_writes_nothing(project: Project, old: Old) -> None:
    """The very values that a run writes."""
    before = text_of(project)
    dry, wet = (adopt(project, old, *arguments, "--json") for arguments in (("--dry-run",), ()))
    assert text_of(project) != before
    first, second = json.loads(dry.stdout), json.loads(wet.stdout)
    assert (first["steps"], first["configuration"]) == (second["steps"], second["configuration"])
    assert (first["planned"], first["dryRun"]) == ([], True)


STAND_IN = """
import json, sys
urn = "urn:pulumi:s::recordings::recordings:index:S3RecordingStorage$aws:s3/bucket:Bucket::recordings-bucket"
if "preview" in sys.argv:
    assert "recordings:adopt" in open(sys.argv[1]).read()
    print(json.dumps({"steps": [{"op": op, "urn": urn} for op in ("import", "OP")]}))
else:
    print("{}")
"""


@pytest.mark.parametrize("op", ["delete", "replace"])
def test_preview_that_takes_away_is_refused(project: Project, old: Old, tmp_path: Path, op: str) -> None:
    """Whatever the reason, nothing is deleted or replaced: the file is as it was, byte for byte."""
    before = text_of(project)
    engine = tmp_path / "engine.py"
    engine.write_text(STAND_IN.replace("OP", op))
    project.env["PULUMI_COMMAND"] = f"{sys.executable} {engine} {file_of(project)}"
    done = adopt(project, old)
    assert done.returncode == 1, done.stderr
    assert f"would delete or replace; the file was put back:\n  {op} " in done.stderr
    assert "recordings-bucket" in done.stderr
    assert text_of(project) == before


def test_stack_with_another_bucket_is_refused(project: Project, old: Old, tmp_path: Path) -> None:
    """One stack has one bucket; the one that it owns is named."""
    engine = tmp_path / "engine.py"
    engine.write_text("""print('{"bucketName": "its-own"}')""")
    project.env["PULUMI_COMMAND"] = f"{sys.executable} {engine}"
    done = adopt(project, old)
    assert (done.returncode, "owns bucket its-own" in done.stderr) == (1, True)
    assert "recordings:adopt" not in text_of(project)


def test_preview_that_fails_puts_the_file_back(project_at: Callable[..., Project], old: Old) -> None:
    """Settings that do not hold together are the program's to refuse; its words are shown."""
    project = project_at("s" + secrets.token_hex(4), environment="prod", corsOrigins=["*"])
    before = text_of(project)
    done = adopt(project, old)
    assert done.returncode == 2
    assert "must name each origin in production" in done.stderr
    assert "Traceback" not in done.stderr
    assert text_of(project) == before


def test_bucket_that_is_not_there_is_an_error(project: Project, old: Old) -> None:
    """One message that names it; likewise a user."""
    done = adopt(project, Old(old.s3, old.iam, "never-made-" + secrets.token_hex(6), "", ""))
    assert (done.returncode, "never-made-" in done.stderr) == (3, True)
    done = adopt(project, old, "--user", "nobody")
    assert (done.returncode, "there is no IAM user 'nobody'" in done.stderr) == (2, True)


@pytest.fixture(scope="module")
def web(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with browser(sandbox) as client:
        yield client


def test_former_bucket_is_read_and_never_written(
    project_at: Callable[..., Project], sandbox: Sandbox, web: httpx.Client
) -> None:
    """A recording there is signed in its own region and downloads; writer and reader can't write there."""
    region: Literal["eu-west-1"] = "eu-west-1"
    s3 = aws("s3", sandbox, region_name=region)
    former = "former-" + secrets.token_hex(6)
    s3.create_bucket(Bucket=former, CreateBucketConfiguration={"LocationConstraint": region})
    s3.put_object(Bucket=former, Key=KEY, Body=BODY)
    s3.put_object(Bucket=former, Key="private/x", Body=b"not a recording")
    place = {"bucketName": former, "region": region, "pathPrefix": "recordings/"}
    config = {"bucketName": "now-" + secrets.token_hex(6), "forceDestroy": True, "formerBuckets": [place]}
    project = project_at("s" + secrets.token_hex(4), **config)
    outputs = project.up()
    url = project.recordings("sign", f"s3://{former}/{KEY}").stdout.strip()
    assert f"%2F{region}%2Fs3%2F" in url
    answer = web.get(url)
    assert (answer.status_code, hashlib.sha256(answer.content).hexdigest()) == (200, hashlib.sha256(BODY).hexdigest())
    gone = project.recordings("sign", f"s3://{former}/{KEY}.gone", check=False)
    assert (gone.returncode, "NoSuchKey" in gone.stderr) == (3, True)
    assert project.recordings("sign", f"s3://{former}/private/x", check=False).returncode == 2
    for who in ("writer", "reader"):
        key = getattr(outputs, f"{who}_access_key_id"), getattr(outputs, f"{who}_secret_access_key").get_secret_value()
        client = aws("s3", sandbox, key, region_name=region)
        assert refused(lambda c=client: c.put_object(Bucket=former, Key=KEY, Body=b"x"))[0] == 403  # type: ignore[misc]
        assert refused(lambda c=client: c.delete_object(Bucket=former, Key=KEY))[0] == 403  # type: ignore[misc]
        assert refused(lambda c=client: c.get_object(Bucket=former, Key="private/x"))[0] == 403  # type: ignore[misc]
    project.destroy()
    assert s3.get_object(Bucket=former, Key=KEY)["Body"].read() == BODY
