"""Kill a run at every step, and see whether one more run sets everything right. Run as a module by its test.

Each run is a fork of this process, which has imported all that the program will: it dies of a real SIGKILL in the
middle, and only what is on disk (the state, and the cloud, which is a file here) survives.
"""

from __future__ import annotations

import itertools
import json
import os
import pickle
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi_aws.iam.access_key
import pulumi_aws.iam.user
import pulumi_aws.iam.user_policy
import pulumi_aws.s3.bucket

import sandbox.engine.program
from sandbox.engine.backend import Backend
from tests.unit.engine_kit import Bench, assert_same_as_cloud, assert_sound
from tests.unit.memory_cloud import Cloud

WARM = (pulumi_aws, sandbox.engine.program)


class FileCloud(Cloud):
    """A cloud that outlives the process; calls `tick` before and after each change."""

    def __init__(self, file: Path, tick: Callable[[], None]) -> None:
        super().__init__()
        self.file, self.tick = file, tick
        self.lock = threading.Lock()
        # no key is issued twice, in whichever run
        self.numbers = itertools.count(os.getpid() * 1000)
        if file.exists():
            self.things = pickle.loads(file.read_bytes())  # noqa: S301

    def changing(self) -> None:
        self.tick()

    def changed(self) -> None:
        with self.lock:
            scratch = self.file.with_suffix(".new")
            scratch.write_bytes(pickle.dumps(self.things))
            scratch.replace(self.file)
        self.tick()


def bench(folder: Path, kill_at: int | None) -> Bench:
    """The recorded project in `folder`; the process dies at the event number `kill_at`."""
    count = 0

    def tick() -> None:
        nonlocal count
        count += 1
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    write = Backend.write

    def writing(self: Backend, stack: str, content: Any) -> None:
        write(self, stack, content)
        tick()

    Backend.write = writing  # type: ignore[method-assign]
    made = Bench(folder, FileCloud(folder / "cloud.pickle", tick))
    if not (folder / "__main__.py").exists():
        made.recorded()
    return made


def open_once(folder: Path) -> None:
    """Derive the key of the recorded configuration, which the forks inherit."""
    bench(folder, None).open()


def forked(work: Callable[[], object]) -> int:
    """Run `work` in a fork and give the signal that ended it, 0 for none. Raises AssertionError if it failed."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert not os.WIFEXITED(status) or os.WEXITSTATUS(status) == 0, "a run failed; see above"
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def change(folder: Path, config: dict[str, Any] | None, kill_at: int | None = None) -> Bench:
    """Deploy with `config`, or destroy."""
    made = bench(folder, kill_at)
    if config is None:
        made.destroy()
    else:
        made.configure(**config)
        made.up()
    return made


def check(made: Bench, *, users: list[str], keys: int) -> None:
    assert_sound(made.state())
    assert_same_as_cloud(made.state(), made.cloud)
    assert made.cloud.ids("aws:iam/user:User") == users
    assert len(made.cloud.ids("aws:iam/accessKey:AccessKey")) == keys


SCENARIOS: dict[str, tuple[dict[str, Any] | None, dict[str, Any] | None, list[str], int]] = {
    # before the killed run, the killed run (None: destroy), users and keys afterwards
    "create": (None, {"env": "a"}, ["writer"], 1),
    "replace": ({"env": "a"}, {"env": "b", "user": "writer2"}, ["writer2"], 1),
    "destroy": ({"env": "a"}, None, [], 0),
}


def main(scenario: str, root: Path) -> None:
    before = SCENARIOS[scenario][0]
    open_once(root / "warm")
    start = root / "start"
    start.mkdir()
    if before is not None:
        forked(lambda: change(start, before))
    killed = 0
    while killed_and_mended(start, root / str(killed), scenario, killed + 1):
        killed += 1
    print(json.dumps({"killed": killed}))


def killed_and_mended(start: Path, folder: Path, scenario: str, kill_at: int) -> bool:
    """Kill a run at one event, run again, and check; False if the run has fewer events."""
    _, wanted, users, keys = SCENARIOS[scenario]
    shutil.copytree(start, folder)
    if forked(lambda: change(folder, wanted, kill_at)) != signal.SIGKILL:
        return False
    forked(lambda: check(change(folder, wanted), users=users, keys=keys))
    return True


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
