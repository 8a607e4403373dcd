"""A demo that is killed: nothing of it goes on, and the next one removes its folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sandbox.demo.remains import PREFIX, claimed, clear_dead
from sandbox.demo.tied import ROOT, Tie
from sandbox.servers import Sandbox
from tests.functional.clients import eventually


def processes(mark: str) -> list[str]:
    """Those that have this in their environment, which whoever starts another hands on."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


def test_killed_demo_leaves_no_process_and_the_next_removes_its_folder(tmp_path: Path) -> None:
    """Servers and the command that is running end with it; a living demo beside it is not touched."""
    mark = f"TMPDIR={tmp_path}"
    env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    living = tmp_path / f"{PREFIX}living"
    living.mkdir()
    program = [sys.executable, "-m", "sandbox", "demo"]
    with claimed(living), subprocess.Popen(program, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) as demo:
        try:
            assert demo.stdout is not None
            assert "start the sandbox" in demo.stdout.readline()
            (folder,) = (path for path in tmp_path.glob(f"{PREFIX}*") if path != living)
            assert Sandbox(folder).running
            assert list(clear_dead(tmp_path)) == [], "it lives"
        finally:
            demo.kill()
        demo.wait()
        eventually(lambda: [str(folder) in line for line in clear_dead(tmp_path)] == [True])
        eventually(lambda: not processes(mark))
        assert list(tmp_path.glob(f"{PREFIX}*")) == [living]


def test_tied_process_ends_when_nobody_holds_its_input(tmp_path: Path) -> None:
    """A server that would go on for ever does not outlive whoever started it."""
    tie, log = Tie(), tmp_path / "log"
    with log.open("wb") as file:
        env = {**os.environ, "PYTHONUNBUFFERED": "1"}
        process = tie.start("http.server", "--bind", "127.0.0.1", "0", env=env, log=file)
    try:
        eventually(lambda: "Serving HTTP" in log.read_text())
        assert process.poll() is None
        tie.release()
        assert process.wait(20) != 0
    finally:
        process.kill()
        process.wait()


def test_tied_process_gets_its_arguments_and_gives_its_exit_code() -> None:
    """Else as if it had been started by itself."""
    tie = Tie()
    done = tie.run("recordings", "sign", "--no-such-option", env=os.environ)
    tie.release()
    assert done.returncode == 2
    assert "--no-such-option" in done.stderr
