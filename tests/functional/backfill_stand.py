"""A bucket of ours, and recordings in 100ms' own storage that are to be moved into it."""

from __future__ import annotations

import json
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from mypy_boto3_s3 import S3Client
from typer.testing import CliRunner, Result

from recordings.cli import app
from recordings.outputs import KeySlot, StackOutputs
from recordings.stores import Identity, Store, open_store
from sandbox.hms.app import own_storage
from sandbox.servers import Sandbox
from sandbox.servers.settings import load_settings
from tests.functional.clients import aws, browser, control


@dataclass(frozen=True)
class Kept:
    """A recording in 100ms' own storage, and where it belongs in ours."""

    asset_id: str
    body: bytes = field(repr=False)
    key: str


@dataclass
class BackfillStand:
    """`outputs` of our bucket; recordings are of a room of this stand's own, so that others' are left alone."""

    sandbox: Sandbox
    outputs: StackOutputs
    database_url: str
    room: str = field(default_factory=lambda: secrets.token_hex(12))

    def __post_init__(self) -> None:
        settings = load_settings(Path(self.sandbox.dir) / "sandbox.json")
        self.own = own_storage(settings)
        self._theirs: S3Client = aws("s3", self.sandbox, (self.own.key, self.own.secret))
        self._theirs.create_bucket(Bucket=self.own.location)

    @property
    def store(self) -> Store:
        """Our bucket as the operator; inside `entered`."""
        return open_store(self.outputs, Identity.OPERATOR)

    @property
    def raw(self) -> str:
        """The outputs as a stack spells them."""
        given = self.outputs.model_dump(by_alias=True, mode="json", exclude_none=True)
        for name in ("writer", "reader"):
            given[f"{name}SecretAccessKey"] = getattr(self.outputs, f"{name}_secret_access_key").get_secret_value()
            keys: dict[str, KeySlot] = getattr(self.outputs, f"{name}_keys")
            given[f"{name}Keys"] = {slot: _revealed(key) for slot, key in keys.items()}
        return json.dumps(given)

    def keep(self, *lengths: int) -> list[Kept]:
        """Make recordings of these lengths at 100ms."""
        kept, assets = [], []
        for number, length in enumerate(lengths):
            rest = f"beam/{self.room}/20260801/Rec-{self.room}-17855424001{number:02}.mp4"
            key, body = f"{self.own.prefix}/{rest}", secrets.token_bytes(length)
            self._theirs.put_object(Bucket=self.own.location, Key=key, Body=body)
            where = {"_storage": asdict(self.own), "_key": key, "path": f"s3://{self.own.location}/{key}"}
            assets.append({"room_id": self.room, "size": length, **where})
            kept.append((body, f"{self.outputs.path_prefix}{rest}"))
        ids = control(self.sandbox, "hms", "POST", "seed", {"assets": assets})["assets"]
        return [Kept(id_, body, key) for id_, (body, key) in zip(ids, kept, strict=True)]

    def run(self, *arguments: str) -> Result:
        """`recordings backfill` for the room, in this process; inside `entered`."""
        command = ["backfill", "--room", self.room, "--outputs", "-", *arguments]
        return CliRunner(env={"DATABASE_URL": self.database_url}).invoke(app, command, input=self.raw)

    def said(self, *arguments: str) -> dict[str, Any]:
        """What a run that must end well says with --json."""
        result = self.run("--json", *arguments)
        assert result.exit_code == 0, result.output
        parsed: dict[str, Any] = json.loads(result.stdout)
        return parsed

    def faults(self, server: Literal["aws", "google"], *rules: dict[str, Any]) -> None:
        """Make a server fail; without rules, no more."""
        name = "AWS_ENDPOINT_URL" if server == "aws" else "STORAGE_EMULATOR_HOST"
        with browser(self.sandbox) as client:
            url = f"{self.sandbox.env[name]}/_sandbox/faults"
            client.request("POST" if rules else "DELETE", url, json=list(rules)).raise_for_status()

    def whole(self, kept: Kept) -> bool:
        """Whether it is in our bucket once, and its bytes are 100ms'."""
        versions = [version for version in self.store.list_versions(kept.key) if version.key == kept.key]
        return len(versions) == 1 and self.store.read(kept.key)[0] == kept.body


def _revealed(slot: KeySlot) -> dict[str, str]:
    return {"id": slot.id, "secret": slot.secret.get_secret_value(), "status": slot.status.value}
