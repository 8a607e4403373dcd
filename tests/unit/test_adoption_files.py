"""The stack's file is changed with its comments kept, whole or not at all; a preview is read for what it takes away."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from recordings.adoption.planned import Planned
from recordings.adoption.stack_file import StackFile
from recordings.errors import ConfigurationError, RemoteError
from tests.unit.adoption_facts import PROJECT, stack_file

TEXT = """\
# about the stack
encryptionsalt: v1:abc=:v1:def:ghi==
config:
  aws:region: us-east-1   # near
  # the name
  recordings:bucketName: 'old'
  recordings:expectedAccount: "012345678901"
  recordings:writerExternal:
    secure: v1:xyz
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(TEXT)
    return file


def test_write_keeps_comments_and_everything_else(path: Path) -> None:
    """Only the value that changes changes its line; new ones are added; mode and quotes stay."""
    path.chmod(0o640)
    StackFile.open(path).write(
        {"recordings:bucketName": "new", "recordings:adopt": ["bucket"], "recordings:tags": {"a": "1"}}
    )
    changed = path.read_text()
    kept = [line for line in TEXT.splitlines() if "bucketName" not in line]
    assert [line for line in changed.splitlines() if line in kept] == kept
    config = yaml.safe_load(changed)["config"]
    assert (config["recordings:bucketName"], config["recordings:adopt"]) == ("new", ["bucket"])
    assert config["recordings:tags"] == {"a": "1"}
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in path.parent.iterdir() if entry.name.startswith(".")] == []


def test_restore_gives_back_every_byte(path: Path) -> None:
    """After a write the file is as it was; a file that was not there is gone."""
    file = StackFile.open(path)
    file.write({"recordings:adopt": ["bucket"]})
    file.restore()
    assert path.read_text() == TEXT
    fresh = StackFile.open(path.with_name("Pulumi.new.yaml"))
    fresh.write({"recordings:adopt": ["bucket"]})
    assert yaml.safe_load(fresh.path.read_text()) == {"config": {"recordings:adopt": ["bucket"]}}
    fresh.restore()
    assert not fresh.path.exists()


def test_write_goes_through_a_link(path: Path, tmp_path: Path) -> None:
    """The file that a link points to is changed; the link stays one."""
    real = tmp_path / "elsewhere"
    real.mkdir()
    os.rename(path, real / "stack.yaml")
    path.symlink_to(real / "stack.yaml")
    StackFile.open(path).write({"recordings:protect": True})
    assert path.is_symlink()
    assert "recordings:protect: true" in (real / "stack.yaml").read_text()


def test_values_come_from_the_file_or_the_schema(path: Path) -> None:
    """What the file does not say is the project's default; empty is None."""
    file = StackFile.open(path)
    assert (file.given("pathPrefix"), file.value("pathPrefix")) == (None, "recordings/")
    assert (file.value("kmsKey"), file.value("corsOrigins"), file.at("aws:region")) == (None, ["*"], "us-east-1")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("forceDestroy", "false", False),
        ("retentionDays", "90", 90),
        ("corsOrigins", '["https://a.example"]', ["https://a.example"]),
        ("tags", '{"a":"1"}', {"a": "1"}),
        ("bucketName", "12345", "12345"),
        ("forceDestroy", "perhaps", "perhaps"),
    ],
)
def test_text_is_read_as_the_schema_s_type(tmp_path: Path, name: str, text: str, expected: Any) -> None:
    """`pulumi config set` quotes what it writes; 'false' is not true."""
    assert stack_file(tmp_path, **{name: text}).given(name) == expected


@pytest.mark.parametrize("text", ["config: [", "- a", "config: 3", "config:\n  a: 1\n  a: 2\n", "\x00"])
def test_file_that_is_no_configuration_is_an_error(path: Path, text: str) -> None:
    """It is named, and not touched."""
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"Pulumi\.dev\.yaml"):
        StackFile.open(path)
    assert path.read_text() == text


def test_folder_without_a_project_is_an_error(tmp_path: Path) -> None:
    """Pulumi.yaml is named, and --cwd."""
    with pytest.raises(ConfigurationError, match=r"Pulumi\.yaml.*--cwd"):
        StackFile.open(tmp_path / "Pulumi.dev.yaml")


def test_write_that_fails_leaves_the_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, say: one message, the file as it was, nothing beside it."""

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    file = StackFile.open(path)
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(ConfigurationError, match="No space left"):
        file.write({"recordings:protect": True})
    assert path.read_text() == TEXT
    assert len(list(path.parent.iterdir())) == 2


def test_empty_stack_file_is_one(tmp_path: Path) -> None:
    """An empty configuration is written to like any other."""
    file = stack_file(tmp_path)
    file.write({"recordings:protect": True})
    assert yaml.safe_load(file.path.read_text()) == {"config": {"recordings:protect": True}}


URN = "urn:pulumi:dev::recordings::recordings:index:S3RecordingStorage$aws:s3/bucket:Bucket::recordings-bucket"


def preview(*ops: str, **more: Any) -> str:
    return json.dumps({"steps": [{"op": op, "urn": URN, "diffReasons": ["tags"]} for op in ops], **more})


@pytest.mark.parametrize(
    "op", ["delete", "replace", "create-replacement", "delete-replaced", "import-replacement", "discard", "unheard-of"]
)
def test_whatever_takes_away_is_harmful(op: str) -> None:
    """Deletions, replacements and what is not known are told from imports, creations and updates."""
    planned = Planned.from_json(preview("import", "update", "create", "same", op))
    assert [str(step) for step in planned.harmful()] == [f"{op:<8} aws:s3/bucket:Bucket recordings-bucket (tags)"]


def test_errors_of_a_preview_are_given() -> None:
    """Errors alone, not warnings."""
    diagnostics = [{"severity": "warning", "message": "w"}, {"severity": "error", "message": " e\n"}]
    assert Planned.from_json(preview(diagnostics=diagnostics)).errors == ["e"]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"steps": [{}]}', '{"steps": 3}', "null"])
def test_text_that_is_no_preview_is_an_error(text: str) -> None:
    """One message, which does not quote it."""
    with pytest.raises(RemoteError, match="preview --json"):
        Planned.from_json(text)
