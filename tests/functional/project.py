"""A project folder of a test's own: this repository's program with a stack configuration that the test chooses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from recordings.outputs import StackOutputs

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Project:
    """Runs the embedded engine over the repository's `__main__.py`, with `config` as the stack's configuration.

    `python` is what runs Python: this one anew each time, or `warm_python`.
    """

    folder: Path
    env: dict[str, str] = field(repr=False)
    stack: str = "dev"
    python: Sequence[str] = (sys.executable,)
    _outputs: dict[bytes, str] = field(default_factory=dict, repr=False)

    def configure(self, **config: Any) -> None:
        """Write Pulumi.<stack>.yaml; keys are those of the `recordings:` namespace, region us-east-1."""
        for name in ("Pulumi.yaml", "__main__.py"):
            target = self.folder / name
            if not target.exists():
                target.symlink_to(ROOT / name)
        values = {"aws:region": "us-east-1", **{f"recordings:{key}": value for key, value in config.items()}}
        (self.folder / f"Pulumi.{self.stack}.yaml").write_text(yaml.safe_dump({"config": values}))

    def engine(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `python -m sandbox ARGUMENTS` on this project and stack."""
        return self.run("-m", "sandbox", *arguments, "--cwd", str(self.folder), "--stack", self.stack, check=check)

    def run(self, *arguments: str, check: bool = True, input: str | None = None) -> subprocess.CompletedProcess[str]:  # noqa: A002
        """Run this Python with arguments, from the repository's root, in the sandbox's environment."""
        done = subprocess.run(
            [*self.python, *arguments],
            cwd=ROOT,
            env=self.env,
            input=input,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert not check or done.returncode == 0, (
            f"{arguments[:4]} ended with {done.returncode}:\n{done.stderr}\n{done.stdout}"
        )
        return done

    def recordings(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the command `recordings` with this stack's outputs on its standard input."""
        code = "import sys; from recordings.cli import main; main()"
        return self.run("-c", code, *arguments, "--outputs", "-", check=check, input=self.raw_outputs())

    def up(self) -> StackOutputs:
        """Deploy, and give the outputs."""
        self.engine("up", "--yes")
        return StackOutputs.from_json(self.raw_outputs())

    def raw_outputs(self) -> str:
        """What `stack output --json --show-secrets` prints, which is asked once for each state of the stack."""
        state = self._state()
        if state not in self._outputs:
            self._outputs[state] = self.engine("stack", "output", "--json", "--show-secrets").stdout
        return self._outputs[state]

    @property
    def exists(self) -> bool:
        """Whether the stack has a state: one that was never deployed cannot be destroyed."""
        return bool(self._state())

    def _state(self) -> bytes:
        """All that the backend has of the stack."""
        stacks = Path(urlsplit(self.env["PULUMI_BACKEND_URL"]).path) / ".pulumi" / "stacks"
        return b"".join(file.read_bytes() for file in sorted(stacks.rglob("*.json")))

    def preview(self) -> dict[str, Any]:
        """The object that `preview --json` prints."""
        parsed: dict[str, Any] = json.loads(self.engine("preview", "--json").stdout)
        return parsed

    def destroy(self) -> None:
        """Destroy the stack's resources."""
        self.engine("destroy", "--yes")


class GcsProject(Project):
    """A project with the shipped stack `dev-gcs`, and changes to it."""

    def configure(self, **config: Any) -> None:
        super().configure()
        file = self.folder / f"Pulumi.{self.stack}.yaml"
        shutil.copy(ROOT / "Pulumi.dev-gcs.yaml", file)
        lines = [f"  recordings:{key}: {json.dumps(value)}\n" for key, value in config.items()]
        with file.open("a") as text:
            text.writelines(lines)
