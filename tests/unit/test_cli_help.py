"""What `--help` of every command looks like."""

from __future__ import annotations

import re
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from recordings.cli import app

COMMANDS: dict[str, Any] = vars(get_command(app))["commands"]


def help_of(*command: str) -> str:
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, [*command, "--help"]).output


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_an_example_and_names_values_in_capitals(name: str) -> None:
    """Nobody has to guess how to call it, and no option shows the name of a type."""
    shown = help_of(name)
    assert f"Example: recordings {name}" in shown
    assert not re.search(r"<[a-z]", shown)


def test_help_keeps_backticks_and_shows_all_commands() -> None:
    """What is code in a text stays marked as code."""
    shown = help_of()
    assert "with which `up` takes over" in shown
    assert all(name in shown for name in COMMANDS)
