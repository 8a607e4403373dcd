"""The life of one server process: take the order from the supervisor, serve, end with the supervisor.

Standard input is one end of a socket pair to the supervisor. The first line that comes in is the order; `ready` goes
back; the end of the stream means that the supervisor is gone, in whatever way, and so the server ends too.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from sandbox.servers.authority import server_context
from sandbox.servers.files import Layout
from sandbox.servers.serving import Application, serve
from sandbox.servers.settings import Settings

READY: Final = b"ready\n"


@dataclass(frozen=True)
class Order:
    """What a server has to know. It goes over the socket pair, for secrets are no arguments or environment."""

    server: str
    directory: Path
    listener: int
    settings: Settings

    @property
    def layout(self) -> Layout:
        """The sandbox's paths."""
        return Layout(self.directory)

    def url(self, server: str) -> str:
        """The address of one of the sandbox's servers."""
        return f"https://127.0.0.1:{self.settings.ports[server]}"

    def encode(self) -> bytes:
        """One line."""
        return json.dumps({**asdict(self), "directory": str(self.directory)}).encode() + b"\n"

    @staticmethod
    def decode(line: bytes) -> Order:
        """The reverse of `encode`."""
        value = json.loads(line)
        return Order(value["server"], Path(value["directory"]), value["listener"], Settings(**value["settings"]))


Opening = Callable[[Order], AbstractAsyncContextManager[Application]]


def run(opening: Opening, control_fd: int = 0) -> None:
    """Serve what `opening` gives until the supervisor says stop or is gone. `opening` cleans up when it is left."""
    control = socket.socket(fileno=control_fd)
    with control.makefile("rb") as incoming:
        line = incoming.readline()
    if line:
        asyncio.run(_serve(opening, Order.decode(line), control))


async def _serve(opening: Opening, order: Order, control: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    control.setblocking(False)
    loop.add_reader(control, stop.set)
    async with opening(order) as application:
        control.send(READY)
        await serve(application, socket.socket(fileno=order.listener), server_context(order.layout), stop)
