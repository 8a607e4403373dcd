"""Running a command for `make bench`: how long it took, and how much memory it had.

Linux gives a process the most memory that its parent ever had as its own (`getrusage`), and the parent may be large. So
a small Python stands between: it starts the command, and has little to give.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_BETWEEN: Final = """
import json, os, sys, time
begun = time.monotonic()
process = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, used = os.wait4(process, 0)
seconds = time.monotonic() - begun
with open(sys.argv[1], "w") as told:
    json.dump([os.waitstatus_to_exitcode(status), seconds, used.ru_maxrss], told)
"""
_UNITS: Final = 2**20 if sys.platform == "darwin" else 2**10
"""What `ru_maxrss` counts, in parts of a MiB."""


@dataclass(frozen=True)
class Done:
    """A command that ended well: seconds, the most memory that it had in MiB, and its standard output."""

    seconds: float
    mebibytes: float
    said: str


def run(command: Sequence[str], env: Mapping[str, str] | None = None, *, stdin: str = "") -> Done:
    """Run a command to its end in the root of the project, with `env` beside this environment.

    Raises SystemExit with its last words if it fails.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        told = Path(name) / "told"
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-IS", "-c", _BETWEEN, str(told), *command],
            cwd=ROOT,
            # who has compiled a module once does not wait for it again; some environments forbid to keep that
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
        )
        code, seconds, most = json.loads(told.read_text()) if told.exists() else (done.returncode, 0.0, 0)
    if code:
        sys.exit(f"`{' '.join(command)}` ended with {code}:\n{(done.stderr or done.stdout)[-2000:]}")
    return Done(seconds, most / _UNITS, done.stdout)


def child(module: str, *arguments: str) -> list[str]:
    """The command that runs a module of ours."""
    return [sys.executable, "-m", module, *arguments]
