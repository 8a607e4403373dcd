"""`recordings rooms`: parse and print; `recordings.rooms` does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from recordings.cli.frame import DryRunOption, Frame, JsonOption, OutputsOption, StackOption, load_outputs, run
from recordings.cli.place import open_place
from recordings.cli.tables import show_table
from recordings.cli.text import escape
from recordings.errors import CheckFailedError, UsageError
from recordings.registration import Place
from recordings.rooms import OURS, OwnStorage, State, plan_update, survey

_STYLE: Final = {State.CURRENT: "green", State.STALE: "red", State.FORMER: "red", State.UNKNOWN: "yellow"}


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    update: Annotated[
        bool, typer.Option("--update", help="Give them the stack's bucket and key: all that are stale, or --room.")
    ] = False,
    room: Annotated[
        list[str] | None,
        typer.Option("--room", metavar="ID", help="With --update: this room, whatever storage it has; repeat it."),
    ] = None,
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """List 100ms rooms with storage settings of their own, disabled ones too, and bring them up to date.

    Neither registering a template nor rotating its key reaches such a room. A `stale` one has the stack's
    bucket and another key; `key not shown` may be either, as 100ms shows no key of a room. --update changes bucket and
    key of those and of the ones in former buckets, reads them back, and remembers what they were (encrypted, in the
    bucket).

    Example: recordings rooms --stack dev --update --dry-run
    """

    def action() -> None:
        if room and not update:
            raise UsageError("--room says what to --update: give both, or neither to list")
        frame = Frame(as_json)
        deployed = load_outputs(stack, outputs)
        with open_place(deployed, frame) as place:
            if update:
                _update(frame, place, room or (), dry_run=dry_run)
            else:
                _list(frame, survey(place))

    run(action, as_json=as_json)


def _list(frame: Frame, rooms: Sequence[OwnStorage]) -> None:
    def show(out: Console) -> None:
        if rooms:
            show_table(out, ("room", "name", "enabled", "storage", "key", "state"), map(_row, rooms))
        else:
            out.print("no room has storage settings of its own")

    behind = sum(room.state in OURS for room in rooms)
    frame.result({"rooms": [_shown(room) for room in rooms], "behind": behind}, show)
    if behind:
        frame.tell(f"{behind} of {len(rooms)} are not known to be up to date: `recordings rooms --update` brings them")


def _row(room: OwnStorage) -> tuple[str, ...]:
    state = f"[{_STYLE.get(room.state, 'default')}]{room.state.value}[/]"
    enabled = "yes" if room.enabled else "no"
    texts = room.id, room.name, enabled, room.location or "-", room.key or "not shown"
    return *map(escape, texts), state


def _shown(room: OwnStorage) -> dict[str, Any]:
    return {
        "id": room.id,
        "name": room.name,
        "enabled": room.enabled,
        "storage": room.location or None,
        "key": room.key,
        "state": room.state.value,
    }


def _update(frame: Frame, place: Place, ids: Sequence[str], *, dry_run: bool) -> None:
    """Run or print the plan; ends the process with 1 if there are faults, after everything that could be done."""
    intent = plan_update(place, ids)
    steps = frame.run_plan(intent.plan, dry_run=dry_run)

    def show(out: Console) -> None:
        for id_, state in intent.rooms.items():
            out.print(f"room {id_}: {escape(state)}{' (not yet: dry run)' if dry_run and steps else ''}")
        if not intent.rooms:
            out.print("no room has storage settings of its own: nothing to do")

    faults = list(intent.faults)
    frame.result({"rooms": dict(intent.rooms), "steps": steps, "faults": faults, "dryRun": dry_run}, show)
    for fault in faults:
        frame.tell(f"fault: {fault}", style="red")
    if faults:
        raise SystemExit(CheckFailedError.exit_code)
