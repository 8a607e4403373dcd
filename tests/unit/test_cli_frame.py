"""What every command shares: which program tells the stack's outputs."""

from __future__ import annotations

import shlex
import sys

import pytest

from recordings.cli.frame import load_outputs, pulumi
from recordings.errors import ConfigurationError, UsageError


@pytest.mark.parametrize("text", ['"x', "x 'y", "trailing\\"])
def test_command_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """The variable, and no traceback."""
    monkeypatch.setenv("PULUMI_COMMAND", text)
    with pytest.raises(UsageError, match="PULUMI_COMMAND"):
        load_outputs("dev", None)


@pytest.mark.parametrize("text", ["", "  "])
def test_empty_command_means_pulumi(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """As an unset one: CI systems set what they do not know to nothing."""
    monkeypatch.setenv("PULUMI_COMMAND", text)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UsageError, match="'pulumi' cannot be run"):
        load_outputs("dev", None)


def test_command_may_be_several_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Quoted as in a shell; ours come after."""
    monkeypatch.setenv("PULUMI_COMMAND", f"'{sys.executable}' -c 'import sys; print(sys.argv[1:])'")
    assert pulumi("stack", "output").stdout == "['stack', 'output']\n"


@pytest.mark.parametrize("said", ["'\\377\\376{}'", "'[%.0s' $(seq 100000)"])
def test_answer_of_a_command_that_is_no_json_is_told(monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    """Also where it is not even text, or nested without an end."""
    monkeypatch.setenv("PULUMI_COMMAND", shlex.join(["/bin/sh", "-c", f"printf {said}"]))
    with pytest.raises(ConfigurationError, match="not JSON"):
        load_outputs("dev", None)
