"""The slots of a role's keys: what is deployed, what the stack's file says, and writing the file with comments kept.

Owns the form of a configuration of slots (`Slots`) and the two places where it is found. Decides nothing: which
configuration comes next is `recordings.rotation.course`.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from recordings.adoption.stack_file import NAMESPACE, StackFile
from recordings.errors import ConfigurationError
from recordings.outputs import KeyStatus, SecretMapping, StackOutputs

ALL: Final = ("blue", "green")
"""Every slot that there can be."""


class Role(StrEnum):
    """Whose keys are rotated."""

    WRITER = "writer"
    READER = "reader"

    @property
    def keys_name(self) -> str:
        """The configuration's key for the slots."""
        return f"{self}Keys"

    @property
    def pointer_name(self) -> str:
        """The configuration's key for the slot in use: what 100ms is given, what downloads are signed with."""
        return {Role.WRITER: "registeredKey", Role.READER: "signingKey"}[self]


@dataclass(frozen=True)
class Slots:
    """Status by slot, and which slot is in use."""

    keys: Mapping[str, KeyStatus]
    pointer: str

    def is_active(self, slot: str) -> bool:
        """Whether there is an active key in the slot."""
        return self.keys.get(slot) is KeyStatus.ACTIVE

    def __str__(self) -> str:
        return f"{self.shown_keys}, in use {self.pointer}"

    @property
    def shown_keys(self) -> str:
        """The slots as the file has them."""
        return f"{{{', '.join(f'{slot}: {self.keys[slot]}' for slot in sorted(self.keys))}}}"


@dataclass(frozen=True)
class Deployed:
    """What the stack outputs show of a role."""

    slots: Slots
    ids: Mapping[str, str] = field(default_factory=dict)


def issued(outputs: StackOutputs, role: Role) -> SecretMapping:
    """The keys of a role by slot."""
    return outputs.writer_keys if role is Role.WRITER else outputs.reader_keys


def deployed(outputs: StackOutputs, role: Role) -> Deployed:
    """The slots as deployed. Raises ConfigurationError where outputs have none."""
    keys = issued(outputs, role)
    ids = {slot: key.id for slot, key in keys.items()}
    used = outputs.registered_key if role is Role.WRITER else _slot_of(outputs.reader_access_key_id, ids)
    if used not in keys:
        raise ConfigurationError(
            f"the stack outputs have no slot of the {role}'s key (output {role}Keys): run `pulumi up` with this "
            "version of the project first"
        )
    return Deployed(Slots({slot: key.status for slot, key in keys.items()}, used), ids)


def written(file: StackFile, role: Role) -> Slots:
    """The slots as the stack's file says them, defaults filled in. Raises ConfigurationError."""
    if file.value(f"{role}External"):
        raise ConfigurationError(
            f"{file.path} has recordings:{role}External: that key is somebody else's, who rotates it; give the new one "
            f"with `pulumi config set --secret`, run `pulumi up`, then `recordings register`"
        )
    keys = file.value(role.keys_name) or {ALL[0]: KeyStatus.ACTIVE.value}
    try:
        statuses = {str(slot): KeyStatus(status) for slot, status in keys.items()}
    except (ValueError, AttributeError):
        raise ConfigurationError(
            f"recordings:{role.keys_name} in {file.path} must be slots (blue, green), each active or inactive"
        ) from None
    return Slots(statuses, str(file.value(role.pointer_name) or _default(file, statuses)))


def write(file: StackFile, role: Role, slots: Slots) -> None:
    """Change the file to these slots; everything else in it stays, comments too. Raises ConfigurationError."""
    keys = f"{NAMESPACE}:{role.keys_name}"
    edited = _edited(file.at(keys), {slot: status.value for slot, status in slots.keys.items()})
    file.write({keys: edited, f"{NAMESPACE}:{role.pointer_name}": slots.pointer})


def _slot_of(id_: str, ids: Mapping[str, str]) -> str:
    return next((slot for slot, own in ids.items() if own == id_), "")


def _default(file: StackFile, keys: Mapping[str, KeyStatus]) -> str:
    """The slot in use where the file names none: blue, or for the reader as the settings choose it."""
    registered = str(file.value("registeredKey") or ALL[0])
    if keys.get(registered) is KeyStatus.ACTIVE:
        return registered
    return next((slot for slot, status in keys.items() if status is KeyStatus.ACTIVE), registered)


def _edited(now: Any, wanted: Mapping[str, str]) -> Any:
    """The map with these slots. A comment that follows a map belongs to its last entry, and must not go with it."""
    if not hasattr(now, "insert"):
        return dict(wanted)
    slots = copy.deepcopy(now)
    for slot in [slot for slot in wanted if slot not in slots]:
        slots.insert(0, slot, wanted[slot])
    for slot, status in wanted.items():
        if slots[slot] != status:
            slots[slot] = status
    for slot in [slot for slot in slots if slot not in wanted]:
        _drop(slots, slot)
    return slots


def _drop(slots: Any, slot: str) -> None:
    last, comments = list(slots)[-1] == slot, slots.ca.items.pop(slot, None)
    del slots[slot]
    if not last or comments is None or not slots or comments[2] is None:
        return
    following = comments[2].value.partition("\n")[2]  # what stood beside the slot goes with it
    if not following:
        return
    heir = list(slots)[-1]
    own = slots.ca.items.setdefault(heir, [None, None, None, None])
    if own[2] is None:
        comments[2].value = f"\n{following}"
        own[2] = comments[2]
    else:
        own[2].value = own[2].value.rstrip("\n") + f"\n{following}"
