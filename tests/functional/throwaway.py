"""A test stack in a folder of its own, deployed and registered, on either provider: what is taken down in tests."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from sandbox.servers import Sandbox
from tests.functional.clients import control, hms
from tests.functional.project import ROOT

EXPIRES: Final = "2099-01-31T12:00:00Z"
_PLACES: Final[Mapping[str, Mapping[str, str]]] = {
    "s3": {"aws:region": "us-east-1"},
    "gcs": {"recordings:provider": "gcs", "gcp:region": "europe-west1"},
}


@dataclass(frozen=True)
class Throwaway:
    """Runs commands in the stack's folder, with the sandbox's environment."""

    sandbox: Sandbox
    folder: Path
    provider: str
    name: str = "pr-1"
    env: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def make(cls, sandbox: Sandbox, folder: Path, provider: str, **config: Any) -> Throwaway:
        """Configure and deploy it; `config` are keys of the namespace `recordings`."""
        made = cls(sandbox, folder, provider, name=f"pr-{secrets.token_hex(3)}")
        made.env.update(sandbox.env, PULUMI_BACKEND_URL=(folder / "state").as_uri())
        (folder / "state").mkdir()
        for name in ("Pulumi.yaml", "__main__.py"):
            (folder / name).symlink_to(ROOT / name)
        made.configure(**config)
        made.engine("up", "--yes", "--skip-preview")
        return made

    @property
    def bucket(self) -> str:
        return f"throwaway-{self.name}"

    def configure(self, **config: Any) -> None:
        """Write the stack's file: a test stack, unless `config` says otherwise; None leaves a key out."""
        values = {"bucketName": self.bucket, "forceDestroy": True, "expiresAt": EXPIRES, **config}
        own = {f"recordings:{key}": value for key, value in values.items() if value is not None}
        file = self.folder / f"Pulumi.{self.name}.yaml"
        former = yaml.safe_load(file.read_text()) if file.exists() else {}
        file.write_text(yaml.safe_dump({**former, "config": {**_PLACES[self.provider], **own}}))

    def run(self, *arguments: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run this Python in the folder."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**self.env, **env},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stderr}{done.stdout}"
        return done

    def engine(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the embedded engine on the stack."""
        return self.run("-m", "sandbox", *arguments, "--stack", self.name)

    def teardown(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        return self.run("-m", "scripts.teardown", "--stack", self.name, *arguments, check=check)

    def template(self) -> str:
        """A new template that nobody uses."""
        entry = {"settings": {"region": "eu", "recording": None}}
        return str(control(self.sandbox, "hms", "POST", "seed", {"templates": [entry]})["templates"][0])

    def settings(self, template: str) -> Any:
        with hms(self.sandbox) as client:
            return client.get(f"templates/{template}/settings").json()

    def stacks(self) -> list[str]:
        return [each["name"] for each in json.loads(self.run("-m", "sandbox", "stack", "ls", "--json").stdout)]

    def state(self) -> str:
        """Everything that is kept of the stack, as text."""
        return "".join(path.read_text() for path in (self.folder / "state").rglob(f"{self.name}*.json"))
