"""The process that starts a sandbox's servers and ends with the last reason for them: a stop, or a dead parent.

It owns ports, certificates and `run.json`. A server that ends by itself is recorded there and not started again: a
crash is to be seen. Servers watch a socket pair to this process, so that not even SIGKILL leaves one behind.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from sandbox.servers.authority import ensure_certificates
from sandbox.servers.files import Layout, make_private, write_json
from sandbox.servers.order import READY, Order
from sandbox.servers.settings import Settings, load_settings

SERVERS: Final[Mapping[str, str]] = {
    "aws": "sandbox.servers.aws",
    "google": "sandbox.google.server",
    "hms": "sandbox.hms.server",
    "postgres": "sandbox.servers.postgres",
}
"""The servers of a sandbox, and the module that runs each."""

_LISTENS_ITSELF: Final = frozenset({"postgres"})
"""It is given a socket that holds its port: nobody else gets that while it makes its data, and it can listen there."""
PROJECT: Final = Path(__file__).resolve().parents[2]
_STOP_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.25
_LOCK_SECONDS: Final = 0.01


class AlreadyRunningError(Exception):
    """Another supervisor holds this folder."""


@dataclass
class _Server:
    name: str
    process: subprocess.Popen[bytes]
    control: socket.socket
    ready: bool = False
    log: IO[bytes] = field(repr=False, kw_only=True)


class Supervisor:
    """One sandbox's servers, from start to stop. `watched` is a process whose end is a stop."""

    def __init__(self, root: Path, *, region: str | None = None, watched: int | None = None) -> None:
        self._layout = Layout(root.resolve())
        self._region = region
        self._watched = watched
        self._servers: dict[str, _Server] = {}
        self._ended: dict[str, int] = {}
        self._selector = selectors.DefaultSelector()
        self._wakeup, self._waker = socket.socketpair()

    def run(self) -> None:
        """Start everything and stay until told to stop.

        Raises AlreadyRunningError if the folder has a supervisor.
        """
        make_private(self._layout.root)
        with self._layout.lock.open("w") as lock:
            _acquire(lock)
            try:
                self._prepare_signals()
                self._start()
                self._stay()
            finally:
                self._stop()

    def _prepare_signals(self) -> None:
        self._waker.setblocking(False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self._wake())
        self._selector.register(self._wakeup, selectors.EVENT_READ, None)

    def _wake(self) -> None:
        with suppress(BlockingIOError):
            self._waker.send(b"x")

    def _start(self) -> None:
        settings = load_settings(self._layout.settings, self._region)
        listeners: dict[str, socket.socket] = {}
        for name in SERVERS:
            listeners[name] = _bound(settings.ports.get(name, 0))
            if name not in _LISTENS_ITSELF:
                listeners[name].listen(128)
            settings = settings.with_port(name, listeners[name].getsockname()[1])
        for name, listener in listeners.items():
            self._servers[name] = self._spawn(name, listener)
        settings.save(self._layout.settings)
        ensure_certificates(self._layout)
        for name, listener in listeners.items():
            self._order(self._servers[name], settings, listener)
        self._record()

    def _spawn(self, name: str, listener: socket.socket) -> _Server:
        ours, theirs = socket.socketpair()
        path = self._layout.log(name)
        make_private(path.parent)
        log = path.open("wb")
        path.chmod(0o600)
        with theirs:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", SERVERS[name]],
                stdin=theirs.fileno(),
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[listener.fileno()],
                cwd=PROJECT,
                env=_environment(),
                start_new_session=True,
            )
        return _Server(name, process, ours, log=log)

    def _order(self, server: _Server, settings: Settings, listener: socket.socket) -> None:
        order = Order(server.name, self._layout.root, listener.fileno(), settings)
        with suppress(OSError):
            server.control.sendall(order.encode())
        listener.close()
        self._selector.register(server.control, selectors.EVENT_READ, server)

    def _stay(self) -> None:
        while not self._parent_gone():
            for key, _ in self._selector.select(_POLL_SECONDS if self._watched else None):
                if key.data is None:
                    return
                self._hear(key.data)

    def _parent_gone(self) -> bool:
        return self._watched is not None and not is_alive(self._watched)

    def _hear(self, server: _Server) -> None:
        try:
            message = server.control.recv(len(READY))
        except OSError:
            message = b""
        if message:
            server.ready = True
        else:
            self._selector.unregister(server.control)
            self._ended[server.name] = server.process.wait()
        self._record()

    def _record(self) -> None:
        servers: dict[str, dict[str, Any]] = {
            name: {"pid": server.process.pid, "ready": server.ready, "exit": self._ended.get(name)}
            for name, server in self._servers.items()
        }
        write_json(self._layout.run, {"pid": os.getpid(), "servers": servers})

    def _stop(self) -> None:
        for server in self._servers.values():
            server.control.close()
        deadline = time.monotonic() + _STOP_SECONDS
        for server in self._servers.values():
            try:
                server.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                server.process.kill()
                server.process.wait()
            server.log.close()
        self._layout.run.unlink(missing_ok=True)


def _acquire(lock: IO[str]) -> None:
    """Take the folder, or raise AlreadyRunningError.

    Who only looks whether it is taken (`status`) shares the lock for a moment, however long a busy machine makes that.
    """
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunningError(lock.name) from None
        fcntl.flock(lock, fcntl.LOCK_UN)
        time.sleep(_LOCK_SECONDS)


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that ended and was not yet waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return not Path("/proc/self").exists()
    return state not in "ZX"


def _bound(port: int) -> socket.socket:
    """A socket on the loopback interface; on another port if `port` is taken by now."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind(("127.0.0.1", port))
    except OSError:
        bound.bind(("127.0.0.1", 0))
    return bound


def _environment() -> dict[str, str]:
    """The servers' environment: no cloud credentials, proxies or certificates of whoever started them."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    return {**environment, "PYTHONUNBUFFERED": "1"}


def main() -> None:
    """Run a supervisor; `sandbox.servers.control` starts it so."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dir", type=Path, required=True)
    parser.add_argument("--region", default=None)
    parser.add_argument("--watch", type=int, default=None)
    arguments = parser.parse_args()
    with suppress(AlreadyRunningError):
        Supervisor(arguments.dir, region=arguments.region, watched=arguments.watch).run()
