"""What `make bench` says of a process: its own time and memory."""

from __future__ import annotations

import sys

import pytest

from sandbox.bench_process import run


def test_memory_is_the_commands_own_and_not_what_its_parent_has() -> None:
    """Linux counts the most that the parent ever had as the child's."""
    filled = bytearray(200 << 20)
    done = run([sys.executable, "-IS", "-c", "print('done')"])
    assert len(filled) > done.mebibytes * 2**20 * 4
    assert done.said == "done\n"
    assert done.seconds > 0


def test_command_that_fails_is_told_with_its_last_words() -> None:
    """Never a figure of what did not happen."""
    with pytest.raises(SystemExit, match=r"(?s)ended with 3:.*because"):
        run([sys.executable, "-c", "import sys; print('because', file=sys.stderr); sys.exit(3)"])
