"""What identifies one sandbox: its keys, ids and ports. Random, made once, kept for the sandbox's life.

Ports are kept too, because stack outputs hold the endpoint's address and must stay right over a stop and start.
"""

from __future__ import annotations

import json
import secrets
import string
import uuid
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from recordings.errors import RecordingsError
from sandbox.servers.files import write_json

DEFAULT_REGION = "us-east-1"
_ID = string.ascii_lowercase + string.digits
_HEX = "0123456789abcdef"


class SandboxError(RecordingsError):
    """The sandbox could not be started or stopped, or does not run."""

    exit_code = 3


def _text(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def hms_id() -> str:
    """A new id in the form of 100ms (24 hexadecimal digits)."""
    return _text(_HEX, 24)


@dataclass(frozen=True)
class Settings:
    """Keys, ids and ports of one sandbox. The repr holds no secret."""

    region: str = DEFAULT_REGION
    ports: dict[str, int] = field(default_factory=dict)
    aws_access_key_id: str = field(default_factory=lambda: "AKIA" + _text(string.ascii_uppercase + "234567", 16))
    aws_secret_access_key: str = field(repr=False, default_factory=lambda: secrets.token_urlsafe(30))
    hms_access_key: str = field(default_factory=hms_id)
    hms_app_secret: str = field(repr=False, default_factory=lambda: secrets.token_urlsafe(64))
    hms_customer: str = field(default_factory=hms_id)
    hms_app: str = field(default_factory=hms_id)
    hms_template: str = field(default_factory=hms_id)
    hms_hls_template: str = field(default_factory=hms_id)
    hms_room: str = field(default_factory=hms_id)
    hms_own_bucket: str = field(default_factory=lambda: f"100ms-own-{_text(_ID, 10)}")
    hms_own_access_key_id: str = field(default_factory=lambda: "AKIA" + _text(string.ascii_uppercase + "234567", 16))
    hms_own_secret_access_key: str = field(repr=False, default_factory=lambda: secrets.token_urlsafe(30))
    postgres_password: str = field(repr=False, default_factory=lambda: secrets.token_urlsafe(24))
    passphrase: str = field(repr=False, default_factory=lambda: str(uuid.uuid4()))

    def with_port(self, server: str, port: int) -> Settings:
        """The same with another port for one server."""
        return replace(self, ports={**self.ports, server: port})

    def save(self, path: Path) -> None:
        """Write them where only the owner can read them."""
        write_json(path, asdict(self))


def load_settings(path: Path, region: str | None = None) -> Settings:
    """Read a sandbox's settings, or make new ones (not yet saved).

    `region` is that of a new sandbox. Raises SandboxError if the file cannot be read as settings, or if the sandbox
    is there and in another region.
    """
    if not path.exists():
        return Settings(region=region or DEFAULT_REGION)
    try:
        settings = Settings(**json.loads(path.read_text()))
    except (ValueError, TypeError):
        raise SandboxError(f"{path} is damaged: remove the folder {path.parent} and start again") from None
    if region not in (None, settings.region):
        raise SandboxError(
            f"the sandbox in {path.parent} is in {settings.region}, not {region}: leave out the region, or choose "
            "another folder"
        )
    return settings
