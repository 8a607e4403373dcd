"""The life of one server process: take the order from the supervisor, serve, end with the supervisor.

Standard input is one end of a socket pair to the supervisor. The first line that comes in is the order; `ready` goes
back; the end of the stream means that the supervisor is gone, in whatever way, and so the server ends too.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sandbox.servers.authority import server_context
from sandbox.servers.order import READY, Order
from sandbox.servers.serving import Application, serve

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
