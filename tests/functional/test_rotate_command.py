"""The command lines of `recordings rotate` and `recordings rooms`, and the proofs of keys, on buckets of the sandbox.

`pulumi` is stood in for by a command that prints outputs; the engine itself is in `test_rotate`.
"""

from __future__ import annotations

import copy
import json
import shlex
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from recordings.cli import app
from recordings.errors import CheckFailedError
from recordings.outputs import StackOutputs
from recordings.rotation import Role
from recordings.rotation.proof import probe, prove
from sandbox.servers import Sandbox
from tests.functional.clients import control, hms
from tests.functional.google_stand import GoogleStand
from tests.functional.stand import Stand, entered

AnyStand = Stand | GoogleStand


@pytest.fixture(autouse=True)
def in_sandbox(sandbox: Sandbox) -> Iterator[None]:
    with entered(sandbox):
        yield


@pytest.fixture(scope="module", params=["s3", "gcs"])
def stand(request: pytest.FixtureRequest, sandbox: Sandbox) -> AnyStand:
    with entered(sandbox):
        return Stand.build() if request.param == "s3" else GoogleStand.build(request.getfixturevalue("lab"))


@pytest.fixture
def folder(stand: AnyStand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder whose `pulumi` prints the stand's outputs."""
    (tmp_path / "Pulumi.yaml").write_text("name: recordings\n")
    (tmp_path / "Pulumi.dev.yaml").write_text("config:\n  recordings:bucketName: of-the-test  # kept\n")
    (tmp_path / "outputs.json").write_text(json.dumps(stand.raw))
    code = f"print(open({str(tmp_path / 'outputs.json')!r}).read())"
    monkeypatch.setenv("PULUMI_COMMAND", shlex.join([sys.executable, "-c", code]))
    return tmp_path


def rotate(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(app, ["rotate", "--stack", "dev", "--cwd", str(folder), *options])


def second_key(stand: AnyStand, who: str) -> dict[str, str]:
    """Another active key of the writer or reader."""
    if isinstance(stand, GoogleStand):
        id_, secret = stand.lab.hmac(stand.raw[f"{who}Principal"])
        return {"id": id_, "secret": secret, "status": "active"}
    key = stand.iam.create_access_key(UserName=f"{stand.bucket}-{who}")["AccessKey"]
    return {"id": key["AccessKeyId"], "secret": key["SecretAccessKey"], "status": "active"}


@pytest.mark.parametrize("stand", ["s3"], indirect=True)
def test_dry_run_shows_steps_and_where_it_would_wait(folder: Path) -> None:
    """One object on stdout; the story ends with the wait; nothing is written."""
    before = (folder / "Pulumi.dev.yaml").read_text()
    result = rotate(folder, "--dry-run", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["from"], told["to"], told["dryRun"], len(told["steps"])) == ("blue", "green", True, 6)
    assert "then: wait until URLs that the old key signed have run out, not before 2" in result.stderr
    assert (folder / "Pulumi.dev.yaml").read_text() == before


@pytest.mark.parametrize("stand", ["s3"], indirect=True)
def test_no_deploy_writes_the_file_and_ends_with_4(folder: Path, stand: AnyStand) -> None:
    """Exit code 4 with the time to come back; the comment is still there; a rollback writes it back."""
    result = rotate(folder, "--no-deploy", "--json")
    assert result.exit_code == 4, result.output
    error = json.loads(result.stdout)["error"]
    assert error["type"] == "NotDueError"
    assert error["until"] > "2026"
    text = (folder / "Pulumi.dev.yaml").read_text()
    assert "of-the-test  # kept" in text
    assert yaml.safe_load(text)["config"]["recordings:writerKeys"] == {"blue": "active", "green": "active"}
    assert rotate(folder, "--no-deploy", "--advance").exit_code == 4
    back = rotate(folder, "--no-deploy", "--rollback", "--json")
    assert back.exit_code == 0, back.output
    assert json.loads(back.stdout)["finished"]
    assert yaml.safe_load((folder / "Pulumi.dev.yaml").read_text())["config"]["recordings:writerKeys"] == {
        "blue": "active"
    }
    for secret in (stand.raw["writerSecretAccessKey"], stand.raw["readerSecretAccessKey"]):
        assert secret not in result.output + back.output


@pytest.mark.parametrize("stand", ["s3"], indirect=True)
@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--advance", "--rollback"], 2, "give one of them"),
        (["--overlap", "soon"], 2, "'soon' is no duration"),
        (["--advance"], 4, "no rotation of the writer's key is under way"),
        (["--rollback"], 0, "nothing to turn back"),
        (["--cwd", "/nonexistent"], 2, "Pulumi.yaml"),
    ],
)
def test_command_line(folder: Path, options: list[str], code: int, said: str) -> None:
    """Every refusal names the next act, with its exit code and no traceback."""
    result = rotate(folder, *options)
    assert (result.exit_code, said in result.stderr) == (code, True), result.output


@pytest.mark.parametrize(("stand", "role"), [("s3", Role.WRITER), ("gcs", Role.READER)], indirect=["stand"])
def test_proofs_of_keys(stand: AnyStand, role: Role) -> None:
    """A new key passes; with the old one asleep the probe passes; with the old one awake it does not."""
    raw = copy.deepcopy(stand.raw)
    raw[f"{role}Keys"]["green"] = second_key(stand, role)
    outputs = StackOutputs.from_mapping(raw)
    told: list[Any] = []
    prove(outputs, role, "green", told.append, lambda _: None)
    assert len(told) > 15
    with pytest.raises(CheckFailedError, match="old-key: the key that was made inactive is still taken"):
        probe(outputs, role, "blue", "green", told.append, lambda _: None, timedelta(0))
    stand.deactivate(role)
    try:
        probe(outputs, role, "blue", "green", told.append, lambda _: None)
        with pytest.raises(CheckFailedError, match="did not pass"):
            probe(outputs, role, "green", "blue", told.append, lambda _: None, timedelta(0))
    finally:
        reactivate(stand, role)
    assert [key for key in stand.contents() if not key.startswith(".recordings/")] == []


def reactivate(stand: AnyStand, who: str) -> None:
    if isinstance(stand, GoogleStand):
        stand._set_key(who, "ACTIVE")
    else:
        id_ = stand.raw[f"{who}AccessKeyId"]
        stand.iam.update_access_key(UserName=f"{stand.bucket}-{who}", AccessKeyId=id_, Status="Active")


def test_rooms_are_listed_and_brought_up_to_date(sandbox: Sandbox, stand: AnyStand) -> None:
    """Listed with bucket, prefix and state; updated; recorded into the right place by then; nothing else changed."""
    old = {
        "type": {"s3": "s3", "gcs": "gs"}[stand.raw["storageProvider"]],
        "location": stand.bucket,
        "prefix": "recordings/own",
        "options": {"region": stand.raw["region"]},
        "credentials": {"key": "AKIAOLDKEY", "secret": "secret-of-the-old-key"},
    }
    fields = {"recording_info": {"enabled": True, "upload_info": old}, "description": "kept", "enabled": False}
    room = control(sandbox, "hms", "POST", "seed", {"rooms": [fields]})["rooms"][0]
    with hms(sandbox) as api:
        before = api.get(f"rooms/{room}").json()
        assert "credentials" not in before["recording_info"]["upload_info"]
        listed = stand.recordings("rooms", "--json")
        state = next(each for each in json.loads(listed.stdout)["rooms"] if each["id"] == room)
        assert (state["state"], state["key"], state["enabled"]) == ("key not shown", None, False)
        assert state["storage"] == f"{old['type']}://{stand.bucket}/recordings/own"
        assert f"{room}  " in stand.recordings("rooms").stdout
        dry = stand.recordings("rooms", "--update", "--room", room, "--dry-run", "--json")
        assert api.get(f"rooms/{room}").json() == before
        done = stand.recordings("rooms", "--update", "--room", room, "--json")
        assert json.loads(dry.stdout)["steps"] == json.loads(done.stdout)["steps"]
        assert json.loads(done.stdout)["rooms"] == {room: "brought up to date"}
        shown = api.post(f"rooms/{room}", json={}).json()["recording_info"]["upload_info"]
        assert shown["credentials"]["key"] == stand.raw["writerAccessKeyId"]
        after = api.get(f"rooms/{room}").json()
        assert {**after, "updated_at": before["updated_at"]} == before
    assert stand.raw["writerSecretAccessKey"] not in done.output + dry.output + listed.output
    assert stand.recordings("rooms", "--room", room).exit_code == 2
    missing = stand.recordings("rooms", "--update", "--room", "0" * 24)
    assert missing.exit_code == 1
    assert "is not known to 100ms" in missing.stderr
