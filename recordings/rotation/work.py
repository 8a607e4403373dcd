"""A rotation at work: reality as it is read, and what each action of the course does to it.

Owns the doing, one action at a time: what it is about to change is remembered first, by a conditional write, so that of
two runs at once one goes on and the other is told; what it has changed is read back and remembered after. A run that is
killed at any moment is completed by the next. What is due is `recordings.rotation.course`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from recordings.adoption.stack_file import StackFile
from recordings.errors import CheckFailedError, ConfigurationError, UsageError
from recordings.guards import check_cloud
from recordings.outputs import KeyStatus, StackOutputs
from recordings.plans import Step
from recordings.registration import Place, plan_register
from recordings.retry import Timing
from recordings.rooms import plan_update
from recordings.rotation import slots
from recordings.rotation.course import NOTES, Action, Assumed, Behind, Kind, after, before, due, other
from recordings.rotation.position import Aim, Finished, Journal, Position
from recordings.rotation.slots import Deployed, Role, Slots
from recordings.rotation.users import LONGEST_URL, Users


@dataclass(frozen=True)
class Means:
    """What a rotation works with: how outputs are read and the file opened, how `up` is run (None: a pipeline does).

    `prove(outputs, role, slot)` and `probe(outputs, role, old, new)` raise CheckFailedError.
    """

    outputs: Callable[[], StackOutputs]
    file: Callable[[], StackFile]
    up: Callable[[], None] | None
    prove: Callable[[StackOutputs, Role, str], None]
    probe: Callable[[StackOutputs, Role, str, str], None]
    timing: Timing = field(default_factory=Timing)
    tell: Callable[[str], None] = lambda _: None


class Rotation:
    """The rotation of one role's key in one stack. It is the Reality that the course is laid out on."""

    def __init__(self, role: Role, place: Place, means: Means) -> None:
        check_cloud(place.outputs, place.operator)
        self.role = role
        self.deploys = means.up is not None
        self._place = place
        self._means = means
        self._journal = Journal(place.memory, role)
        self._users = Users(lambda: self._place)
        self._warned: set[str] = set()
        self._file = means.file()

    # Reality

    @property
    def position(self) -> Position | None:
        """What is remembered of a rotation under way."""
        return self._journal.position

    @property
    def finished(self) -> Finished | None:
        """The last rotation, if none is under way."""
        return self._journal.finished

    @property
    def deployed(self) -> Deployed:
        """The slots that the outputs show."""
        return slots.deployed(self._place.outputs, self.role)

    @property
    def written(self) -> Slots:
        """The slots that the file says."""
        return slots.written(self._file, self.role)

    def now(self) -> datetime:
        """The time (UTC)."""
        return datetime.fromtimestamp(self._means.timing.now(), UTC)

    def behind(self, key: str) -> Behind:
        """Who at 100ms has another key; of the reader's 100ms knows nothing."""
        return self._users.behind(key) if self.role is Role.WRITER else Behind()

    def unfinished(self) -> Sequence[str]:
        """Recordings at 100ms that go to this bucket and are not finished."""
        return self._users.unfinished() if self.role is Role.WRITER else ()

    def overlap(self) -> timedelta:
        """How long URLs of the old key are waited for: as was asked, else as long as one can live."""
        position = self.position
        if position is not None and position.overlap is not None:
            return timedelta(seconds=position.overlap)
        return LONGEST_URL if self.role is Role.READER else self._users.overlap()

    # What is asked of it

    def first(self, overlap: timedelta | None, *, rooms: bool) -> Position:
        """The position at which a new rotation begins.

        Raises ConfigurationError unless file and stack agree, UsageError if the other slot holds a key of before.
        """
        now = self.deployed.slots
        if self.written != now:
            raise ConfigurationError(
                f"{self._file.path} says {self.written}, and deployed is {now}: run `pulumi up`, or take over the "
                "committed file, before a rotation begins"
            )
        new = other(now)
        if now.keys.get(new) is KeyStatus.INACTIVE:
            raise UsageError(
                f"slot {new} holds an inactive key, and a rotation needs a new one: take {new} out of "
                f"recordings:{self.role.keys_name} in {self._file.path} and run `pulumi up`, then rotate"
            )
        if new in now.keys:
            self._tell_once(f"slot {new} is active already: its key is taken for the new one")
        seconds = None if overlap is None else overlap.total_seconds()
        aim = Aim.of(now)
        return Position(
            old=now.pointer, new=new, began=self.now(), overlap=seconds, rooms=rooms, confirmed=aim, aim=aim
        )

    def save(self, position: Position) -> None:
        """Remember a position. Raises ConflictError."""
        self._journal.save(position)

    def due(self) -> Action:
        """What is due; tells of steps that somebody undid. Before a key goes, 100ms is asked anew who has it."""
        self._tell_undone()
        action = due(self)
        if action.kind is Kind.DEPLOY and self._takes_away(action):
            self._users.forget()
            return due(self)
        return action

    def _takes_away(self, action: Action) -> bool:
        target = action.target.keys if action.target is not None else {}
        return not self.deployed.slots.keys.items() <= target.items()

    def step(self, action: Action) -> Step:
        """The action as a step of a plan."""
        return Step(action.title, partial(self._perform, action), self._details(action))

    def assumed(self, position: Position) -> tuple[list[Action], Action]:
        """The actions from `position` on that would be done if all went well, and what would end the run."""
        assumed = Assumed.of(self)
        assumed.position = position
        actions: list[Action] = []
        while (action := due(assumed)).kind not in (Kind.WAIT, Kind.STOP):
            actions.append(action)
            if action.kind is Kind.FINISH:
                break
            assumed.take(action)
        return actions, action

    # What an action does

    def _perform(self, action: Action) -> None:
        begun = before(action, self)
        if begun is not None and action.kind not in (*NOTES, Kind.FINISH):
            self._journal.save(begun)
        match action.kind:
            case Kind.DEPLOY:
                if not self._deploy(action):
                    return
            case Kind.PROVE:
                self._means.prove(self._place.outputs, self.role, self._position.new)
            case Kind.REGISTER:
                self._register()
            case Kind.PROBE:
                self._means.probe(self._place.outputs, self.role, self._position.old, self._position.new)
            case Kind.FINISH:
                new = self._position.new
                self._journal.finish(Finished(at=self.now(), slot=new, key=self.deployed.ids[new]))
        if (done := after(action, self)) is not None:
            self._journal.save(done)

    def _deploy(self, action: Action) -> bool:
        """Write the file, run `up` and look; False where a pipeline is to run it."""
        assert action.target is not None
        self._file = self._means.file()
        slots.write(self._file, self.role, action.target)
        if self._means.up is None:
            return False
        self._journal.check()
        self._means.up()
        self._place = replace(self._place, outputs=self._means.outputs())
        if self.deployed.slots != action.target:
            raise CheckFailedError(
                f"`up` ended well, and the stack shows {self.deployed.slots}, not {action.target}: does it read "
                f"{self._file.path}? Run the command again"
            )
        return True

    def _register(self) -> None:
        key = self.deployed.ids[self._position.new]
        self._users.forget()
        behind = self.behind(key)
        if behind.templates:
            plan_register(self._place, behind.templates).plan.apply()
        if behind.rooms:
            plan_update(self._place, behind.rooms).plan.apply()
        self._users.forget()
        if left := self.behind(key):
            raise CheckFailedError(
                f"these read back with another key than they were given: {', '.join(left.templates + left.rooms)}; "
                "somebody else writes to them. Run the command again"
            )

    @property
    def _position(self) -> Position:
        assert self.position is not None
        return self.position

    # What is told

    def _details(self, action: Action) -> Sequence[str]:
        if action.kind is not Kind.DEPLOY:
            return action.details
        lines = [f"then commit {self._file.path}: the next `up` from a repository without it would undo this step"]
        if (
            self.role is Role.READER
            and action.target is not None
            and action.target.pointer != self.deployed.slots.pointer
        ):
            lines.append("then give your back end the new outputs: the key that it signs with now goes in the end")
        return lines

    def _tell_undone(self) -> None:
        position = self.position
        if position is None:
            return
        if position.unwritten(self.written) and position.aim is not None:
            self._tell_once(
                f"{self._file.path} says {self.written}, and an earlier step wrote {position.aim.slots}: it was not "
                "committed, or this checkout is old. What is due is written again: commit it"
            )
        if position.undone(self.deployed.slots):
            self._tell_once(
                f"the stack shows {self.deployed.slots}, which is no step of this rotation: somebody ran `up` from a "
                f"file without its steps. The rotation goes on from there; commit {self._file.path}"
            )

    def _tell_once(self, line: str) -> None:
        if line not in self._warned:
            self._warned.add(line)
            self._means.tell(line)
