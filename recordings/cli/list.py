"""`recordings list`: a table of recordings."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console

from recordings.catalog_entries import CatalogEntry
from recordings.cli.frame import Frame, JsonOption, OutputsOption, RoomOption, StackOption, load_outputs, run
from recordings.cli.source import open_rows
from recordings.cli.tables import show_table
from recordings.cli.text import escape
from recordings.shown import length, moment, size


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    room: RoomOption = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100_000, help="How many, newest first.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List recordings, newest first: id, room, time, length, size, whose storage.

    From the database that DATABASE_URL names; without it from 100ms, with the stack's outputs to know its bucket.

    Example: recordings list --limit 5
    """

    def action() -> None:
        frame = Frame(as_json)
        with open_rows(lambda: load_outputs(stack, outputs)) as rows:
            found = rows.newest(room, limit)
        data = {"source": rows.name, "recordings": [_data(entry) for entry in found]}
        frame.result(data, lambda out: _show(out, found))

    run(action, as_json=as_json)


def _data(entry: CatalogEntry) -> dict[str, Any]:
    return {
        "id": entry.asset_id,
        "roomId": entry.room_id,
        "type": entry.type,
        "status": entry.status,
        "recordedAt": entry.recorded_at.isoformat() if entry.recorded_at else None,
        "durationSeconds": entry.duration,
        "sizeBytes": entry.size,
        "storage": entry.storage_provider,
        "path": entry.file_path,
    }


def _show(out: Console, found: list[CatalogEntry]) -> None:
    if not found:
        out.print("no recordings")
        return
    columns = ("id", "room", "type", "recorded", "length", "size", "stored")
    show_table(out, columns, map(_row, found), whole=True, right=("length", "size"))


def _row(entry: CatalogEntry) -> tuple[str, ...]:
    state = entry.status if entry.status not in (None, "completed") else entry.storage_provider
    texts = (entry.asset_id, entry.room_id or "", entry.type or "", moment(entry.recorded_at))
    return tuple(map(escape, (*texts, length(entry.duration), size(entry.size), state or "")))
