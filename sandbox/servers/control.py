"""Start, stop and describe a sandbox from Python; `sandbox.servers.cli` is the same for the command line."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sandbox.google.environment import google_environment
from sandbox.servers.aws.environment import aws_environment
from sandbox.servers.files import Layout, make_private
from sandbox.servers.postgres_roles import database_url
from sandbox.servers.settings import SandboxError, Settings, load_settings
from sandbox.servers.supervisor import PROJECT, SERVERS, is_alive

_START_SECONDS: Final = 90.0
_STOP_SECONDS: Final = 60.0
_POLL_SECONDS: Final = 0.02
_LOG_LINES: Final = 20


@dataclass(frozen=True)
class ServerStatus:
    """One server: its address, whether it answers, and if it ended by itself the exit code and the log's end."""

    name: str
    url: str
    pid: int
    ready: bool
    exit: int | None
    log: tuple[str, ...] = ()


class Sandbox:
    """One sandbox under `directory`. As a context manager it runs for the block and ends with this process."""

    def __init__(self, directory: Path | str, *, region: str | None = None) -> None:
        self.dir = Path(directory).resolve()
        self._region = region
        self._layout = Layout(self.dir)
        self._supervisor: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start(watched=os.getpid())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self, *, watched: int | None = None) -> Self:
        """Start what does not run yet and wait until every server answers.

        `watched` is the id of a process whose end stops the sandbox. Raises SandboxError if the folder cannot be used,
        and with the end of the log of a server that did not come up.
        """
        try:
            make_private(self.dir)
        except OSError as error:
            raise SandboxError(f"cannot use the folder {self.dir}: {error.strerror}. Choose another") from None
        load_settings(self._layout.settings, self._region)
        if not self.running:
            self._reap()
            self._supervisor = self._spawn(watched)
        deadline = time.monotonic() + _START_SECONDS
        while not self._came_up():
            if time.monotonic() > deadline:
                raise SandboxError(f"the sandbox in {self.dir} did not come up within {_START_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
        return self

    def stop(self) -> bool:
        """Stop every server and wait until all are gone. False if none ran. Raises SandboxError if one stays."""
        if not self.running:
            return False
        deadline = time.monotonic() + _STOP_SECONDS
        is_told = False
        while self.running:
            pid = None if is_told else self._run().get("pid")  # that of one which is just starting comes later
            if pid is not None:
                with suppress(ProcessLookupError):  # it has ended since it was looked at
                    os.kill(pid, signal.SIGTERM)
                is_told = True
            if time.monotonic() > deadline:
                raise SandboxError(f"the sandbox in {self.dir} did not stop within {_STOP_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)
        self._reap()
        return True

    def _reap(self) -> None:
        """Take the end of a supervisor that this object started and that is ending."""
        if self._supervisor is not None:
            self._supervisor.wait(_STOP_SECONDS)
            self._supervisor = None

    @property
    def running(self) -> bool:
        """Whether a supervisor holds the folder (a process id alone could be somebody else's by now)."""
        try:
            with self._layout.lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @property
    def exists(self) -> bool:
        """Whether it was ever started."""
        return self._layout.settings.exists()

    @property
    def settings(self) -> Settings:
        """Keys, ids and ports. Raises SandboxError if the sandbox was never started."""
        if not self.exists:
            raise SandboxError(f"there is no sandbox in {self.dir}: start one with `python -m sandbox start`")
        return load_settings(self._layout.settings)

    def status(self) -> list[ServerStatus]:
        """Every server of a running sandbox; empty if it does not run."""
        if not self.running:
            return []
        servers: dict[str, Any] = self._run().get("servers", {})
        return [self._server(name, entry) for name, entry in servers.items()]

    @property
    def env(self) -> dict[str, str]:
        """What clients need in their environment. Raises SandboxError if the sandbox was never started."""
        settings = self.settings
        bundle = str(self._layout.authority)
        return {
            **aws_environment(settings, self._url("aws"), bundle),
            "SSL_CERT_FILE": bundle,
            **google_environment(self._layout, self._url("google")),
            "HMS_API_URL": self._url("hms") + "/v2",
            "HMS_ACCESS_KEY": settings.hms_access_key,
            "HMS_APP_SECRET": settings.hms_app_secret,
            "HMS_TEMPLATE_ID": settings.hms_template,
            "HMS_ROOM_ID": settings.hms_room,
            "DATABASE_URL": database_url(self._port("postgres"), settings.postgres_password),
            "PULUMI_COMMAND": f"{sys.executable} -m sandbox",
            "PULUMI_CONFIG_PASSPHRASE": settings.passphrase,
            "PULUMI_BACKEND_URL": f"file://{self._layout.state}",
            "SANDBOX_DIR": str(self.dir),
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }

    def _url(self, server: str) -> str:
        return f"{'postgresql' if server == 'postgres' else 'https'}://127.0.0.1:{self._port(server)}"

    def _port(self, server: str) -> int:
        try:
            return self.settings.ports[server]
        except KeyError:
            raise SandboxError(
                f"the sandbox in {self.dir} has no server {server} yet: start it with `python -m sandbox start`"
            ) from None

    def _server(self, name: str, entry: dict[str, Any]) -> ServerStatus:
        ended = entry["exit"]
        log = () if ended is None else tuple(self._log_end(name))
        return ServerStatus(name, self._url(name), entry["pid"], entry["ready"] and ended is None, ended, log)

    def _run(self) -> dict[str, Any]:
        try:
            value: dict[str, Any] = json.loads(self._layout.run.read_text())
        except FileNotFoundError:
            return {}
        return value if is_alive(value["pid"]) else {}  # a supervisor that was killed leaves its file behind

    def _spawn(self, watched: int | None) -> subprocess.Popen[bytes]:
        path = self._layout.log("supervisor")
        make_private(path.parent)
        command = [sys.executable, "-m", "sandbox.servers", "--dir", str(self.dir)]
        if self._region is not None:
            command += ["--region", self._region]
        if watched is not None:
            command += ["--watch", str(watched)]
        with path.open("wb") as log:
            return subprocess.Popen(  # noqa: S603
                command, cwd=PROJECT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def _came_up(self) -> bool:
        servers = self.status()
        for server in servers:
            if server.exit is not None:
                self.stop()
                log = "\n".join(server.log)
                raise SandboxError(f"the sandbox's server {server.name} ended with exit code {server.exit}:\n{log}")
        if len(servers) == len(SERVERS) and all(server.ready for server in servers):
            return True
        if self._supervisor is not None and self._supervisor.poll() is not None and not self.running:
            log = "\n".join(self._log_end("supervisor"))
            raise SandboxError(f"the sandbox's supervisor ended with exit code {self._supervisor.returncode}:\n{log}")
        return False

    def _log_end(self, name: str) -> list[str]:
        try:
            return self._layout.log(name).read_text(errors="replace").splitlines()[-_LOG_LINES:]
        except FileNotFoundError:
            return []
