"""The AWS server's process: ministack, what makes it stricter, and the saving of its state."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING

from sandbox.servers.aws.emulator import Emulator
from sandbox.servers.aws.errors import status_error
from sandbox.servers.aws.gateway import Gateway
from sandbox.servers.aws.strict import make_strict
from sandbox.servers.child import run
from sandbox.servers.faults import Faults
from sandbox.servers.order import Order
from sandbox.servers.serving import Application

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


@asynccontextmanager
async def opened(order: Order) -> AsyncIterator[Application]:
    """The gateway in front of ministack; the state is saved when it is left."""
    emulator = Emulator(order.settings, order.layout.data("aws"))
    await emulator.open()
    make_strict(emulator)
    saving = asyncio.create_task(emulator.keep_saved())
    try:
        yield Faults(Gateway(emulator, partial(_sweep, order, emulator)), status_error)
    finally:
        saving.cancel()
        emulator.save()


def _sweep(order: Order, emulator: Emulator, now: datetime) -> list[dict[str, str]]:
    """Run the lifecycle over the server's own port, in a thread."""
    from sandbox.servers.aws.sweep import sweep

    client = _root_client(order.url("aws"), str(order.layout.authority), emulator.root, order.settings.region)
    return sweep(client, emulator.lifecycle_of, emulator.set_storage_class, now)


@cache
def _root_client(url: str, authority: str, root: str, region: str) -> S3Client:
    """S3 as root, made once."""
    import boto3  # takes longer to load than all else here, and few need it

    return boto3.Session(root, "unchecked", region_name=region).client("s3", endpoint_url=url, verify=authority)


if __name__ == "__main__":
    run(opened)
