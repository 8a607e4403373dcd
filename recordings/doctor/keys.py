"""Findings about the issued keys: do they work, are they active, how old are they, when were they last used?

A key is tried by asking for an object that there is not: "not found" and "not allowed" both prove that the key is known
and its secret right. Age and last use come from the operator. A key slot of an external principal is tried, and its age
asked for; where the operator may not know, that is not checked.

Sources: https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKeyMetadata.html (CreateDate), .../API_
GetAccessKeyLastUsed.html; https://cloud.google.com/storage/docs/json_api/v1/projects/hmacKeys (timeCreated; nothing
says when one was last used).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from recordings.doctor.findings import Finding, Look, Severity, fine
from recordings.doctor.patient import Patient
from recordings.errors import (
    AccessDeniedError,
    CredentialsError,
    ObjectNotFoundError,
    OrganisationPolicyError,
)
from recordings.outputs import KeySlot, KeyStatus, StackOutputs, StorageProvider
from recordings.shown import counted
from recordings.stores import AccessKey, open_store
from recordings.verification.checks import CREDENTIALS, FORBIDDEN, NotRun
from recordings.verification.context import VERIFY_FOLDER

MAX_AGE: Final = timedelta(days=60)
UNUSED: Final = timedelta(days=45)
"""A key that nobody has used for so long (CIS AWS 2.11) is one that nobody needs."""


@dataclass(frozen=True)
class IssuedKey:
    """A key as the provider has it; times are UTC. `last_used` is None for never, or where nobody can know."""

    id: str
    active: bool
    created: datetime
    last_used: datetime | None = None
    use_is_known: bool = True


@dataclass(frozen=True)
class Role:
    """Whose keys: `name` is `writer` or `reader`, `live` the id of the key that is in use."""

    name: str
    slots: Mapping[str, KeySlot]
    live: str
    principal: str

    @property
    def rotate(self) -> str:
        """The option of `recordings rotate` for it."""
        return " --reader" if self.name == "reader" else ""


def roles(outputs: StackOutputs) -> tuple[Role, Role]:
    """Writer and reader; a stack that exports no slots has one of each."""
    live, signing = outputs.writer_access_key_id, outputs.reader_access_key_id
    active = KeyStatus.ACTIVE
    writer = {outputs.registered_key: KeySlot(id=live, secret=outputs.writer_secret_access_key, status=active)}
    reader = {outputs.registered_key: KeySlot(id=signing, secret=outputs.reader_secret_access_key, status=active)}
    return (
        Role("writer", outputs.writer_keys or writer, live, outputs.writer_principal),
        Role("reader", outputs.reader_keys or reader, signing, outputs.reader_principal),
    )


def looks(patient: Patient) -> list[Look]:
    """Each active key is tried; then the age of all of them."""
    found = []
    for role in roles(patient.outputs):
        for slot, key in role.slots.items():
            title = f"key {slot} of the {role.name}"
            found.append(Look("key", title, partial(_tried, patient, role, slot, key, title)))
        found.append(Look("key-age", f"age of the {role.name}'s keys", partial(_aged, patient, role)))
    return found


def judge(role: Role, issued: Iterable[IssuedKey], now: datetime, select: str) -> Iterator[Finding]:
    """What is to say of the keys that the provider has for a role, and of those that it no longer has."""
    there = {key.id: key for key in issued}
    yield from _against_slots(role, there, select)
    rotate = f"recordings rotate {_by_stack(select)}{role.rotate}"
    for key in there.values():
        age, title = now - key.created, f"age of the {role.name}'s key {key.id}"
        if key.active and age > MAX_AGE:
            seen = f"{counted(age.days, 'day')} old, {_use(key)}; {MAX_AGE.days} days are the limit"
            yield Finding("key-age", title, Severity.WARNING, seen, rotate)
        elif key.active and key.use_is_known and age > UNUSED and now - (key.last_used or key.created) > UNUSED:
            seen = f"{_use(key)}: does anybody need it?"
            yield Finding("key-age", title, Severity.WARNING, seen, f"see who should, or {rotate}")
        else:
            yield fine(
                "key-age",
                title,
                f"{'active' if key.active else 'inactive'}, {counted(age.days, 'day')} old, {_use(key)}",
            )


def _against_slots(role: Role, there: Mapping[str, IssuedKey], select: str) -> Iterator[Finding]:
    slots = {key.id: (slot, key) for slot, key in role.slots.items()}
    for id_, (slot, declared) in slots.items():
        title, bad = f"key {slot} of the {role.name}", Severity.FAULT if id_ == role.live else Severity.WARNING
        found = there.get(id_)
        if found is None:
            yield Finding("key", title, bad, f"{id_} was deleted", "pulumi refresh && pulumi up")
        elif found.active != (declared.status is KeyStatus.ACTIVE):
            seen = f"{id_} is {'active' if found.active else 'inactive'}; the stack says {declared.status.value}"
            yield Finding("key", title, bad, seen, "pulumi refresh && pulumi up")
    strange = [key.id for key in there.values() if key.id not in slots]
    if strange:
        repair = "see what uses them, make them inactive, then delete them"
        seen = f"{len(strange)} that the stack did not make: whoever has one can do the same"
        yield Finding("key-age", f"other keys of the {role.name}", Severity.WARNING, seen, repair, tuple(strange))
    active = [slot for slot, key in role.slots.items() if key.status is KeyStatus.ACTIVE]
    if len(active) > 1:
        repair = f"recordings rotate {_by_stack(select)}{role.rotate} --advance"
        seen = f"{' and '.join(sorted(active))} are active: that is for a rotation alone"
        yield Finding("key-age", f"two keys of the {role.name}", Severity.WARNING, seen, repair)


def _by_stack(select: str) -> str:
    """`recordings rotate` changes a stack's file, so that outputs alone do not do."""
    return select if select.startswith("--stack") else "--stack NAME"


def _use(key: IssuedKey) -> str:
    if not key.use_is_known:
        return "its last use is not told by the provider"
    return f"last used {key.last_used:%Y-%m-%d}" if key.last_used else "never used"


def _tried(patient: Patient, role: Role, slot: str, key: KeySlot, title: str) -> Iterator[Finding]:
    if key.status is not KeyStatus.ACTIVE:
        if key.id == role.live:
            seen = f"slot {slot} is in use and declared inactive"
            yield Finding("key", title, Severity.FAULT, seen, "make it active in the stack's configuration; pulumi up")
        else:
            yield fine("key", title, f"{key.id} is declared inactive: not tried")
        return
    bad = Severity.FAULT if key.id == role.live else Severity.WARNING
    live = {"writer": patient.writer, "reader": patient.reader}[role.name]
    store = live if key.id == role.live else open_store(patient.outputs, AccessKey(key.id, key.secret))
    try:
        store.head(f"{patient.outputs.path_prefix}{VERIFY_FOLDER}doctor")
    except (ObjectNotFoundError, AccessDeniedError):
        pass
    except OrganisationPolicyError as error:
        yield Finding("key", title, bad, str(error), FORBIDDEN)
        return
    except CredentialsError as error:
        yield Finding("key", title, bad, str(error), f"{CREDENTIALS}. A key made within the last minute may need one")
        return
    yield fine("key", title, f"{key.id} signs")


def _aged(patient: Patient, role: Role) -> Iterator[Finding]:
    issued = _ISSUED[patient.outputs.storage_provider](patient, role)
    yield from judge(role, issued, patient.now(), patient.select)


def _on_s3(patient: Patient, role: Role) -> list[IssuedKey]:
    surveyor = patient.surveyor
    user = role.principal.rpartition("/")[2] or str(surveyor.last_used(role.live)["UserName"])
    found = []
    for key in surveyor.access_keys(user):
        used = surveyor.last_used(key["AccessKeyId"]).get("AccessKeyLastUsed", {}).get("LastUsedDate")
        found.append(IssuedKey(key["AccessKeyId"], key["Status"] == "Active", key["CreateDate"], used))
    return found


def _on_google(patient: Patient, role: Role) -> list[IssuedKey]:
    if not role.principal:
        raise NotRun(f"the stack outputs name no {role.name}Principal", "take the outputs again after `pulumi up`")
    return [
        IssuedKey(
            str(key["accessId"]),
            key["state"] == "ACTIVE",
            datetime.fromisoformat(key["timeCreated"]),
            use_is_known=False,
        )
        for key in patient.surveyor.hmac_keys(role.principal)
    ]


_ISSUED: Final[Mapping[StorageProvider, Callable[[Patient, Role], list[IssuedKey]]]] = {
    StorageProvider.S3: _on_s3,
    StorageProvider.GCS: _on_google,
}
