"""docs/troubleshooting.md names only commands, checks and error codes that there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from recordings.cli import app

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "recordings").rglob("*.py"))


@pytest.mark.parametrize("called", sorted(set(re.findall(r"`(recordings [a-z-]+[^`]*)`", TEXT))))
def test_command_and_its_options_exist(called: str) -> None:
    """As `recordings --help` knows them."""
    group: Any = get_command(app)
    _, name, *words = called.split()
    command = group.commands[name]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("code", sorted(set(re.findall(r"^\| \d{3} `([a-z0-9-]+)`", TEXT, re.MULTILINE))))
def test_error_code_is_one_that_the_server_gives(code: str) -> None:
    """Letter by letter."""
    assert f'"{code}"' in SOURCE


@pytest.mark.parametrize("check", ["writer-multipart", "region", "range", "cors", "HMS_WEBHOOK_HEADER"])
def test_name_of_a_check_or_variable_is_known(check: str) -> None:
    """What a reader would look for in the output."""
    assert check in TEXT
    assert check in SOURCE


def test_configuration_keys_exist() -> None:
    """In the schema."""
    schema = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    named = set(re.findall(r"recordings:(\w+)", TEXT)) | {
        "formerBuckets",
        "readerKeys",
        "retentionDays",
        "writerExternal",
    }
    assert named - {key.removeprefix("recordings:") for key in schema} == set()
