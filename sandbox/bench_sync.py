"""How long `recordings sync` takes for 100,000 recording assets, and how much memory: a part of `make bench`.

The command runs as a user would run it, a process of its own, against the fake 100ms API and the sandbox's Postgres.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass
from typing import Any, Final

import httpx

from sandbox import bench_process
from sandbox.servers import Sandbox

ASSETS: Final = 100_000
_PIECE: Final = 20_000
_OWN_PART: Final = 0.5
OUTPUTS: Final[dict[str, Any]] = {
    "storageProvider": "s3",
    "bucketName": "bench-recordings",
    "region": "us-east-1",
    "pathPrefix": "recordings/",
    "writerAccessKeyId": "none",
    "writerSecretAccessKey": "none",
    "readerAccessKeyId": "none",
    "readerSecretAccessKey": "none",
    "writerKeys": {},
    "readerKeys": {},
    "registeredKey": "blue",
    "writerAccess": "full",
    "environment": "bench",
}
"""A stack that was never deployed: `sync` asks no bucket."""


@dataclass(frozen=True)
class SyncFigure:
    """One run: seconds and the most memory that the process had, in MiB."""

    name: str
    seconds: float
    mebibytes: float


def figures() -> list[tuple[str, str]]:
    """Rows for `make bench`: what was measured, and the figure."""
    return [(run.name, f"{run.seconds:.1f} s, {run.mebibytes:.0f} MiB") for run in measure_sync()]


def measure_sync(assets: int = ASSETS) -> list[SyncFigure]:
    """The first run, which adds every row, and a second, which finds them all as they should be.

    Raises SystemExit if a command fails.
    """
    with tempfile.TemporaryDirectory(prefix="bench-sync-") as folder, Sandbox(folder) as sandbox:
        seed(sandbox, assets)
        _run(sandbox, "migrate")
        return [
            SyncFigure(f"`recordings sync`, {assets:,} recordings, {what}", *_run(sandbox, "sync", "--outputs", "-"))
            for what in ("first run", "again")
        ]


def seed(sandbox: Sandbox, assets: int) -> None:
    """Make that many recording assets in the fake 100ms, half of them in the stack's bucket."""
    path = f"s3://{OUTPUTS['bucketName']}/recordings/beam/room/20260801/Rec-room-1785542400000.mp4"
    with httpx.Client(verify=sandbox.env["SSL_CERT_FILE"], trust_env=False, timeout=120) as client:
        for entry in ({"path": path}, {}):
            left = int(assets * _OWN_PART)
            while left:
                count = min(left, _PIECE)
                url = sandbox.env["HMS_API_URL"].removesuffix("/v2") + "/_sandbox/seed"
                client.post(url, json={"assets": [{**entry, "count": count}]}).raise_for_status()
                left -= count


def _run(sandbox: Sandbox, *arguments: str) -> tuple[float, float]:
    """Run a command; gives seconds and MiB. Raises SystemExit if it fails."""
    done = bench_process.run(bench_process.child("recordings", *arguments), sandbox.env, stdin=json.dumps(OUTPUTS))
    return done.seconds, done.mebibytes
