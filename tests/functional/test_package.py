"""The package as a user adds it: a YAML program under a real `pulumi`, on the sandbox.

The program is the example of docs/package.md. What Pulumi would download is put in its place beforehand: the stand-in
providers as plugins, and a virtual environment that finds this one's packages.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pytest

from recordings.outputs import StackOutputs
from sandbox.servers import Sandbox

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("pulumi", "pulumi-language-python", "pulumi-language-yaml")
MISSING = [name for name in NEEDED if shutil.which(name) is None]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not on PATH, so no YAML program can run: {', '.join(MISSING)}")


@dataclass(frozen=True)
class Cli:
    """A real `pulumi` in a project folder."""

    project: Path
    env: dict[str, str]

    def run(self, *arguments: str) -> str:
        """Run a command, which must succeed; gives what it printed."""
        done = subprocess.run(
            [str(shutil.which("pulumi")), *arguments],
            cwd=self.project,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def cli(sandbox: Sandbox, tmp_path: Path) -> Cli:
    """A copy of the package, and beside it a project with the YAML program of the documentation."""
    package, project = tmp_path / "package", tmp_path / "project"
    package.mkdir()
    for name in ("PulumiPlugin.yaml", "__main__.py", "requirements.txt"):
        shutil.copy(ROOT / "package" / name, package)
    for name in ("components", "recordings"):
        (tmp_path / name).symlink_to(ROOT / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", package / ".venv"], check=True)
    site = next((package / ".venv" / "lib").glob("*/site-packages"))
    (site / "locked.pth").write_text(sysconfig.get_path("purelib"))
    project.mkdir()
    example = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "package.md").read_text(), re.DOTALL)
    assert example
    program = re.sub(r"recordings: https://\S+", "recordings: ../package", example[1])
    (project / "Pulumi.yaml").write_text(program.replace("protect: true", "forceDestroy: true"))
    (project / "Pulumi.dev.yaml").write_text("config:\n  aws:region: eu-west-1\n")
    env = {
        **os.environ,
        **sandbox.env,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PULUMI_BACKEND_URL": project.as_uri(),
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "SANDBOX_PYTHON": sys.executable,
    }
    made = Cli(project, env)
    for name in ("aws", "gcp"):
        file = tmp_path / f"pulumi-resource-{name}"
        # a plugin that is installed is a copy, which would not find the project
        file.write_text(f'#!/bin/sh\nexec "{ROOT / "sandbox" / "bin" / file.name}" "$@"\n')
        file.chmod(0o755)
        made.run("plugin", "install", "resource", name, version(f"pulumi_{name}"), "--file", str(file))
    made.run("stack", "init", "dev")
    return made


def test_yaml_program_deploys_and_keeps_its_secrets(cli: Cli) -> None:
    """`recordings` can use its outputs; no secret is in what is shown or in the state; a preview shows no change."""
    shown = cli.run("up", "--yes", "--skip-preview", "--stack", "dev", "--non-interactive")
    raw = json.loads(cli.run("stack", "output", "--json", "--show-secrets", "--stack", "dev"))
    outputs = StackOutputs.from_mapping(raw)
    secrets = [outputs.writer_secret_access_key, outputs.reader_secret_access_key]
    state = "".join(file.read_text() for file in cli.project.rglob("*.json"))
    for secret in secrets:
        assert secret.get_secret_value() not in shown + state
    assert shown.count("[secret]") == 4
    cli.run("preview", "--expect-no-changes", "--stack", "dev", "--non-interactive")
    cli.run("destroy", "--yes", "--skip-preview", "--stack", "dev", "--non-interactive")
