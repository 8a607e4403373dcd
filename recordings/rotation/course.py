"""The course of a rotation: what is due next, as a function of what is real and what is remembered.

Pure: asks a `Reality` and changes nothing, so that a dry run walks the same course over assumed results (`Assumed`)
that a real run walks over real ones. What an action does is `recordings.rotation.work`.

    begin → new slot active → proved → in use → with every template and room → handed over
          → no recording needs the old key, its URLs have run out → old slot inactive → probed → old slot removed

Every configuration on the way has the key that 100ms holds active. Whoever undoes a step (a run of `up` from a file
without it, a template registered with the old key) sends the course back to where it is safe to go on from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from recordings.outputs import KeyStatus
from recordings.rotation.position import Aim, HandedOver, Position
from recordings.rotation.slots import ALL, Deployed, Role, Slots

LOOK_AGAIN: Final = timedelta(minutes=15)
"""When to come back for a recording that still runs: nobody knows when it ends."""
DEPLOYED_SOON: Final = timedelta(minutes=5)
"""When to come back for a pipeline that deploys."""


class Kind(StrEnum):
    """What an action is."""

    BEGIN = "begin"
    DEPLOY = "deploy"
    PROVE = "prove"
    REGISTER = "register"
    HAND_OVER = "hand over"
    QUIET = "quiet"
    PROBE = "probe"
    FINISH = "finish"
    WAIT = "wait"
    STOP = "stop"


NOTES: Final = frozenset({Kind.HAND_OVER, Kind.QUIET})
"""Actions that only remember what was seen: no step of their own for who goes step by step."""


@dataclass(frozen=True)
class Action:
    """What is due. `target` is for DEPLOY, `until` for WAIT, `details` are lines to show."""

    kind: Kind
    title: str
    target: Slots | None = None
    until: datetime | None = None
    details: Sequence[str] = ()


@dataclass(frozen=True)
class Behind:
    """Who at 100ms does not have the key in the new slot: ids of templates and of rooms."""

    templates: tuple[str, ...] = ()
    rooms: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.templates or self.rooms)


class Reality(Protocol):
    """What is known, remembered and seen. `deploys` is false where a pipeline runs `up`, and not we."""

    role: Role
    deploys: bool

    @property
    def position(self) -> Position | None:
        """What is remembered."""

    @property
    def deployed(self) -> Deployed:
        """What the outputs show."""

    @property
    def written(self) -> Slots:
        """What the file says."""

    def now(self) -> datetime:
        """The time (UTC)."""

    def behind(self, key: str) -> Behind:
        """Who at 100ms has another key of this stack than `key`."""

    def unfinished(self) -> Sequence[str]:
        """Ids of the recordings at 100ms that use this bucket and are not finished."""

    def overlap(self) -> timedelta:
        """How long URLs that the old key signed may live on."""


def due(now: Reality) -> Action:
    """What is due. Every answer but WAIT, STOP and FINISH brings reality or memory forward, so that a loop ends."""
    position = now.position
    if position is None:
        return _begin(now)
    key = now.deployed.ids.get(position.new)
    slots = now.deployed.slots
    if not slots.is_active(position.new) or position.proved != key or key is None:
        return _deploy(now, _with_new(slots, position)) or Action(
            Kind.PROVE, f"prove the {now.role}'s key in slot {position.new} by using it"
        )
    if slots.pointer != position.new and (action := _deploy(now, _in_use(slots, position))):
        return action
    if behind := now.behind(key):
        return _register(now.role, position, behind)
    if not position.retiring:
        return _hand_over(now, position, key)
    return _retire(now, position)


def _begin(now: Reality) -> Action:
    slots = now.deployed.slots
    return Action(Kind.BEGIN, f"begin: the {now.role}'s key goes from slot {slots.pointer} to slot {other(slots)}")


def other(slots: Slots) -> str:
    """The slot that a rotation goes to."""
    return next(slot for slot in ALL if slot != slots.pointer)


def _with_new(slots: Slots, position: Position) -> Slots:
    return Slots({**slots.keys, position.new: KeyStatus.ACTIVE}, slots.pointer)


def _in_use(slots: Slots, position: Position) -> Slots:
    old = {position.old: KeyStatus.ACTIVE} if position.old in slots.keys else {}
    return Slots({**old, position.new: KeyStatus.ACTIVE}, position.new)


def _asleep(slots: Slots, position: Position) -> Slots:
    old = {position.old: KeyStatus.INACTIVE} if position.old in slots.keys else {}
    return Slots({**old, position.new: KeyStatus.ACTIVE}, position.new)


def _alone(position: Position) -> Slots:
    return Slots({position.new: KeyStatus.ACTIVE}, position.new)


def _deploy(now: Reality, target: Slots) -> Action | None:
    """What brings file and stack to `target`; None if they are there."""
    there = now.written == target
    if there and now.deployed.slots == target:
        return None
    if there and not now.deploys:
        return Action(
            Kind.WAIT, f"wait until a pipeline has deployed {target}", until=now.now() + DEPLOYED_SOON, target=target
        )
    verb = "write" if not now.deploys else "write and deploy"
    was, changed = (now.written, now.deployed.slots), []
    if any(slots.keys != target.keys for slots in was):
        changed.append(f"recordings:{now.role.keys_name} {target.shown_keys}")
    if any(slots.pointer != target.pointer for slots in was):
        changed.append(f"recordings:{now.role.pointer_name} {target.pointer}")
    return Action(Kind.DEPLOY, f"{verb} {' and '.join(changed)}", target=target)


def _register(role: Role, position: Position, behind: Behind) -> Action:
    things = [f"template {id_}" for id_ in behind.templates] + [f"room {id_}" for id_ in behind.rooms]
    if behind.rooms and not position.rooms:
        rooms = ", ".join(behind.rooms)
        return Action(
            Kind.STOP,
            f"rooms with storage settings of their own may hold the old key, and would lose recordings without it: "
            f"{rooms}. Add --rooms to give them the new one, or see `recordings rooms`",
        )
    return Action(Kind.REGISTER, f"give 100ms the {role}'s key in slot {position.new}", details=things)


def _hand_over(now: Reality, position: Position, key: str) -> Action:
    if action := _deploy(now, _in_use(now.deployed.slots, position)):
        return action
    handed = position.handed_over
    if handed is None or handed.key != key:
        return Action(Kind.HAND_OVER, f"note that slot {position.new} is in use, and what began before")
    if position.quiet is None:
        left = [id_ for id_ in now.unfinished() if id_ in handed.recordings] if handed.recordings else []
        if left:
            title = f"wait for recordings that began under the old key: {', '.join(left)}"
            return Action(Kind.WAIT, title, until=now.now() + LOOK_AGAIN)
        return Action(Kind.QUIET, "note that no recording needs the old key")
    until = position.quiet + (now.overlap() if position.matters else timedelta(0))
    if now.now() < until:
        return Action(Kind.WAIT, "wait until URLs that the old key signed have run out", until=until)
    return _retire(now, position)


def _retire(now: Reality, position: Position) -> Action:
    if position.probed:
        end = Action(Kind.FINISH, f"finish: slot {position.new} has the {now.role}'s only key")
        return _deploy(now, _alone(position)) or end
    probe = Action(Kind.PROBE, f"prove that slot {position.new} works and slot {position.old} is refused")
    return _deploy(now, _asleep(now.deployed.slots, position)) or probe


def after(action: Action, now: Reality) -> Position | None:
    """The position once the action has been done; None after the last one, and where there is none yet."""
    position = now.position
    if position is None or action.kind is Kind.FINISH:
        return None
    match action.kind:
        case Kind.PROVE:
            return position.but(proved=now.deployed.ids[position.new])
        case Kind.REGISTER:
            return position.hand_over_again() if now.deployed.slots.is_active(position.old) else position
        case Kind.HAND_OVER:
            began = tuple(now.unfinished()) if position.matters else ()
            handed = HandedOver(at=now.now(), key=now.deployed.ids[position.new], recordings=began)
            return position.hand_over_again().but(handed_over=handed)
        case Kind.QUIET:
            return position.but(quiet=now.now())
        case Kind.PROBE:
            return position.but(probed=True)
        case Kind.DEPLOY if action.target is not None:
            return position.but(confirmed=Aim.of(action.target))
    return position


def before(action: Action, now: Reality) -> Position | None:
    """The position to remember before the action is done: what may be true from its first effect on."""
    position = now.position
    if position is None or action.kind is not Kind.DEPLOY or action.target is None:
        return position
    aimed = position.but(aim=Aim.of(action.target), confirmed=Aim.of(now.deployed.slots))
    if action.target.pointer == position.new and now.deployed.slots.pointer != position.new:
        return aimed.hand_over_again().but(exposed=True)
    going = position.quiet is not None and not action.target.is_active(position.old)
    return aimed.but(retiring=position.retiring or going)


@dataclass
class Assumed:
    """Reality as it would be if every action went well: what a dry run walks over."""

    role: Role
    deploys: bool
    position: Position | None
    deployed: Deployed
    written: Slots
    real: Reality
    time: datetime
    registered: bool = False

    @classmethod
    def of(cls, real: Reality) -> Assumed:
        """From how things are."""
        return cls(real.role, real.deploys, real.position, real.deployed, real.written, real, real.now())

    def now(self) -> datetime:
        """The time, which stands still."""
        return self.time

    def behind(self, key: str) -> Behind:
        """Who has another key, until they have been given this one."""
        return Behind() if self.registered else self.real.behind(key)

    def unfinished(self) -> Sequence[str]:
        """As it is now."""
        return self.real.unfinished()

    def overlap(self) -> timedelta:
        """As it is now."""
        return self.real.overlap()

    def take(self, action: Action) -> None:
        """Assume that the action went well."""
        self.position = before(action, self)
        if action.kind is Kind.DEPLOY and action.target is not None:
            self.written = action.target
            if self.deploys:
                ids = {slot: self.deployed.ids.get(slot, f"new key in {slot}") for slot in action.target.keys}
                self.deployed = replace(self.deployed, slots=action.target, ids=ids)
        self.registered = self.registered or action.kind is Kind.REGISTER
        self.position = after(action, self)
