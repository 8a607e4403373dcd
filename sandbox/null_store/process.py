"""Starting the source and the sink, each a process of its own, and ending them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.null_store.api import PREFIX


class NullStore:
    """Both servers while the context lasts: `source` and `sink` are their origins (`http://127.0.0.1:…`).

    With `certificate` (a PEM file of key and chain) they speak TLS alone.
    """

    def __init__(self, certificate: Path | None = None) -> None:
        self._certificate = certificate
        self._processes: list[subprocess.Popen[str]] = []
        self.source = self.sink = ""

    def __enter__(self) -> Self:
        self.source, self.sink = self._start("source"), self._start("sink")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    def object(self, size: int, name: str = "recording.mp4") -> str:
        """The address of an object of that many bytes."""
        return f"{self.source}/{size}/{name}"

    def api_url(self, size: int, count: int, run: str) -> str:
        """The address of a 100ms workspace with that many recordings of that many bytes, whose ids begin with `run`."""
        return f"{self.source}{PREFIX}{size}/{count}/{run}/v2"

    def _start(self, kind: str) -> str:
        command = [sys.executable, "-m", "sandbox.null_store", kind]
        command += [str(self._certificate)] if self._certificate else []
        process = subprocess.Popen(  # noqa: S603
            command, cwd=Path(__file__).resolve().parents[2], stdout=subprocess.PIPE, text=True
        )
        self._processes.append(process)
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        return f"{'https' if self._certificate else 'http'}://127.0.0.1:{port}"
