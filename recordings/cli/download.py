"""`recordings download`: one recording into a file, with progress, resumed and checked."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from recordings.catalog_entries import HMS, CatalogEntry
from recordings.cli.frame import Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.cli.source import open_rows
from recordings.cli.text import escape
from recordings.downloads import Downloads
from recordings.errors import StoreError, UsageError
from recordings.fetch import Source, Tick, fetch
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.hosts import Hosts
from recordings.outputs import StackOutputs
from recordings.shown import size
from recordings.signing import file_name
from recordings.stores import SignedUrl
from recordings.verification import http_client


def command(
    recording: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the recording, as `recordings list` shows it, or its path.")
    ],
    stack: StackOption = None,
    outputs: OutputsOption = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where to; by default its own name in this folder."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Download a recording into a file, from the stack's bucket or from 100ms while it is there.

    Goes on where an earlier run broke off, and says by which checksum of the store it was compared: CRC64NVME or CRC32C
    with the extra `backfill`, another that the object has, or its length. The file is in place only when it is whole.
    The id is looked up in the database that DATABASE_URL names, else at 100ms.

    Example: recordings download 65f0c2d8e1 -o monday.mp4
    """

    def action() -> None:
        loaded, frame = load_outputs(stack, outputs), Frame(as_json)
        entry = _find(recording, loaded)
        target = _target(output, entry)
        with http_client() as http, _source(entry, loaded, http) as source, _progress(frame) as tick:
            done = fetch(source, target, overwrite=force, tick=tick)
        if done.resumed_at:
            frame.tell(f"went on from byte {done.resumed_at:,}")
        result = {"file": str(done.path), "size": done.size, "resumedAt": done.resumed_at, "compared": done.proof}
        text = f"{done.path}: {size(done.size)}, compared by {done.proof}"
        frame.result(result, lambda out: out.print(escape(text)))

    run(action, as_json=as_json)


def _find(recording: str, loaded: StackOutputs) -> CatalogEntry:
    """The row of an id; of a path, what the path says. Raises UsageError for what nobody knows."""
    if "://" in recording:
        path = Downloads(loaded).home.source(recording)
        return CatalogEntry(recording, path.provider.value, file_path=recording, room_id=path.room_id)
    with open_rows(lambda: loaded) as rows:
        entry = rows.find(recording)
    if entry is None:
        raise UsageError(f"no recording has the id {recording!r} ({rows.name} was asked): see `recordings list`")
    if not entry.file_path:
        raise UsageError(f"100ms reported no file for {recording!r} (status {entry.status})")
    return entry


def _target(output: Path | None, entry: CatalogEntry) -> Path:
    """Where to; a name of our own never has a folder in it, whatever the path of the row says."""
    name = file_name((entry.file_path or "").partition("?")[0])
    if output is None:
        return Path(name)
    return output / name if output.is_dir() else output


@contextmanager
def _source(entry: CatalogEntry, loaded: StackOutputs, http: httpx.Client) -> Iterator[Source]:
    """From our bucket as the reader, or from 100ms by its own presigned URL."""
    what = f"recording {entry.asset_id}"
    if entry.storage_provider != HMS:
        store, path = Downloads(loaded).locate(entry.file_path or "")
        yield Source(
            lambda: store.sign(path.key, timedelta(hours=1)),
            store.refusal,
            what,
            http,
            checksums=partial(store.checksums, path.key),
        )
        return
    hosts = Hosts.of(loaded)
    with HmsClient(HmsCredentials.from_environment(os.environ)) as hms:

        def sign() -> SignedUrl:
            url = hms.presigned_url(entry.asset_id).url.get_secret_value()
            with suppress(OSError):  # a name that nobody knows fails when it is asked
                hosts.addresses(hosts.check(url))
            return SignedUrl(url, datetime.now(UTC))

        yield Source(sign, _refused_at_100ms, what, http)


def _refused_at_100ms(status: int, body: bytes, what: str) -> StoreError:
    return StoreError(f"{what}: 100ms' storage answered {status}: 100ms keeps recordings for 15 days")


@contextmanager
def _progress(frame: Frame) -> Iterator[Tick]:
    """A bar on a terminal, nothing elsewhere."""
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=frame.story, transient=True, disable=not frame.story.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
