"""How fast `recordings backfill` moves bytes, beside rclone and boto3 in the same run: a part of `make bench`.

Between a source and a sink that cost next to nothing (`sandbox.null_store`), so that neither is the limit. Each runs as
a process of its own, and all take turns; times are medians. Ours and boto3's leave out what Python needs to start and
to import, which is told beside it; rclone's start takes no time. Memory is the kernel's account of our whole process.
Ours does all that it does in earnest: claims, presigned parts, checksums, the completion on condition. The sink keeps
no bytes, so that rclone is told not to look for an MD5 of them.

    python -m sandbox.bench_backfill move SOURCE SINK SIZE COUNT     what is measured, in a process of its own
    python -m sandbox.bench_backfill boto3 SOURCE SINK
"""

from __future__ import annotations

import csv
import os
import resource
import shutil
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import urlsplit

from sandbox.null_store import NullStore

GIB: Final = 1 << 30
FILE: Final = 5 << 20
FILES: Final = 200
ROUNDS: Final = 3
_COPIED: Final = "seconds of copying:"
_PEAK: Final = "MiB of memory:"
_KEYS: Final = {
    "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "none",  # the sink checks no signature
    "AWS_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@dataclass(frozen=True)
class Run:
    """One process: seconds from start to end, those that it copied for, and the most memory that ours had, in MiB."""

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
            large = measured(store, 5 * GIB)
            rows.append(("`recordings backfill`, 5 GiB", _speed(5 * GIB, large)))
        with NullStore(_certificate(folder)) as store:
            bundle = str(folder / "ca.pem")
            rows += _one_gibibyte("1 GiB over TLS", store, {"SSL_CERT_FILE": bundle, "AWS_CA_BUNDLE": bundle})
    return rows


def measured(store: NullStore, size: int, count: int = 1) -> Run:
    """Ours alone, once: `count` recordings of `size` bytes. Raises SystemExit if one is not moved."""
    return _run(_ours(store, size, count), {})


def _one_gibibyte(what: str, store: NullStore, env: Mapping[str, str]) -> list[tuple[str, str]]:
    commands = {"ours": _ours(store, GIB), "boto3": _child("boto3", store.object(GIB), store.sink)}
    if rclone := shutil.which("rclone", path=_path()):
        commands["rclone"] = [rclone, "copyurl", store.object(GIB), ":s3:bench/recording.mp4", *_rclone_options(store)]
    taken = _in_turn(commands, env)
    ours = taken["ours"]
    rows = [(f"`recordings backfill`, {what}", _speed(GIB, ours))]
    if rclone:
        rows.append((f"  against `rclone copyurl`, {what}", _times(taken["rclone"], ours)))
    else:
        rows.append((f"  against `rclone copyurl`, {what}", "not run: there is no rclone on PATH"))
    rows.append((f"  against boto3 `upload_fileobj`, {what}", _times(taken["boto3"], ours)))
    return rows


def _many(store: NullStore, folder: Path) -> list[tuple[str, str]]:
    what = f"{FILES} files of 5 MiB"
    commands = {"ours": _ours(store, FILE, FILES)}
    if rclone := shutil.which("rclone", path=_path()):
        listed = folder / "urls.csv"
        with listed.open("w", newline="") as file:
            csv.writer(file).writerows([store.object(FILE, f"{n}.mp4"), f"{n}.mp4"] for n in range(FILES))
        commands["rclone"] = [rclone, "copyurl", "--urls", str(listed), ":s3:bench", *_rclone_options(store)]
    taken = _in_turn(commands, {})
    rows = [(f"`recordings backfill`, {what}", _speed(FILE * FILES, taken["ours"]))]
    told = _times(taken["rclone"], taken["ours"]) if rclone else "not run: there is no rclone on PATH"
    return [*rows, (f"  against `rclone copyurl`, {what}", told)]


def _in_turn(commands: Mapping[str, Sequence[str]], env: Mapping[str, str]) -> dict[str, Run]:
    """The median of each; they take turns, so that what else the machine does hits all alike."""
    runs: dict[str, list[Run]] = {name: [] for name in commands}
    for _ in range(ROUNDS):
        for name, command in commands.items():
            runs[name].append(_run(command, env))
    return {
        name: Run(
            statistics.median(run.seconds for run in each),
            statistics.median(run.copying for run in each),
            max(run.mebibytes for run in each),
        )
        for name, each in runs.items()
    }


def _run(command: Sequence[str], env: Mapping[str, str]) -> Run:
    """Run a command to its end. Raises SystemExit if it fails."""
    root = Path(__file__).resolve().parents[1]
    begun = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(  # noqa: S603
            command, cwd=root, env={**os.environ, **_KEYS, **env}, stdout=said, stderr=said
        )
        process.wait()
        seconds = time.monotonic() - begun
        if process.returncode:
            said.seek(0)
            sys.exit(f"`{' '.join(command)}` ended with {process.returncode}:\n{said.read().decode()[-2000:]}")
        said.seek(0)
        told = said.read().decode()
    return Run(seconds, _told(told, _COPIED, seconds), _told(told, _PEAK, 0.0))


def _told(text: str, name: str, absent: float) -> float:
    """The number that a child printed after a name."""
    found = text.partition(name)[2].split()
    return float(found[0]) if found else absent


def _ours(store: NullStore, size: int, count: int = 1) -> list[str]:
    return _child("move", store.source, store.sink, str(size), str(count))


def _child(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "sandbox.bench_backfill", *arguments]


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
    start = run.seconds - run.copying
    return (
        f"{run.copying:.2f} s and {start:.2f} s to start, {size / run.copying / 2**20:,.0f} MiB/s, "
        f"{run.mebibytes:.0f} MiB of memory"
    )


def _times(theirs: Run, ours: Run) -> str:
    times, whole = theirs.copying / ours.copying, theirs.seconds / ours.seconds
    return f"{times:.2f} times as fast ({theirs.copying:.2f} s; {whole:.2f} times with the start)"


def move(source: str, sink: str, size: int, count: int) -> None:
    """Move `count` objects of `size` bytes, as `recordings backfill` does. Raises SystemExit if one fails."""
    from pydantic import SecretStr

    from recordings.backfill.mover import Result
    from recordings.backfill.moves import Move
    from recordings.backfill.planning import Workshop
    from recordings.backfill.run import move_all
    from recordings.hms_models import PresignedUrl, RecordingAsset
    from recordings.memory import Memory
    from recordings.outputs import StackOutputs
    from recordings.stores import Identity, open_store
    from sandbox.bench_sync import OUTPUTS

    class Presigns:
        def presigned_url(self, asset_id: str, *, seconds: int | None = None) -> PresignedUrl:
            return PresignedUrl.model_validate(
                {"id": asset_id, "url": f"{source}/{size}/{asset_id}", "expiry": seconds}
            )

    for adapter in ("s3", "s3_landing"):  # imported by name, when they are opened
        import_module(f"recordings.stores.{adapter}")
    begun = time.monotonic()
    outputs = StackOutputs.from_mapping({**OUTPUTS, "endpointUrl": sink})
    store = open_store(outputs, Identity.OPERATOR)
    workshop = Workshop(outputs, cast(Any, Presigns()), store, Memory(store, SecretStr("bench")))
    names = [f"{os.getpid()}-{number}" for number in range(count)]  # what an earlier run has put is in the way
    assets = [RecordingAsset(id=name, type="room-composite", status="completed", size=size) for name in names]
    with workshop.mover() as mover:
        moves = [Move(asset, f"recordings/{asset.id}.mp4", None) for asset in assets]
        tally = move_all(mover, moves, lambda _: None)
    if tally.count(Result.MOVED) != count:
        sys.exit(f"not all were moved: {tally.failed[:1]}")
    print(_COPIED, time.monotonic() - begun)
    print(_PEAK, _peak())


def _peak() -> float:
    """The most memory that this process had, in MiB.

    Linux' `getrusage` begins with what the parent had when it forked, so its own account is asked where there is one.
    """
    own = Path("/proc/self/status")
    if own.exists():
        kibibytes = next(line.split()[1] for line in own.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(kibibytes) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def upload(source: str, sink: str) -> None:
    """What one writes with boto3: a stream in, `upload_fileobj` out, everything as it comes."""
    from http.client import HTTPConnection, HTTPSConnection

    import boto3
    from botocore.config import Config

    begun, parts = time.monotonic(), urlsplit(source)
    if parts.scheme == "https":
        connection: HTTPConnection = HTTPSConnection(parts.netloc, context=ssl.create_default_context())
    else:
        connection = HTTPConnection(parts.netloc)
    client = boto3.client("s3", endpoint_url=sink, config=Config(s3={"addressing_style": "path"}))
    connection.request("GET", parts.path)
    client.upload_fileobj(connection.getresponse(), "bench", "recording.mp4")
    print(_COPIED, time.monotonic() - begun)


def main() -> None:
    """Run one of the processes that are measured, or print the figures."""
    match sys.argv[1:]:
        case ["move", source, sink, size, count]:
            move(source, sink, int(size), int(count))
        case ["boto3", source, sink]:
            upload(source, sink)
        case _:
            for name, figure in figures():
                print(f"{name:60} {figure}")


if __name__ == "__main__":
    main()
