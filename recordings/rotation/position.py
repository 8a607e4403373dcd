"""Where a rotation stands: the part that reality does not show, remembered in the bucket.

Owns its form, and that it moves by conditional writes alone: of two runs at once one goes on, the other is told. What
the outputs, the file and 100ms show is never remembered, it is read.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from recordings.errors import ConflictError, StoreError
from recordings.memory import Memory
from recordings.outputs import KeyStatus
from recordings.rotation.slots import Role, Slots

FOLDER = "rotation/"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class HandedOver(_Model):
    """100ms, or whoever signs, has the new key: since when, which, and which recordings had begun before."""

    at: AwareDatetime
    key: str
    recordings: tuple[str, ...] = ()


class Aim(_Model):
    """A configuration of slots, as remembered."""

    keys: Mapping[str, KeyStatus]
    pointer: str

    @classmethod
    def of(cls, slots: Slots) -> Self:
        """From slots."""
        return cls(keys=dict(slots.keys), pointer=slots.pointer)

    @property
    def slots(self) -> Slots:
        """As slots again."""
        return Slots(dict(self.keys), self.pointer)


class Position(_Model):
    """A rotation under way, from slot `old` to slot `new`; `back` means that it undoes an earlier one.

    `exposed`: the old key's successor may be in use. `proved`: id of the key that passed verification. `quiet`: since
    when nothing needs the old key to upload. `retiring`: the old key may go. `probed`: with the old key asleep, the new
    one worked and the old one was refused. `overlap` (seconds) is None where it follows from the templates. `confirmed`
    was seen deployed last, `aim` was to be deployed last: where stack or file show neither, somebody undid a step.
    """

    old: str
    new: str
    back: bool = False
    began: AwareDatetime
    overlap: float | None = None
    rooms: bool = False
    exposed: bool = False
    proved: str | None = None
    handed_over: HandedOver | None = None
    quiet: AwareDatetime | None = None
    retiring: bool = False
    probed: bool = False
    confirmed: Aim | None = None
    aim: Aim | None = None

    def but(self, **changes: Any) -> Position:
        """The same with changes."""
        return self.model_copy(update=changes)

    def asked(self, overlap: timedelta | None, *, rooms: bool) -> Position:
        """The same with what a run asks for beside it."""
        seconds = self.overlap if overlap is None else overlap.total_seconds()
        return self.but(overlap=seconds, rooms=self.rooms or rooms)

    def hand_over_again(self) -> Position:
        """The old key was in use again: what followed from the hand-over holds no more."""
        return self.but(handed_over=None, quiet=None, retiring=False, probed=False)

    @property
    def matters(self) -> bool:
        """Whether anything may depend on the old key; on the way back nothing does if it never was in use."""
        return self.exposed or not self.back

    def undone(self, deployed: Slots) -> bool:
        """Whether what is deployed is neither what was seen last nor what was aimed at."""
        known = [each.slots for each in (self.confirmed, self.aim) if each is not None]
        return bool(known) and deployed not in known

    def unwritten(self, written: Slots) -> bool:
        """Whether the file says something else than what was written last."""
        return self.aim is not None and self.aim.slots != written

    def reversed(self, began: datetime) -> Position:
        """The way back: a rotation to the slot that this one came from, whatever it has reached."""
        return Position(
            old=self.new,
            new=self.old,
            back=not self.back,
            began=began,
            overlap=self.overlap,
            rooms=self.rooms,
            exposed=self.exposed,
            confirmed=self.confirmed,
            aim=self.aim,
        )


class Finished(_Model):
    """The last rotation that came to its end."""

    at: AwareDatetime
    slot: str
    key: str


class _Page(_Model):
    """What is remembered: one of the two. No two writes are the same: memory takes an equal value for its own write."""

    position: Position | None = None
    finished: Finished | None = None
    run: str = ""
    turn: int = 0


class Journal:
    """The remembered position of one role's rotation. Every method may raise what `recordings.memory` does."""

    def __init__(self, memory: Memory, role: Role) -> None:
        self._memory = memory
        self._name = f"{FOLDER}{role}"
        known = memory.read(self._name)
        self._version = known.version if known else None
        self._page = _parsed(known.value) if known else _Page()
        self._run = secrets.token_hex(8)

    @property
    def position(self) -> Position | None:
        """The rotation under way."""
        return self._page.position

    @property
    def finished(self) -> Finished | None:
        """The last one, if none is under way."""
        return self._page.finished

    def save(self, position: Position) -> None:
        """Move on. Raises ConflictError, with nothing overwritten, if another run moved in between."""
        self._write(_Page(position=position, run=self._run, turn=self._page.turn + 1))

    def finish(self, finished: Finished) -> None:
        """The rotation is over. Raises ConflictError."""
        self._write(_Page(finished=finished, run=self._run, turn=self._page.turn + 1))

    def check(self) -> None:
        """Raise ConflictError if another run has moved since."""
        known = self._memory.read(self._name)
        if (known.version if known else None) != self._version:
            raise ConflictError(
                f"another run took this rotation over ({self._name}), and this one stops. When that run has ended, run "
                "the command again"
            )

    def _write(self, page: _Page) -> None:
        self._version = self._memory.write(self._name, page.model_dump(mode="json"), self._version)
        self._page = page


def _parsed(value: Mapping[str, Any]) -> _Page:
    try:
        return _Page.model_validate(value)
    except ValidationError:
        raise StoreError(
            "the remembered position of the rotation is of another version of this program: go on with that one, or "
            "delete the object under .recordings/rotation/ and look at templates, outputs and file by hand"
        ) from None
