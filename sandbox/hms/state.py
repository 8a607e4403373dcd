"""What the fake 100ms remembers, in one JSON file, written at once and readable by its owner alone.

Fields whose names start with `_` are the fake's own and never leave it (`public`).
"""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sandbox.hms.http import Json
from sandbox.servers.files import write_json


def new_id() -> str:
    """An id in the form of 100ms: 24 hexadecimal digits, the first eight the time, so that ids sort by age."""
    return f"{int(datetime.now(UTC).timestamp()):08x}{secrets.token_hex(8)}"


def now() -> str:
    """The time as 100ms writes it."""
    return stamp(datetime.now(UTC))


def stamp(moment: datetime) -> str:
    """A time as 100ms writes it (`2023-03-30T06:53:03.670Z`)."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def public(item: Json) -> Json:
    """The item as the API shows it."""
    return {name: value for name, value in item.items() if not name.startswith("_")}


@dataclass
class Options:
    """How the fake behaves; `POST /_sandbox/options` changes it. Times are in seconds.

    `start_delay`: from `starting` to `running`. `asset_delay`: from the stop to the recording asset (15 to 20 minutes
    in real life). `retry_delays`: between tries of a webhook. `webhook`: `{"url", "headers"}`, loopback only.
    """

    start_delay: float = 0.1
    asset_delay: float = 0.5
    retry_delays: list[float] = field(default_factory=lambda: [1.0, 3.0, 10.0])
    webhook: Json | None = None


@dataclass
class State:
    """All there is, by id, oldest first."""

    templates: dict[str, Json] = field(default_factory=dict)
    rooms: dict[str, Json] = field(default_factory=dict)
    recordings: dict[str, Json] = field(default_factory=dict)
    assets: dict[str, Json] = field(default_factory=dict)
    events: dict[str, Json] = field(default_factory=dict)
    replays: dict[str, Json] = field(default_factory=dict)
    options: Options = field(default_factory=Options)
    path: Path | None = None

    @staticmethod
    def load(path: Path) -> State:
        """Read the file, or start empty; later `save` writes it."""
        if not path.exists():
            return State(path=path)
        value: dict[str, Any] = json.loads(path.read_text())
        return State(**{**value, "options": Options(**value["options"])}, path=path)

    def save(self) -> None:
        """Write the file, if there is one."""
        if self.path is not None:
            value = asdict(self)
            del value["path"]
            write_json(self.path, value)
