"""Processes that end with the one that started them, be that by SIGKILL.

`python -m sandbox.demo.tied MODULE ARGUMENTS…` is as `python -m MODULE ARGUMENTS…`, but ends when its standard input
does: its parent holds the other end (`Tie`), writes nothing, and lets go of it however it ends.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

ROOT: Final = Path(__file__).resolve().parents[2]
_GRACE_SECONDS: Final = 5.0


class Tie:
    """Starts modules of the project as processes that are tied to this one, and inherit the descriptors `held`."""

    def __init__(self, held: Sequence[int] = ()) -> None:
        self._input, self._other_end = os.pipe()
        self._held = tuple(held)

    def run(self, *arguments: str, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run to the end, and give what was printed."""
        return subprocess.run(  # noqa: S603
            self._command(arguments), cwd=ROOT, env=env, stdin=self._input, pass_fds=self._held, capture_output=True,
            text=True, check=False,
        )  # fmt: skip

    def start(self, *arguments: str, env: Mapping[str, str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start, and print into `log`."""
        return subprocess.Popen(  # noqa: S603
            self._command(arguments), cwd=ROOT, env=env, stdin=self._input, pass_fds=self._held, stdout=log, stderr=log
        )

    def release(self) -> None:
        """End all that is tied."""
        os.close(self._other_end)
        os.close(self._input)

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [sys.executable, "-m", __name__, *arguments]


def main() -> None:
    """Run the module."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)


def _end_with_input() -> None:
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_SECONDS)
    os._exit(1)  # it is still closing what somebody keeps open


if __name__ == "__main__":
    main()
