"""How fast `recordings backfill` moves recordings, beside rclone and boto3 in the same run: a part of `make bench`.

Between a source and a sink that cost next to nothing (`sandbox.null_store`), so that neither is the limit. Each runs as
a process of its own, and all take turns; times are medians. Two figures compare them: whole commands, from start to
end, with all that Python needs to start, to import and to ask before the first byte; and the copying alone, which ours
and boto3's say themselves (rclone's start takes no time). Ours is the command as a user runs it, and does all that it
does in earnest: it asks 100ms what there is, claims, presigns, computes checksums, completes on condition. The sink
keeps no bytes, so that rclone is told not to look for an MD5 of them.

    python -m sandbox.bench_backfill boto3 SOURCE SINK     what is written with boto3, in a process of its own
"""

from __future__ import annotations

import csv
import json
import os
import secrets
import shutil
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sandbox import bench_process
from sandbox.null_store import NullStore

GIB: Final = 1 << 30
FILE: Final = 5 << 20
FILES: Final = 200
ROUNDS: Final = 5
_KEYS: Final = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "none",  # the sink checks no signature
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "HMS_ACCESS_KEY": "bench",
    "HMS_APP_SECRET": "bench",
    "DATABASE_URL": "",
}


@dataclass(frozen=True)
class Run:
    """One process: seconds from start to end, those that it copied for, and the most memory that it had, in MiB."""

    seconds: float
    copying: float
    mebibytes: float


def figures() -> list[tuple[str, str]]:
    """Rows for `make bench`."""
    rows: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory(prefix="bench-backfill-") as name:
        folder = Path(name)
        with NullStore() as store:
            rows += _one_gibibyte("1 GiB", store, {})
            rows += _many(store, folder)
            rows.append(("`recordings backfill`, 5 GiB", _speed(5 * GIB, measured(store, 5 * GIB))))
        with NullStore(_certificate(folder)) as store:
            bundle = str(folder / "ca.pem")
            rows += _one_gibibyte("1 GiB over TLS", store, {"SSL_CERT_FILE": bundle, "AWS_CA_BUNDLE": bundle})
    return rows


def measured(store: NullStore, size: int, count: int = 1, env: Mapping[str, str] | None = None) -> Run:
    """Ours alone, once: `count` recordings of `size` bytes. Raises SystemExit if one is not moved."""
    from sandbox.bench_sync import OUTPUTS

    where = store.api_url(size, count, secrets.token_hex(4))  # what an earlier run has put is in the way
    command = bench_process.child("recordings", "backfill", "--json", "--outputs", "-")
    outputs = json.dumps({**OUTPUTS, "endpointUrl": store.sink})
    done = bench_process.run(command, {**_KEYS, **(env or {}), "HMS_API_URL": where}, stdin=outputs)
    result = json.loads(done.said)
    if result["moved"] != count:
        sys.exit(f"not all were moved: {done.said}")
    return Run(done.seconds, result["seconds"], done.mebibytes)


def _one_gibibyte(what: str, store: NullStore, env: Mapping[str, str]) -> list[tuple[str, str]]:
    runs = {"ours": lambda: measured(store, GIB, env=env), "boto3": lambda: _boto3(store, env)}
    if rclone := shutil.which("rclone", path=_path()):
        command = [rclone, "copyurl", store.object(GIB), ":s3:bench/recording.mp4", *_rclone_options(store)]
        runs["rclone"] = lambda: _whole(command, env)
    taken = _in_turn(runs)
    return [
        (f"`recordings backfill`, {what}", _speed(GIB, taken["ours"])),
        (f"  against `rclone copyurl`, {what}", _times(taken.get("rclone"), taken["ours"])),
        (f"  against boto3 `upload_fileobj`, {what}", _times(taken["boto3"], taken["ours"])),
    ]


def _many(store: NullStore, folder: Path) -> list[tuple[str, str]]:
    what = f"{FILES} files of 5 MiB"
    runs = {"ours": lambda: measured(store, FILE, FILES)}
    if rclone := shutil.which("rclone", path=_path()):
        listed = folder / "urls.csv"
        with listed.open("w", newline="") as file:
            csv.writer(file).writerows([store.object(FILE, f"{n}.mp4"), f"{n}.mp4"] for n in range(FILES))
        command = [rclone, "copyurl", "--urls", str(listed), ":s3:bench", *_rclone_options(store)]
        runs["rclone"] = lambda: _whole(command, {})
    taken = _in_turn(runs)
    return [
        (f"`recordings backfill`, {what}", _speed(FILE * FILES, taken["ours"])),
        (f"  against `rclone copyurl`, {what}", _times(taken.get("rclone"), taken["ours"])),
    ]


def _in_turn(runs: Mapping[str, Callable[[], Run]]) -> dict[str, Run]:
    """The median of each, after one that is not counted; they take turns, so that all alike meet a busy machine."""
    rounds = [{name: run() for name, run in runs.items()} for _ in range(ROUNDS + 1)][1:]
    return {name: _median([taken[name] for taken in rounds]) for name in runs}


def _median(runs: list[Run]) -> Run:
    return Run(
        statistics.median(run.seconds for run in runs),
        statistics.median(run.copying for run in runs),
        max(run.mebibytes for run in runs),
    )


def _whole(command: list[str], env: Mapping[str, str]) -> Run:
    """A command that does not say how long it copied."""
    done = bench_process.run(command, {**_KEYS, **env})
    return Run(done.seconds, done.seconds, done.mebibytes)


def _boto3(store: NullStore, env: Mapping[str, str]) -> Run:
    command = bench_process.child("sandbox.bench_backfill", "boto3", store.object(GIB), store.sink)
    done = bench_process.run(command, {**_KEYS, **env})
    return Run(done.seconds, float(done.said), done.mebibytes)


def _rclone_options(store: NullStore) -> list[str]:
    """The same part size and number in flight as ours; all else is rclone's own."""
    settings = {
        "provider": "AWS",
        "endpoint": store.sink,
        "env-auth": "true",
        "force-path-style": "true",
        "no-check-bucket": "true",
        "chunk-size": "16M",
        "upload-concurrency": "4",
        "use-multipart-etag": "false",
        "use-presigned-request": "true",  # without TLS it can send a small file of which it has a stream only so
    }
    options = [f"--s3-{name}={value}" for name, value in settings.items()]
    return ["--config", os.devnull, "--no-check-certificate", *options]


def _path() -> str:
    """Where programs are looked for: beside this Python too, where a wheel puts them."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def _certificate(folder: Path) -> Path:
    import trustme

    authority = trustme.CA(organization_name="bench")
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return folder / "server.pem"


def _speed(size: int, run: Run) -> str:
    rate = f"{size / run.copying / 2**20:,.0f} MiB/s"
    return f"{run.seconds:.2f} s, copying {run.copying:.2f} s ({rate}), {run.mebibytes:.0f} MiB of memory"


def _times(theirs: Run | None, ours: Run) -> str:
    if theirs is None:
        return "not run: there is no rclone on PATH"
    whole, copying = theirs.seconds / ours.seconds, theirs.copying / ours.copying
    return f"{whole:.2f} times as fast ({theirs.seconds:.2f} s), copying alone {copying:.2f} times"


def upload(source: str, sink: str) -> float:
    """What one writes with boto3: a stream in, `upload_fileobj` out, everything as it comes. Gives seconds."""
    from http.client import HTTPConnection, HTTPSConnection

    import boto3
    from botocore.config import Config

    parts = urlsplit(source)
    if parts.scheme == "https":
        connection: HTTPConnection = HTTPSConnection(parts.netloc, context=ssl.create_default_context())
    else:
        connection = HTTPConnection(parts.netloc)
    client = boto3.client("s3", endpoint_url=sink, config=Config(s3={"addressing_style": "path"}))
    begun = time.monotonic()
    connection.request("GET", parts.path)
    client.upload_fileobj(connection.getresponse(), "bench", "recording.mp4")
    return time.monotonic() - begun


def main() -> None:
    """Copy with boto3, or print the figures."""
    match sys.argv[1:]:
        case ["boto3", source, sink]:
            print(upload(source, sink))
        case _:
            for name, figure in figures():
                print(f"{name:60} {figure}")


if __name__ == "__main__":
    main()
