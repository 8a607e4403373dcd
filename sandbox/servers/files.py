"""Where a sandbox keeps what, and writing it so that nobody else can read it and no reader sees half of it."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Layout:
    """The paths inside one sandbox's folder."""

    root: Path

    @property
    def settings(self) -> Path:
        """Keys, ports and ids; made once, kept over stop and start."""
        return self.root / "sandbox.json"

    @property
    def run(self) -> Path:
        """What runs now; gone after a stop."""
        return self.root / "run.json"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as it lives."""
        return self.root / "supervisor.lock"

    @property
    def authority(self) -> Path:
        """The certificate bundle that clients trust: the sandbox's own authority and no other."""
        return self.root / "tls" / "ca.pem"

    @property
    def server_certificate(self) -> Path:
        """Private key and certificate chain of the servers."""
        return self.root / "tls" / "server.pem"

    @property
    def state(self) -> Path:
        """The embedded engine's state (`PULUMI_BACKEND_URL`)."""
        return self.root / "state"

    def data(self, server: str) -> Path:
        """The folder that one server may fill."""
        return self.root / "data" / server

    def log(self, server: str) -> Path:
        """What one server printed since its last start."""
        return self.root / "logs" / f"{server}.log"


def make_private(folder: Path) -> Path:
    """Make a folder, and what is missing above it, that only its owner can enter. What is there is left alone."""
    if not folder.is_dir():
        make_private(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def write_private(path: Path, content: bytes) -> None:
    """Put `content` into `path` at once, readable by its owner alone."""
    make_private(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def write_json(path: Path, value: Any) -> None:
    """Put `value` into `path` as JSON, at once, readable by its owner alone."""
    write_private(path, json.dumps(value, indent=1).encode() + b"\n")
