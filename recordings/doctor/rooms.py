"""Findings about rooms that go their own way: storage of their own, or a webhook of their own. Disabled ones too.

A room's `recording_info` is atomic: with it, the template counts no more, so that such a room keeps its bucket and its
key for ever. A room's webhook takes the place of the workspace's. Sources: 100ms' pages "Create via API" (recording_
info, webhook arguments) and "List rooms".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from recordings.doctor.findings import Finding, Look, Severity, fine, shown
from recordings.doctor.patient import Patient
from recordings.hms import HmsClient
from recordings.hms_models import Room
from recordings.outputs import StackOutputs
from recordings.redact import redact
from recordings.shown import counted

TITLE: Final = "storage of rooms"
WEBHOOK: Final = "webhooks of rooms"


@dataclass
class RoomFacts:
    """What all rooms of a workspace come to; a room is named by id, state and what is its own."""

    seen: int = 0
    elsewhere: list[str] = field(default_factory=list)
    """With a bucket that is not the stack's, or 100ms' storage."""
    here: list[str] = field(default_factory=list)
    """With the stack's bucket, and a key that is not the registered one, or not shown: no registration renews it."""
    current: int = 0
    """With the stack's bucket and the registered key."""
    webhooks: list[str] = field(default_factory=list)
    storages: set[tuple[str, str]] = field(default_factory=set)
    """Type and location of each storage that a room has of its own."""


def looks(patient: Patient, facts: Callable[[], RoomFacts]) -> list[Look]:
    """What `facts` gives, of storage and of webhooks."""
    return [
        Look("room-storage", TITLE, lambda: judge_storage(facts(), patient.select)),
        Look("room-webhook", WEBHOOK, lambda: judge_webhooks(facts(), patient.select)),
    ]


def facts_of(patient: Patient) -> RoomFacts:
    """Walk through all rooms. Raises NotRun without 100ms credentials, and what 100ms raises."""
    hms = patient.need_hms()
    return gather(hms.rooms(), patient.outputs, hms)


def gather(rooms: Iterable[Room], outputs: StackOutputs, whole: HmsClient | None = None) -> RoomFacts:
    """Go through rooms; one that says to be on its own and not where is asked for by itself, of `whole`."""
    facts = RoomFacts()
    for room in rooms:
        facts.seen += 1
        if room.webhook is not None and room.webhook.url:
            facts.webhooks.append(f"{_name(room)}: {_host(room.webhook.url)}")
        if room.recording_info is None and room.recording_source_template is not False:
            continue
        if whole is not None and (room.recording_info is None or room.recording_info.upload_info is None):
            room = whole.room(room.id)
        _note(room, outputs, facts)
    return facts


def judge_storage(facts: RoomFacts, select: str) -> Iterator[Finding]:
    """Rooms elsewhere lose recordings; rooms here have a key that rotation must be told to renew."""
    if facts.elsewhere:
        seen = f"{len(facts.elsewhere):,} of {facts.seen:,} have storage of their own that is not this bucket"
        repair = f"recordings rooms {select} lists them; with --update --room ID one gets this bucket"
        yield Finding("room-storage", TITLE, Severity.FAULT, seen, repair, shown(facts.elsewhere))
    if facts.here:
        seen = f"{len(facts.here):,} of {facts.seen:,} have this bucket as their own, with what may be an old key"
        repair = f"recordings rooms {select} --update"
        yield Finding("room-storage", "keys of rooms", Severity.WARNING, seen, repair, shown(facts.here))
    if not facts.elsewhere and not facts.here:
        yield fine(
            "room-storage",
            TITLE,
            f"{counted(facts.seen, 'room')}, {facts.current:,} with this bucket as their own, up to date",
        )


def judge_webhooks(facts: RoomFacts, select: str) -> Iterator[Finding]:
    """Rooms whose events the back end never hears of."""
    if facts.webhooks:
        seen = f"{len(facts.webhooks):,} of {facts.seen:,} tell a webhook of their own, and not the workspace's"
        webhook_repair = f"point them at `recordings serve`; else recordings sync {select} --since 2d, on a schedule"
        yield Finding("room-webhook", WEBHOOK, Severity.WARNING, seen, webhook_repair, shown(facts.webhooks))
    else:
        yield fine("room-webhook", WEBHOOK, f"{counted(facts.seen, 'room')}, none with a webhook of its own")


def _note(room: Room, outputs: StackOutputs, facts: RoomFacts) -> None:
    upload = room.recording_info.upload_info if room.recording_info else None
    if upload is None or not upload.location:
        facts.elsewhere.append(f"{_name(room)}: 100ms' own storage, 15 days")
        return
    facts.storages.add((upload.type, upload.location))
    place = f"{upload.type}://{upload.location}/{upload.prefix or ''}"
    if (upload.type, upload.location) != (outputs.storage_provider.scheme, outputs.bucket_name):
        facts.elsewhere.append(f"{_name(room)}: {place}")
        return
    key = upload.credentials.key if upload.credentials else None
    if key == outputs.writer_access_key_id:
        facts.current += 1
        return
    facts.here.append(f"{_name(room)}: {place}, {'key not shown' if key is None else f'key {key}'}")


def _name(room: Room) -> str:
    return f"{room.id}{'' if room.enabled else ' (disabled)'}"


def _host(url: str) -> str:
    """Scheme and host alone: the path of a webhook may be a secret."""
    try:
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.hostname}" if parts.hostname else redact(url.partition("?")[0][:40])
    except ValueError:
        return "no URL"
