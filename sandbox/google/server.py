"""The process of the sandbox's Google.

On each start it writes the operator's credentials file (0600): a JSON key whose `token_uri` points here. The key is
made once; the file keeps it, for the state holds the public half alone.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sandbox.google import accounts, blobs
from sandbox.google.app import App
from sandbox.google.cloud import OPERATOR, Cloud
from sandbox.google.environment import CREDENTIALS
from sandbox.google.state import State
from sandbox.servers.child import run
from sandbox.servers.files import write_json
from sandbox.servers.order import Order
from sandbox.servers.serving import Application


def opened_cloud(folder: Path, url: str) -> Cloud:
    """The state under `folder`, with an operator whose credentials file is right for `url`."""
    cloud = Cloud(State(folder))
    _remove_orphans(cloud)
    path = folder / CREDENTIALS
    if path.exists():
        credentials = json.loads(path.read_text())
    else:
        email = f"{OPERATOR}@{cloud.domain}"
        if cloud.state.get("account", email) is None:
            accounts.create_account(cloud, OPERATOR, "Operator of the sandbox")
        _, credentials = accounts.create_key(cloud, email, f"{url}/token")
    write_json(path, {**credentials, "auth_uri": f"{url}/auth", "token_uri": f"{url}/token"})
    return cloud


def _remove_orphans(cloud: Cloud) -> None:
    """Remove bytes that no document names: an upload was cut off by a kill."""
    used = {file for (file,) in cloud.state.sql.execute("SELECT blob FROM versions")}
    for upload in cloud.state.all("upload"):
        used |= {part["file"] for part in upload["parts"].values()}
    for session in cloud.state.all("session"):
        used |= set(session["files"])
    blobs.remove(cloud.state.blobs, [path.name for path in cloud.state.blobs.iterdir() if path.name not in used])


@asynccontextmanager
async def opened(order: Order) -> AsyncIterator[Application]:
    """The application, for as long as the supervisor wants it."""
    cloud = opened_cloud(order.layout.data("google"), order.url("google"))
    try:
        yield App(cloud)
    finally:
        cloud.state.close()


if __name__ == "__main__":
    run(opened)
