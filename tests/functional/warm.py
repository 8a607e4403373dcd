"""A Python that has already imported what our commands need, and forks for each: a start takes 0.05 s, not 0.5 to 1 s.

Each command is a process of its own all the same, with its own arguments, folder, environment, files and exit code; it
is ended at once, with all that it started, if what stands for it is killed. What a start itself does (interpreter,
imports, console script) is not shown by it: tests of that start the real thing.

`python -m tests.functional.warm SOCKET` is the server; it ends when its standard input does.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import botocore.loaders
import botocore.session

from recordings.cli import COMMANDS

CLIENT: Final = Path(__file__).with_name("warm_client.py")
MODULES: Final = (
    *("components", "components.s3", "components.gcs", "policy", "recordings.cli"),
    *(f"recordings.cli.{name.replace('-', '_')}" for name in COMMANDS),
    *("sandbox.engine.cli", "sandbox.engine.program", "sandbox.providers.aws", "sandbox.providers.gcp"),
    *(f"scripts.{name}" for name in ("github", "post_deploy", "pr_stack", "preview_diff", "sweep")),
    *("cryptography.hazmat.primitives.kdf.pbkdf2", "pydantic.dataclasses", "pydantic.type_adapter"),
)
SERVICES: Final = ("s3", "iam", "sts")


@contextmanager
def warm_python() -> Iterator[list[str]]:
    """What stands for `python` in a command line, while the server runs."""
    with tempfile.TemporaryDirectory(prefix="warm-") as folder:
        address = f"{folder}/socket"
        command = [sys.executable, "-m", __name__, address]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdin is not None
            assert server.stdout is not None
            assert server.stdout.readline() == b"ready\n"
            yield [sys.executable, "-IS", str(CLIENT), address]
            server.stdin.close()


def load() -> None:
    """Import it all, and read botocore's descriptions of the services."""
    for name in MODULES:
        importlib.import_module(name)
    botocore.session.create_loader = functools.cache(botocore.loaders.create_loader)
    for service in SERVICES:
        botocore.session.Session().create_client(service, "us-east-1", aws_access_key_id="x", aws_secret_access_key="x")


@dataclass(frozen=True)
class Order:
    """A command to carry out."""

    argv: list[str]
    cwd: str
    env: Mapping[str, str] = field(repr=False)
    files: list[int]

    @classmethod
    def received(cls, client: socket.socket) -> Order:
        """What `warm_client` sends. Raises ValueError if it was killed over it."""
        size, files, _, _ = socket.recv_fds(client, 4, 3)
        try:
            with client.makefile("rb") as rest:
                return cls(**json.loads(rest.read(int.from_bytes(size, "big"))), files=files)
        except ValueError:
            for file in files:
                os.close(file)  # or whoever reads from its other end would wait for ever
            raise

    def carry_out(self) -> NoReturn:
        """Become `python ARGV`, and end as it does."""
        for number, file in enumerate(self.files):
            os.dup2(file, number)
            os.close(file)
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
        os.chdir(self.cwd)
        os.environ.clear()
        os.environ.update(self.env)
        sys.executable = self.env.get("WARM_PYTHON", sys.executable)
        code = self._run()
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        os._exit(code)

    def _run(self) -> int:
        kind, *rest = self.argv
        sys.path.insert(0, self.cwd)
        try:
            if kind == "-m":
                sys.argv = rest
                runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
            elif kind == "-c":
                sys.argv = ["-c", *rest[1:]]
                exec(rest[0], {"__name__": "__main__"})  # noqa: S102 - as `python -c` does
            else:
                sys.argv = self.argv
                runpy.run_path(kind, run_name="__main__")
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
                return 1
            return end.code or 0
        except BaseException:
            traceback.print_exc()
            return 1
        return 0


class Server:
    """Forks for each order; `run` returns once there is nobody left to serve."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self._waiting = selectors.DefaultSelector()
        self._waiting.register(listener, selectors.EVENT_READ, self._accept)
        self._waiting.register(0, selectors.EVENT_READ, None)
        self._running: set[int] = set()

    def run(self) -> None:
        while True:
            # new orders last: whoever killed a command and starts another finds nothing of the first at work
            for key, _ in sorted(self._waiting.select(), key=lambda seen: seen[0].fileobj is self._listener):
                if key.data is None:
                    for pid in self._running:
                        os.killpg(pid, signal.SIGKILL)
                    return
                if self._waiting.get_map().get(key.fd) is key:  # else what came before it here has dealt with it
                    key.data()

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        try:
            order = Order.received(client)
        except ValueError:
            client.close()
            return
        pid = os.fork()
        if not pid:
            os.setpgid(0, 0)
            order.carry_out()
        with contextlib.suppress(OSError):  # both do it, so that whoever is later finds it done
            os.setpgid(pid, pid)
        for file in order.files:
            os.close(file)
        self._running.add(pid)
        ended = os.pidfd_open(pid)
        kill = functools.partial(os.killpg, pid, signal.SIGKILL)
        # nothing more comes from a client until it is gone
        self._waiting.register(client, selectors.EVENT_READ, functools.partial(self._leave, client, kill))
        self._waiting.register(ended, selectors.EVENT_READ, functools.partial(self._end, pid, ended, client))

    def _leave(self, client: socket.socket, kill: Callable[[], None]) -> None:
        self._waiting.unregister(client)
        kill()

    def _end(self, pid: int, ended: int, client: socket.socket) -> None:
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self._running.remove(pid)
        self._waiting.unregister(ended)
        os.close(ended)
        with contextlib.suppress(KeyError):
            self._waiting.unregister(client)
        with client, contextlib.suppress(OSError):
            client.send(str(code).encode())


def main() -> None:
    """Load, listen, serve."""
    load()
    gc.collect()
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        print("ready", flush=True)
        Server(listener).run()


if __name__ == "__main__":
    main()
