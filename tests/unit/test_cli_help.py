"""What `--help` of every command looks like."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from recordings.cli import app
from scripts.docs import ROOT, SCRIPTS


def script_app(name: str) -> Any:
    """The application of a script."""
    return import_module(f"scripts.{name}").app


COMMANDS: dict[str, Any] = vars(get_command(app))["commands"]


SCRIPT_COMMANDS = [
    (script, *inner)
    for script in SCRIPTS
    for inner in [(), *((name,) for name in getattr(get_command(script_app(script)), "commands", ()))]
]


def help_of(*command: str, of: Any = app) -> str:
    return CliRunner(env={"COLUMNS": "120"}).invoke(of, [*command, "--help"]).output


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_an_example_and_names_values_in_capitals(name: str) -> None:
    """Nobody has to guess how to call it, and no option shows the name of a type."""
    shown = help_of(name)
    assert f"Example: recordings {name}" in shown
    assert not re.search(r"<[a-z]", shown)


@pytest.mark.parametrize("command", SCRIPT_COMMANDS, ids=" ".join)
def test_help_of_a_script_is_as_that_of_a_command(command: tuple[str, ...]) -> None:
    """No type and no switch's `<bool>`; a script says how to call it, each of its commands what it does."""
    script, *inner = command
    shown = help_of(*inner, of=script_app(script))
    assert inner or f"python -m scripts.{script} " in shown
    assert not re.search(r"<[a-z]+>", shown)


def test_scripts_that_are_documented_are_those_that_there_are() -> None:
    """Whatever can be run has its line in docs/commands.md."""
    files = {file.stem for file in (ROOT / "scripts").glob("*.py") if "__main__" in file.read_text()}
    assert files == set(SCRIPTS)


def test_help_keeps_backticks_and_shows_all_commands() -> None:
    """What is code in a text stays marked as code."""
    shown = help_of()
    assert "with which `up` takes over" in shown
    assert all(name in shown for name in COMMANDS)
