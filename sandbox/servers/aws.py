"""The AWS server's process: ministack, what makes it stricter, and the saving of its state."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sandbox.servers.child import Order, run
from sandbox.servers.emulator import Emulator
from sandbox.servers.serving import Application


@asynccontextmanager
async def opened(order: Order) -> AsyncIterator[Application]:
    """The gateway in front of ministack; the state is saved when it is left."""
    emulator = Emulator(order.settings, order.layout.data("aws"))
    await emulator.open()
    try:
        yield emulator.application
    finally:
        emulator.save()


if __name__ == "__main__":
    run(opened)
