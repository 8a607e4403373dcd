"""The fake 100ms API's process."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sandbox.hms.app import Hms, error_body
from sandbox.hms.state import State
from sandbox.hms.uploads import Uploader
from sandbox.hms.webhooks import Webhooks
from sandbox.servers.child import run
from sandbox.servers.faults import Faults
from sandbox.servers.files import make_private
from sandbox.servers.order import Order
from sandbox.servers.serving import Application

_STORES = {"s3": "aws", "gs": "google"}


@asynccontextmanager
async def opened(order: Order) -> AsyncIterator[Application]:
    """The application, with unfinished recordings taken up again."""
    folder = make_private(order.layout.data("hms"))
    state = State.load(folder / "state.json")
    settings = order.settings
    tls = ssl.create_default_context(cafile=str(order.layout.authority))
    endpoints = {kind: order.url(server) for kind, server in _STORES.items() if server in settings.ports}
    uploader = Uploader(endpoints, order.layout.authority)
    webhooks = Webhooks(state, settings.hms_customer, settings.hms_app, tls)
    hms = Hms(state, settings, uploader, webhooks, folder)
    hms.recordings.resume()
    try:
        yield Faults(hms, error_body)
    finally:
        await hms.recordings.close()
        await webhooks.close()
        state.save()


if __name__ == "__main__":
    run(opened)
