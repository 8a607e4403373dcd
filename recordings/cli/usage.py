"""`recordings usage`: parse, show tables, JSON or a chart; `recordings.usage` does the work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from recordings.catalog_entries import CatalogEntry, entry_of
from recordings.cli.frame import Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.cli.tables import show_table
from recordings.cli.text import escape
from recordings.errors import UsageError
from recordings.extras import needs
from recordings.hms import HmsClient
from recordings.hms_auth import HmsCredentials
from recordings.outputs import StackOutputs
from recordings.paths import Home
from recordings.shown import counted, size
from recordings.stores import Identity, Store, open_store
from recordings.usage.chart import chart
from recordings.usage.count import Totals, Usage, as_json, count, hours
from recordings.usage.prices import Cost, load_prices, monthly_cost
from recordings.usage.spool import DIMENSIONS, Sum

_DAYS: Final = 8
"""How many coming days of deletion the table shows; --json has them all."""
_HMS: Final = ("HMS_ACCESS_KEY", "HMS_MANAGEMENT_TOKEN")


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    prices: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Price table of your own (TOML), in place of the list prices.")
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw bytes by month and kind into this file.")
    ] = None,
    top: Annotated[
        int, typer.Option(metavar="N", min=0, help="Show the N largest rooms and, with --json, groups; 0: all.")
    ] = 20,
    as_json: JsonOption = False,
) -> None:
    """Count objects, bytes and hours by month, room, kind and storage class; next deletions; cost of a month.

    Lists the bucket as the operator, old versions included. Hours come from the database where DATABASE_URL is set,
    else from 100ms where HMS_ACCESS_KEY is.

    Example: recordings usage --stack prod --svg usage.svg
    """

    def action() -> None:
        table = load_prices(prices)
        if svg is not None and (svg.is_dir() or not svg.parent.is_dir()):
            raise UsageError(f"--svg {str(svg)!r} is no place for a file: name one in a folder that is there")
        loaded, frame = load_outputs(stack, outputs), Frame(as_json)
        home, store = Home.of(loaded), open_store(loaded, Identity.OPERATOR)
        with _entries(home, frame) as (source, entries), _counting(frame) as tick:
            used = _counted(home, store, entries, top, tick)
        cost = monthly_cost(table, loaded.storage_provider, loaded.region, used.stored)
        if svg is not None:
            svg.write_text(_picture(home, used), encoding="utf-8")
            frame.tell(f"chart: {svg}")
        _report(frame, loaded, used, cost, source)

    run(action, as_json=as_json)


def _counted(
    home: Home, store: Store, entries: Iterable[CatalogEntry], top: int, tick: Callable[[Totals], None]
) -> Usage:
    guards = store.guards()
    used = count(home, store.list_versions(home.prefix), entries, guards, largest=top or None, tick=tick)
    used.uploads = sum(1 for _ in store.list_uploads(home.prefix))
    return used


@contextmanager
def _entries(home: Home, frame: Frame) -> Iterator[tuple[str, Iterable[CatalogEntry]]]:
    """Where lengths come from, and the recordings that say them."""
    if os.environ.get("DATABASE_URL", "").strip():
        with needs("db"):
            from recordings.catalog import Catalog
            from recordings.database import connect, database_url
        with connect(database_url(os.environ)) as connection:
            yield "the database", Catalog(connection).scan()
    elif any(os.environ.get(name, "").strip() for name in _HMS):
        with HmsClient(HmsCredentials.from_environment(os.environ)) as hms:
            asked = datetime.now(UTC)
            yield "100ms", (entry_of(asset, home, asked)[0] for asset in hms.recording_assets())
    else:
        frame.tell("no hours: neither DATABASE_URL nor HMS_ACCESS_KEY is set", style="yellow")
        yield "nobody", ()


@contextmanager
def _counting(frame: Frame) -> Iterator[Callable[[Totals], None]]:
    """A spinner with counts on a terminal, nothing elsewhere."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=frame.story, transient=True, disable=not frame.story.is_terminal) as bar:
        task = bar.add_task("reading what is known of recordings", total=None)

        def tick(totals: Totals) -> None:
            bar.update(
                task, description=f"{counted(totals.objects + totals.old_versions, 'version')}, {size(totals.bytes)}"
            )

        yield tick


def _picture(home: Home, used: Usage) -> str:
    totals = used.totals
    note = f"{counted(totals.objects, 'object')}, {size(totals.bytes)}, and {size(totals.old_bytes)} of old versions"
    return chart(f"Recordings in {home.path(home.prefix)}", used.months_by_kind, note)


def _report(frame: Frame, outputs: StackOutputs, used: Usage, cost: Cost, source: str) -> None:
    totals = used.totals
    coming = [
        {"day": day.isoformat(), "end": end.value, "objects": amount.objects, "bytes": amount.bytes}
        for day, end, amount in used.retention.next()
    ]
    data: dict[str, Any] = {
        "bucket": outputs.bucket_name,
        "prefix": outputs.path_prefix,
        "totals": {
            "objects": totals.objects,
            "bytes": totals.bytes,
            "hours": round(totals.seconds / 3600, 3),
            "objectsWithHours": totals.timed,
            "hoursFrom": source,
            "oldVersions": totals.old_versions,
            "oldVersionBytes": totals.old_bytes,
            "deleteMarkers": totals.markers,
            "unfinishedUploads": used.uploads,
        },
        "byMonth": as_json(used.months, ["month"]),
        "byKind": as_json(used.kinds, ["kind"]),
        "byStorageClass": as_json(used.classes, ["class"]),
        "byRoom": as_json(used.rooms, ["room"]),
        "rooms": used.room_count,
        "groups": as_json(used.groups, DIMENSIONS),
        "groupCount": used.group_count,
        "retention": coming,
        "softDeleteDays": used.retention.guards.soft_delete.days,
        "monthlyCost": asdict(cost),
    }
    frame.result(data, lambda out: _show(out, used, cost, coming))


def _show(out: Console, used: Usage, cost: Cost, coming: Sequence[dict[str, Any]]) -> None:
    totals = used.totals
    out.print(
        f"{counted(totals.objects, 'object')}, {size(totals.bytes)}, {totals.seconds / 3600:,.1f} hours "
        f"(of {totals.timed:,} whose length is known); {counted(totals.old_versions, 'old version')}, "
        f"{size(totals.old_bytes)}; {counted(used.uploads, 'unfinished upload')}"
    )
    for name, sums in (("month", used.months), ("kind", used.kinds), ("storage class", used.classes)):
        _table(out, name, sums)
    _table(out, "room", used.rooms, more=used.room_count - len(used.rooms))
    _show_retention(out, used, coming)
    _show_cost(out, cost)


def _table(out: Console, name: str, sums: Sequence[Sum], *, more: int = 0) -> None:
    figures = ("objects", "old versions", "size", "hours")
    out.print()
    show_table(out, (name, *figures), map(_counts, sums), right=figures)
    if more > 0:
        out.print(f"and {counted(more, name)} more")


def _counts(group: Sum) -> tuple[str, ...]:
    counts = f"{group.objects:,}", f"{group.old:,}", size(group.bytes), f"{hours(group):,.1f}"
    return escape(group.names[0]), *counts


def _show_retention(out: Console, used: Usage, coming: Sequence[dict[str, Any]]) -> None:
    out.print()
    if not coming:
        out.print("retention: no rule of the bucket deletes any of this")
        return
    today, figures = datetime.now(UTC).date().isoformat(), ("objects", "size")
    rows = (
        (
            f"{entry['day']}{' (due)' if entry['day'] <= today else ''}",
            entry["end"],
            f"{entry['objects']:,}",
            size(entry["bytes"]),
        )
        for entry in coming[:_DAYS]
    )
    show_table(out, ("retention, day (UTC)", "what", *figures), rows, right=figures)
    if len(coming) > _DAYS:
        out.print(f"and {counted(len(coming) - _DAYS, 'day')} more, until {coming[-1]['day']}")
    if soft := used.retention.guards.soft_delete.days:
        out.print(f"what is removed is kept, and billed, {counted(soft, 'day')} more (soft delete)")


def _show_cost(out: Console, cost: Cost) -> None:
    out.print()
    for name, amount in cost.by_class.items():
        out.print(f"a month of {name} in {cost.region}: {amount:,.2f} {cost.currency}")
    if cost.unpriced:
        known = f"the price table has none for {', '.join(cost.unpriced)} in {cost.region}: give --prices FILE"
        out.print(escape(f"without a price: {known}"))
    out.print(escape(f"in all a month: {cost.total:,.2f} {cost.currency} for storage alone"))
    out.print(escape(f"prices of {cost.date}: {cost.source}" if cost.date else "there are no prices for this provider"))
