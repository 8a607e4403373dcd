"""What a supervisor and a server say to each other. Kept apart from `child`, so that who only starts servers loads no
HTTP server.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sandbox.servers.files import Layout
from sandbox.servers.settings import Settings

READY: Final = b"ready\n"


@dataclass(frozen=True)
class Order:
    """What a server has to know. It goes over the socket pair, for secrets are no arguments or environment."""

    server: str
    directory: Path
    listener: int
    settings: Settings

    @property
    def layout(self) -> Layout:
        """The sandbox's paths."""
        return Layout(self.directory)

    def url(self, server: str) -> str:
        """The address of one of the sandbox's servers."""
        return f"https://127.0.0.1:{self.settings.ports[server]}"

    def encode(self) -> bytes:
        """One line."""
        return json.dumps({**asdict(self), "directory": str(self.directory)}).encode() + b"\n"

    @staticmethod
    def decode(line: bytes) -> Order:
        """The reverse of `encode`."""
        value = json.loads(line)
        return Order(value["server"], Path(value["directory"]), value["listener"], Settings(**value["settings"]))
