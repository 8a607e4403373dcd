"""A whole run: find, look, move in order, and what to say of it. No terminal: `recordings.cli` shows it.

Owns the order of a run and its tally. A dry run and a real one share one list of steps.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from recordings.backfill.mover import Mover, Outcome, Result
from recordings.backfill.moves import Found, Move, find
from recordings.backfill.planning import Workshop, others
from recordings.paths import Home
from recordings.plans import Plan, Step
from recordings.shown import size as shown_size


@dataclass(frozen=True)
class Day:
    """What 100ms deletes on one day: how many recordings, and their bytes as 100ms says them."""

    last_day: date | None
    count: int
    size: int
    days_left: int | None


@dataclass
class Tally:
    """What became of the recordings of a run, and how long moving them took."""

    outcomes: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, result: Result) -> int:
        """How many ended so."""
        return sum(1 for outcome in self.outcomes if outcome.result is result)

    @property
    def size(self) -> int:
        """Bytes that were moved."""
        return sum(outcome.size for outcome in self.outcomes if outcome.result is Result.MOVED)

    @property
    def failed(self) -> list[Outcome]:
        """Those that failed, soonest end first."""
        failed = (outcome for outcome in self.outcomes if outcome.result is Result.FAILED)
        return sorted(failed, key=lambda outcome: outcome.move.order)


def survey(workshop: Workshop, *, room: str | None = None, not_from: Iterable[str] = ()) -> Found:
    """What there is to move, without what is done. Asks 100ms, the bucket and, where there is one, the database."""
    home, now = Home.of(workshop.outputs), datetime.now(UTC)
    found = find(workshop.hms.recording_assets(room_id=room, status="completed"), home, now)
    found.leave(others(workshop.hms, found).union(not_from))
    left = workshop.left(found.moves)
    found.ours += len(found.moves) - len(left)
    found.moves = left
    return found


def steps(moves: Sequence[Move], home: Home, run: Callable[[Move], None], verb: str = "move") -> Plan:
    """A step for each recording, soonest end first."""

    def step(move: Move) -> Step:
        until = f", at 100ms until {move.last_day}" if move.last_day else ""
        title = f"{verb} recording {move.asset.id} ({shown_size(move.asset.size)}{until}) to {home.path(move.key)}"
        return Step(title, lambda: run(move))

    return Plan([step(move) for move in moves])


def move_all(mover: Mover, moves: Sequence[Move], ended: Callable[[Outcome], None]) -> Tally:
    """Move them, and be told of each that has ended. Raises KeyboardInterrupt as soon as the user asks for it."""
    tally, begun = Tally(), time.monotonic()
    for future in as_completed([mover.submit(move) for move in moves]):
        outcome = future.result()
        tally.outcomes.append(outcome)
        ended(outcome)
    tally.seconds = time.monotonic() - begun
    return tally


def by_day(moves: Sequence[Move], today: date) -> list[Day]:
    """What there is to move, by the day on which 100ms deletes it, soonest first."""
    days: dict[date | None, list[int]] = {}
    for move in moves:
        entry = days.setdefault(move.last_day, [0, 0])
        entry[0] += 1
        entry[1] += move.asset.size or 0
    ordered = sorted(days.items(), key=lambda item: item[0] or date.min)
    return [Day(day, count, size, (day - today).days if day else None) for day, (count, size) in ordered]


def reason(outcome: Outcome) -> str:
    """Why it failed, with its last day."""
    until = f"; 100ms deletes it after {outcome.move.last_day}" if outcome.move.last_day else ""
    return f"{outcome.move.asset.id}: {outcome.error}{until}"


def as_json(outcome: Outcome) -> dict[str, Any]:
    """One failure, for `--json`."""
    move = outcome.move
    return {"recording": move.asset.id, "reason": str(outcome.error), "lastDay": move.last_day, "key": move.key}
