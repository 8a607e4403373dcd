"""`recordings rotate`: parse, run `up`, print; `recordings.rotation` decides and does."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from recordings.adoption.stack_file import StackFile
from recordings.cli.frame import DryRunOption, Frame, JsonOption, pulumi, run
from recordings.cli.place import open_place
from recordings.durations import parse_duration
from recordings.errors import CheckFailedError, NotDueError, RemoteError, UsageError
from recordings.outputs import StackOutputs
from recordings.plans import Plan, Step
from recordings.retry import Timing
from recordings.rotation import NOTES, Action, Kind, Means, Position, Role, Rotation
from recordings.rotation.proof import probe, prove
from recordings.verification import Check, Status

LIFE: Final = timedelta(days=60)
"""When a scheduled job hears that a key is due for rotation; CIS asks for 90 days at most."""
TOMORROW: Final = timedelta(days=1)


@dataclass(frozen=True)
class Wish:
    """What the command line asks for."""

    role: Role = Role.WRITER
    rooms: bool = False
    overlap: timedelta | None = None
    advance: bool = False
    back: bool = False
    dry_run: bool = False


def command(
    stack: Annotated[str, typer.Option("--stack", "-s", metavar="NAME", help="Stack whose key to rotate.")],
    reader: Annotated[
        bool, typer.Option("--reader", help="Rotate the key that signs downloads, not the one of 100ms.")
    ] = False,
    rooms: Annotated[
        bool, typer.Option("--rooms", help="Give the new key to rooms with storage settings of their own as well.")
    ] = False,
    overlap: Annotated[
        str | None,
        typer.Option(
            metavar="T",
            help="How long URLs of the old key go on working. Default: as long as one can live, 72h or more.",
        ),
    ] = None,
    advance: Annotated[
        bool,
        typer.Option("--advance", help="Do the one step that is due of a rotation under way, for a scheduled job."),
    ] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Turn back a rotation under way, from wherever it is.")
    ] = False,
    no_deploy: Annotated[
        bool, typer.Option("--no-deploy", help="Change the stack's file alone: a pipeline of yours runs `up`.")
    ] = False,
    cwd: Annotated[Path, typer.Option("--cwd", "-C", metavar="DIR", help="The Pulumi project's folder.")] = Path(),
    dry_run: DryRunOption = False,
    as_json: JsonOption = False,
) -> None:
    """Replace the access key of 100ms, or of the reader, without an outage; run it again to go on.

    New key beside the old one, proved by use, given to every template and read back; then, once no recording needs the
    old key and its URLs have run out, the old key is made inactive, the new one proved again, the old one removed. Each
    step changes Pulumi.STACK.yaml and runs `pulumi up`: commit that file. Exit code 4: nothing is due before the time
    that it names. Whatever happens, 100ms always has a key that works.

    Example: recordings rotate --stack prod --dry-run
    """

    def action() -> None:
        if advance and rollback:
            raise UsageError("--advance goes on with what is under way, --rollback turns it back: give one of them")
        wish = Wish(
            role=Role.READER if reader else Role.WRITER,
            rooms=rooms,
            overlap=None if overlap is None else parse_duration(overlap),
            advance=advance,
            back=rollback,
            dry_run=dry_run,
        )
        frame = Frame(as_json)
        with opened(frame, stack, cwd, wish.role, deploys=not no_deploy) as rotation:
            Run(frame, rotation, wish).perform()

    run(action, as_json=as_json)


@contextmanager
def opened(frame: Frame, stack: str, cwd: Path, role: Role, *, deploys: bool) -> Iterator[Rotation]:
    """Open everything that a rotation works with, from the environment."""
    report = partial(_report, frame)
    outputs = _outputs(stack, cwd)
    means = Means(
        outputs=lambda: _outputs(stack, cwd),
        file=lambda: StackFile.open(cwd / f"Pulumi.{stack.rpartition('/')[2]}.yaml"),
        up=partial(_up, stack, cwd) if deploys else None,
        prove=lambda now, who, slot: prove(now, who, slot, report, frame.tell),
        probe=lambda now, who, old, new: probe(now, who, old, new, report, frame.tell),
        timing=Timing(),
        tell=frame.tell,
    )
    with open_place(outputs, frame) as place:
        yield Rotation(role, place, means)


@dataclass
class Run:
    """One run of the command over a rotation."""

    frame: Frame
    rotation: Rotation
    wish: Wish
    done: list[str] = field(default_factory=list)

    def perform(self) -> None:
        """Do, or with --dry-run show, what is due.

        Raises NotDueError with the time to come back, CheckFailedError where somebody else must act first.
        """
        start = self._start()
        if start is None:
            return
        position, steps = start
        if self.wish.dry_run:
            self._show(position, steps)
            return
        for step in steps:
            self._run(step)
        while not self._over(action := self.rotation.due()):
            self._run(self.rotation.step(action))
            if action.kind is Kind.FINISH:
                break
            if self.wish.advance and _ends_step(action, self.rotation.due()):
                break
        self._result(position, finished=self.rotation.position is None)

    def _start(self) -> tuple[Position, list[Step]] | None:
        """Where this run sets out, and what it remembers first; None where nothing is to be done."""
        rotation, wish = self.rotation, self.wish
        position = rotation.position
        if position is None and wish.back:
            self.frame.tell(f"no rotation of the {rotation.role}'s key is under way: nothing to turn back")
            self.frame.result({"role": rotation.role.value, "steps": [], "dryRun": wish.dry_run}, lambda _: None)
            return None
        if position is None and wish.advance:
            raise self._rest()
        if position is None:
            position = rotation.first(wish.overlap, rooms=wish.rooms)
            self._check_way(position)
            return position, [self._remember(f"begin: {_way(rotation, position)}", position)]
        steps = []
        if wish.back and not position.back:
            position = position.reversed(rotation.now())
            steps.append(self._remember(f"turn back: {_way(rotation, position)}", position))
        if (wanted := position.asked(wish.overlap, rooms=wish.rooms)) != position:
            position = wanted
            steps.append(self._remember("remember what this run asks for", position))
        return position, steps

    def _remember(self, title: str, position: Position) -> Step:
        return Step(title, partial(self.rotation.save, position))

    def _check_way(self, position: Position) -> None:
        """Stop before anything is changed where the rotation could not come to its end."""
        _, end = self.rotation.assumed(position)
        if end.kind is Kind.STOP:
            raise CheckFailedError(f"{end.title}. Nothing was changed")

    def _rest(self) -> NotDueError:
        """What a scheduled job hears while no rotation is under way: when the next one should begin."""
        now, last = self.rotation.now(), self.rotation.finished
        until = max(now + TOMORROW, last.at + LIFE) if last else now + TOMORROW
        ended = f"the last one ended on {last.at:%Y-%m-%d}" if last else "none is remembered"
        return NotDueError(
            f"no rotation of the {self.rotation.role}'s key is under way ({ended}); `recordings rotate` begins one",
            until,
        )

    def _run(self, step: Step) -> None:
        self.done += self.frame.run_plan(Plan([step]), dry_run=False)

    def _over(self, action: Action) -> bool:
        if action.kind is Kind.STOP:
            raise CheckFailedError(action.title)
        if action.kind is Kind.WAIT:
            until = action.until or datetime.now(UTC)
            error = NotDueError(f"{action.title}; come back at {_time(until)}", until)
            for title in self.done:
                error.add_note(f"done: {title}")
            raise error
        return False

    def _show(self, position: Position, first: list[Step]) -> None:
        actions, end = self.rotation.assumed(position)
        if not first and not actions:
            self._over(end)
        if self.wish.advance:
            pairs = enumerate(zip(actions, [*actions[1:], end], strict=True))
            last = next((n for n, (action, then) in pairs if _ends_step(action, then)), len(actions))
            actions = actions[: last + 1]
        steps = [*first, *(self.rotation.step(action) for action in actions)]
        titles = self.frame.run_plan(Plan(steps), dry_run=True)
        told = {Kind.WAIT: f"then: {end.title}, not before {_time(end.until)}", Kind.STOP: f"stops: {end.title}"}
        if end.kind in told and not self.wish.advance:
            self.frame.tell(told[end.kind])
        self._result(position, finished=False, titles=titles)

    def _result(self, position: Position, *, finished: bool, titles: list[str] | None = None) -> None:
        result: dict[str, Any] = {
            "role": self.rotation.role.value,
            "from": position.old,
            "to": position.new,
            "back": position.back,
            "steps": self.done if titles is None else titles,
            "finished": finished,
            "dryRun": self.wish.dry_run,
        }
        shown = "finished" if finished else "under way" if self.rotation.position is not None else "not begun"
        shown += " (dry run: nothing changed)" if self.wish.dry_run else ""
        self.frame.result(result, lambda out: out.print(f"{_way(self.rotation, position)}: {shown}"))


def _ends_step(action: Action, then: Action) -> bool:
    """Whether --advance stops after an action. What was only noted is no step, and 100ms is given a key at once."""
    return action.kind not in NOTES and then.kind is not Kind.REGISTER


def _way(rotation: Rotation, position: Position) -> str:
    return f"the {rotation.role}'s key goes from slot {position.old} to slot {position.new}"


def _time(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _report(frame: Frame, check: Check) -> None:
    if check.status is not Status.PASSED:
        frame.tell(f"    {check.status.value}: {check.id}: {check.title}: {check.detail}")


def _outputs(stack: str, cwd: Path) -> StackOutputs:
    done = pulumi("stack", "output", "--json", "--show-secrets", "--stack", stack, "--cwd", str(cwd))
    _check(done.returncode, done.args, "is the stack's name right, and was `pulumi up` run?")
    return StackOutputs.from_json(done.stdout)


def _up(stack: str, cwd: Path) -> None:
    options = ("--yes", "--skip-preview", "--suppress-outputs")
    done = pulumi("up", *options, "--stack", stack, "--cwd", str(cwd), story=True)
    _check(
        done.returncode,
        done.args,
        "the rotation stays where it is, and 100ms keeps a key that works: put that right and run the command again",
    )


def _check(code: int, args: Any, then: str) -> None:
    if code != 0:
        raise RemoteError(f"`{shlex.join(args)}` ended with {code}: see its message above; {then}")
