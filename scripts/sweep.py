"""Take down test stacks that are past their `expiresAt`, and report what could not be.

Example: python -m scripts.sweep --home dev

Goes on after a failure. Never touches a stack without an `expiresAt`, or a protected one. `--home` names the stack in
whose bucket `scripts.pr_stack` keeps its leases: then a stack of which nothing is left to say when it expires is swept
by its lease, and leases of stacks that are gone are released. Exit code 1: something failed; 4: recordings still go
into a bucket, the next sweep takes it down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from recordings.cli.frame import DryRunOption, Frame, JsonOption, load_outputs, pulumi, run
from recordings.cli.place import open_place
from recordings.durations import parse_duration
from recordings.errors import CheckFailedError, NotDueError, RecordingsError
from recordings.leases import Lease, Leases
from recordings.redact import redact
from recordings.stacks import Listed, Stacks
from recordings.sweeping import Fate, Verdict, as_json, as_markdown, idle, judge
from recordings.teardown import Wish, check_named, look
from recordings.teardown_waiting import Waiting
from scripts.command import alone
from scripts.github import write_summary
from scripts.teardown import take_down

HomeOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="A stack that stays, in whose bucket the leases of test stacks are kept."),
]


def sweep(
    home: HomeOption = None,
    keep_recordings: Annotated[
        bool, typer.Option("--keep-recordings", help="Do not stop recordings that still run in an expired stack.")
    ] = False,
    wait: Annotated[str, typer.Option(metavar="T", help="How long to wait for the recordings of each stack.")] = "0s",
    dry_run: DryRunOption = False,
    as_json_: JsonOption = False,
) -> None:
    """Take down every test stack that is past its time."""

    def action() -> None:
        frame, waiting = Frame(as_json_), Waiting(parse_duration(wait))
        with leases_of(home, frame) as leases:
            broom = Broom(frame, leases, Wish(stop_recordings=not keep_recordings), waiting, dry_run)
            verdicts = [*broom.sweep()]
        report(frame, verdicts)

    run(action, as_json=as_json_)


@contextmanager
def leases_of(home: str | None, frame: Frame) -> Iterator[Leases | None]:
    """The leases in the bucket of the stack `home`; None without one."""
    if home is None:
        yield None
        return
    with open_place(load_outputs(home, None), frame) as place:
        yield Leases(place.memory)


@dataclass(frozen=True)
class Broom:
    """One sweep."""

    frame: Frame
    leases: Leases | None
    wish: Wish
    waiting: Waiting
    dry_run: bool

    def sweep(self) -> Iterator[Verdict]:
        """Judge every stack, and take down those that are due, each whatever became of the others."""
        leases = {lease.stack: lease for lease in (self.leases.all() if self.leases else ())}
        listed, now = Stacks(pulumi).list(), datetime.now(UTC)
        for each in listed:
            lease = leases.get(_short(each.name))
            yield self._safely(each.name, partial(self._one, each, lease, now))
        for lease in idle(leases.values(), [_short(each.name) for each in listed], now):
            yield self._safely(lease.stack, partial(self._release, lease))

    def _one(self, listed: Listed, lease: Lease | None, now: datetime) -> Verdict:
        stacks = Stacks(pulumi)
        character = stacks.character(listed.name, stacks.outputs(listed.name))
        verdict = judge(listed.name, character, lease, now)
        if verdict.fate is not Fate.EXPIRED:
            return verdict
        self.frame.tell(f"stack {listed.name} expired {verdict.reason}")
        target = look(stacks, listed.name, known_test=lease is not None)
        if target is not None:
            check_named(target, None)
        take_down(self.frame, target, self.wish, self.waiting, dry_run=self.dry_run)
        if self.dry_run:
            return verdict
        if self.leases is not None:
            self.leases.release(_short(listed.name))
        return replace(verdict, fate=Fate.SWEPT)

    def _release(self, lease: Lease) -> Verdict:
        if self.leases is not None and not self.dry_run:
            self.leases.release(lease.stack)
        return Verdict(lease.stack, Fate.RELEASED, f"template {lease.template}: its stack is gone")

    def _safely(self, name: str, act: Callable[[], Verdict]) -> Verdict:
        """The verdict, or why there is none: one stack must not keep the others from being swept."""
        try:
            return act()
        except NotDueError as error:
            return Verdict(name, Fate.NOT_YET, str(error))
        except RecordingsError as error:
            return Verdict(name, Fate.FAILED, "\n".join([str(error), *getattr(error, "__notes__", ())]))
        except Exception as error:  # whatever it is: the sweep goes on, and tells
            return Verdict(name, Fate.FAILED, redact(f"{type(error).__name__}: {error}"))


def report(frame: Frame, verdicts: Sequence[Verdict]) -> None:
    """Print it, add it to the job's summary, and end with the exit code."""
    text = as_markdown(verdicts)
    write_summary(text)
    frame.result(as_json(verdicts), lambda out: out.print(text, markup=False))
    fates = {verdict.fate for verdict in verdicts}
    if Fate.FAILED in fates:
        raise SystemExit(CheckFailedError.exit_code)
    if Fate.NOT_YET in fates:
        raise SystemExit(NotDueError.exit_code)


def _short(name: str) -> str:
    return name.rpartition("/")[2]


app = alone(sweep, __doc__)

if __name__ == "__main__":
    app()
