"""SIGKILL at every step of an update and of a destruction."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("scenario", "at_least"), [("create", 20), ("replace", 25), ("destroy", 20)])
def test_a_run_killed_at_any_step_is_mended_by_the_next(scenario: str, at_least: int, tmp_path: Path) -> None:
    """One more run ends in the declared state: nothing pending, nothing in the cloud that the state does not know."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.unit.engine_kill", scenario, str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert json.loads(done.stdout)["killed"] >= at_least
