"""The CrossGuard pack under a real `pulumi`. What each policy says is tested in `tests/components/test_crossguard.py`.

Not run where there is no `pulumi` on PATH, or no environment of the pack's own in it (policy/pack/requirements.txt).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sandbox.servers import Sandbox

ROOT = Path(__file__).resolve().parents[2]
PACK = ROOT / "policy" / "pack"
REAL = shutil.which("pulumi")

pytestmark = [
    pytest.mark.skipif(REAL is None, reason="no `pulumi` on PATH to run the policy pack with"),
    pytest.mark.skipif(not (PACK / ".venv").exists(), reason="policy/pack has no .venv with pulumi-policy"),
]
Preview = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def preview(sandbox: Sandbox, tmp_path: Path) -> Preview:
    """Preview this repository's program as the stack `prod`, with the pack; keyword arguments are its configuration."""
    for name in ("Pulumi.yaml", "__main__.py"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    (tmp_path / "state").mkdir()
    path = os.pathsep.join([str(ROOT / "sandbox" / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {
        **os.environ,
        **sandbox.env,
        "PATH": path,
        "PULUMI_BACKEND_URL": (tmp_path / "state").as_uri(),
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PYTHONPATH": str(ROOT),
        "SANDBOX_PYTHON": sys.executable,
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(REAL), *arguments, "--stack", "prod", "--cwd", str(tmp_path)]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120)

    def preview(**config: object) -> subprocess.CompletedProcess[str]:
        values = yaml.safe_load((ROOT / "Pulumi.prod.yaml").read_text())["config"]
        values |= {f"recordings:{key}": value for key, value in config.items()}
        (tmp_path / "Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": values}))
        run("stack", "init")
        return run("preview", "--policy-pack", str(PACK))

    return preview


def test_pack_passes_what_is_shipped(preview: Preview) -> None:
    """Production as shipped breaks no policy."""
    done = preview()
    assert done.returncode == 0, done.stdout + done.stderr
    assert "✅ recordings-guard-rules" in done.stdout


def test_pack_stops_a_production_bucket_without_protection(preview: Preview) -> None:
    """A mandatory policy ends the preview, and with it `up`, before anything changes."""
    done = preview(protect=False, accessLogBucket="")
    assert done.returncode != 0
    assert "[mandatory]  unprotected" in done.stdout
