"""How the download endpoint bears many at once: one process of `recordings serve`, over the sandbox's storage.

The client speaks HTTP over plain sockets, so that it takes little of the machine that it shares with what it measures.
Each answer must be a redirect to a signed URL; anything else is an error.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path
from threading import Thread
from typing import Final

import boto3
from pydantic import SecretStr

from recordings.catalog import Catalog
from recordings.catalog_entries import CatalogEntry
from recordings.database import connect
from recordings.migrate import migrations, run_migrations
from sandbox.databases import temporary_database
from sandbox.servers import Sandbox

CONCURRENT: Final = 200
SECONDS: Final = 20.0
_OBJECTS: Final = 50
_OTHERS: Final = 2000
_OTHERS_SECONDS: Final = 4.0
"""So short that hardly any of them is asked for twice, which the storage need not be asked about again."""


@dataclass(frozen=True)
class Load:
    """What was seen: answers, errors (as text, at most a few), and the time that answers took, in seconds."""

    answers: int
    errors: list[str]
    median: float
    p99: float


def figures() -> list[tuple[str, str]]:
    """Rows for `make bench`: what was measured, and the figure."""
    with tempfile.TemporaryDirectory(prefix="bench-web-") as folder, Sandbox(Path(folder) / "sandbox") as sandbox:
        many = measure(sandbox)
        others = measure(sandbox, seconds=_OTHERS_SECONDS, objects=_OTHERS)
    name = f"{CONCURRENT} downloads at a time for {SECONDS:.0f} s, one process"
    return [*_rows_of(name, many, SECONDS), *_rows_of("the same, each of another recording", others, _OTHERS_SECONDS)]


def _rows_of(name: str, load: Load, seconds: float) -> list[tuple[str, str]]:
    return [
        (name, f"{load.answers / seconds:,.0f} answers a second, {len(load.errors)} errors"),
        ("  99th percentile, median", f"{load.p99 * 1000:.0f} ms, {load.median * 1000:.0f} ms"),
    ]


def measure(
    sandbox: Sandbox, *, seconds: float = SECONDS, concurrent: int = CONCURRENT, objects: int = _OBJECTS
) -> Load:
    """Serve recordings of a bucket and a database made for it, and ask for one after the other."""
    with _prepared(sandbox, objects) as (outputs, database, ids), _served(sandbox, outputs, database) as port:
        return asyncio.run(_ask(port, ids, seconds, concurrent))


async def _ask(port: int, ids: list[str], seconds: float, concurrent: int) -> Load:
    times: list[float] = []
    errors: list[str] = []
    end, wanted = time.monotonic() + seconds, cycle(ids)

    async def visitor() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            begun = time.perf_counter()
            writer.write(f"GET /recordings/{next(wanted)}/download HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            head = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)).decode("latin-1").lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0] or 0)
            body = await reader.readexactly(length)
            times.append(time.perf_counter() - begun)
            if not head.startswith("http/1.1 307 ") or "x-amz-signature=" not in head:
                errors.append(f"{head.splitlines()[0]} {body[:200]!r}")
            if time.monotonic() >= end:  # each has asked once, however late it was let in
                break
        writer.close()

    await asyncio.gather(*(visitor() for _ in range(concurrent)))
    ordered = sorted(times)
    return Load(len(times), errors, statistics.median(ordered), ordered[int(len(ordered) * 0.99) - 1])


@contextmanager
def _prepared(sandbox: Sandbox, objects: int) -> Iterator[tuple[str, str, list[str]]]:
    """A bucket with recordings, read with the operator's key, and a database with their rows."""
    env, bucket = sandbox.env, f"bench-web-{secrets.token_hex(4)}"
    key = {"id": env["AWS_ACCESS_KEY_ID"], "secret": env["AWS_SECRET_ACCESS_KEY"], "status": "active"}
    session = boto3.Session(key["id"], key["secret"], region_name=env["AWS_REGION"])
    s3 = session.client("s3", endpoint_url=env["AWS_ENDPOINT_URL"], verify=env["AWS_CA_BUNDLE"])
    s3.create_bucket(Bucket=bucket)
    keys = [f"recordings/beam/room/20260115/Rec-room-{number}.mp4" for number in range(objects)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: s3.put_object(Bucket=bucket, Key=name, Body=b"recording"), keys))
    outputs = {
        "storageProvider": "s3",
        "bucketName": bucket,
        "region": env["AWS_REGION"],
        "pathPrefix": "recordings/",
        "writerKeys": {"blue": key},
        "readerKeys": {"blue": key},
        "registeredKey": "blue",
        "writerAccess": "full",
        "environment": "bench",
        "endpointUrl": env["AWS_ENDPOINT_URL"],
        **{f"{who}{part}": key[name] for who in ("writer", "reader") for part, name in _PARTS.items()},
    }
    with temporary_database(env["DATABASE_URL"], "bench_web") as url:
        yield json.dumps(outputs), url, _rows(url, bucket, keys)


_PARTS: Final = {"AccessKeyId": "id", "SecretAccessKey": "secret"}


def _rows(url: str, bucket: str, keys: list[str]) -> list[str]:
    now = datetime.now(UTC)
    entries = [
        CatalogEntry(f"a{number}", "s3", file_path=f"s3://{bucket}/{key}", status="completed", synced_at=now)
        for number, key in enumerate(keys)
    ]
    with connect(SecretStr(url)) as connection:
        run_migrations(connection, migrations())
        Catalog(connection).upsert(entries)
    return [entry.asset_id for entry in entries]


@contextmanager
def _served(sandbox: Sandbox, outputs: str, database: str) -> Iterator[int]:
    """`recordings serve`, as a back end would run it beside itself; gives its port."""
    command = [sys.executable, "-m", "recordings", "serve", "--outputs", "-", "--port", "0", "--allow-all"]
    env = {**os.environ, **sandbox.env, "DATABASE_URL": database}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdin=pipe, stderr=pipe, stdout=subprocess.DEVNULL, text=True) as process:  # noqa: S603
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(outputs)
        process.stdin.close()
        try:
            found = next((line for line in process.stderr if "serving on" in line), None)
            if found is None:
                raise SystemExit("`recordings serve` did not come up")
            # each request is a line, and a pipe that nobody reads would stop the server once it is full
            Thread(target=deque, args=(process.stderr, 0), daemon=True).start()
            yield int(found.partition("127.0.0.1:")[2].split()[0])
        finally:
            process.terminate()


if __name__ == "__main__":
    for title, value in figures():
        print(f"{title}: {value}")
