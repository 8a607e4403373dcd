"""What a command imports before it does anything: each is waited for at every start."""

from __future__ import annotations

import subprocess
import sys

import pytest

SHARED = {"checks", "frame", "help", "place", "source", "tables", "text"}


def imported(command: str) -> set[str]:
    """The modules that are there when `recordings COMMAND` reads its options."""
    code = f"import sys; from recordings.cli import Commands; Commands()[{command!r}]; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(("command", "others"), [("sign", set()), ("list", set()), ("worker", {"backfill"})])
def test_command_waits_for_no_other_command(command: str, others: set[str]) -> None:
    """Only what it shares with them on purpose is imported."""
    modules = {name.split(".")[2] for name in imported(command) if name.startswith("recordings.cli.")}
    assert modules <= SHARED | {command} | others
