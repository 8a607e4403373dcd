"""Rooms with storage settings of their own: which there are, whether they are up to date, and bringing them there.

A room's `recording_info` is atomic: with it, the template counts no more ("Create via API"), so that registering a
template or rotating its key leaves such a room with the old bucket and the old key, for ever. 100ms has no call that
gives it back to its template.

Reading calls of 100ms do not show the key of such a room ("Retrieve a specific room"; the answer to a change does,
"Update a room"). So the key that was written here last is remembered, with the room's `updated_at`: while that is the
same, nobody has written since. Owns those settings alone: every other field of a room stays as it is, and what the
settings were before is remembered. Templates are `recordings.registration`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any

from recordings.errors import ConflictError, HmsError, HmsNotFoundError, HmsRefusedError
from recordings.guards import check_cloud, check_customer
from recordings.hms import HmsClient
from recordings.outputs import StackOutputs
from recordings.plans import Plan, Step
from recordings.registration import Place, Refusals, check_key
from recordings.upload_settings import Upload

FOLDER = "rooms/"
"""Where in the memory it lies what a room had before and which key it was given, one object a room."""

Document = Mapping[str, Any]


class State(StrEnum):
    """How a room's own storage stands to the stack's."""

    CURRENT = "up to date"
    STALE = "stale"
    FORMER = "in a former bucket"
    UNKNOWN = "key not shown"
    OUTSIDE = "outside of pathPrefix"
    ELSEWHERE = "elsewhere"
    NONE = "100ms' own storage"


HERE = frozenset({State.CURRENT, State.STALE, State.UNKNOWN})
"""The stack's bucket, where its writer may write."""
OURS = frozenset({State.STALE, State.UNKNOWN, State.FORMER})
"""What is brought up to date unless rooms are named: the stack's, with a bucket or a key that may be an old one."""


@dataclass(frozen=True)
class OwnStorage:
    """One room with storage of its own. `key` is the id of its access key, None where nobody can tell.

    `document` is the room as 100ms shows it.
    """

    id: str
    name: str
    enabled: bool
    customer_id: str | None
    location: str
    key: str | None
    state: State
    document: Document = field(repr=False)


@dataclass(frozen=True)
class RoomsIntent:
    """A plan, what it makes of each room (id → one word or phrase), and faults that it cannot mend."""

    plan: Plan
    rooms: Mapping[str, str]
    faults: Sequence[str] = ()


def survey(place: Place) -> list[OwnStorage]:
    """Every room, disabled ones too, that has storage settings of its own, in 100ms' order."""
    listed = [_id(document) for document in place.client.room_documents() if _is_own(document)]
    found = []
    for id_ in listed:
        try:
            found.append(_looked_at(place, place.client.room_document(id_)))
        except HmsNotFoundError:
            if any(_id(document) == id_ for document in place.client.room_documents()):
                raise  # it is there, and may have the key that is to go
            continue  # gone after it was listed
    return found


def plan_update(place: Place, ids: Sequence[str] = ()) -> RoomsIntent:
    """Plan to give rooms the stack's bucket and key: those named, else all that are the stack's and not up to date.

    A room that is named is moved from whatever storage it has. Its prefix stays where the writer may write there.
    Raises GuardError, ConfigurationError (the registered key is inactive), and what 100ms and the store raise.
    """
    check_cloud(place.outputs, place.operator)
    check_key(place.outputs)
    faults, states = [], {}
    if ids:
        rooms = []
        for id_ in dict.fromkeys(ids):
            try:
                document = place.client.room_document(id_)
            except HmsNotFoundError:
                states[id_] = "not found at 100ms"
                faults.append(f"room {id_} is not known to 100ms: see `recordings rooms`, or the dashboard")
                continue
            if _is_own(document):
                rooms.append(_looked_at(place, document))
            else:
                states[id_] = "records as its template says"
    else:
        rooms = survey(place)
    check_customer(place.outputs, rooms, "room")
    steps: list[Step] = []
    for room in rooms:
        states[room.id] = room.state.value
        if room.state in OURS or (ids and room.state is not State.CURRENT):
            states[room.id] = "brought up to date"
            steps += _steps(place, room)
    return RoomsIntent(Plan(tuple(steps)), states, tuple(faults))


def wanted_info(document: Document, outputs: StackOutputs) -> dict[str, Any]:
    """The room's `recording_info` with the stack's bucket and key; whatever else is in it stays."""
    wanted = Upload.from_outputs(outputs)
    info = dict(document.get("recording_info") or {})
    upload = dict(info.get("upload_info") or {})
    options = {**(upload.get("options") or {}), "region": wanted.region}
    upload |= {"type": wanted.type, "location": wanted.location, "options": options}
    if not upload.get("prefix") or not _is_inside(upload["prefix"], outputs):
        upload["prefix"] = wanted.prefix
    upload["credentials"] = {"key": wanted.key, "secret": wanted.secret.get_secret_value()}
    return {"enabled": False, **info, "upload_info": upload}


def _is_own(document: Document) -> bool:
    return document.get("recording_info") is not None or document.get("recording_source_template") is False


def _looked_at(place: Place, document: Document) -> OwnStorage:
    upload = _upload(document)
    wanted = Upload.from_outputs(place.outputs)
    shown = (upload.get("credentials") or {}).get("key")
    own = str(shown) if shown else None
    here = (upload.get("type"), upload.get("location")) == (wanted.type, wanted.location)
    if here and own is None:
        own = _remembered_key(place, document)
    where = f"{upload.get('type')}://{upload.get('location')}/{upload.get('prefix') or ''}" if upload else ""
    return OwnStorage(
        id=_id(document),
        name=str(document.get("name") or ""),
        enabled=document.get("enabled") is not False,
        customer_id=document.get("customer_id") or document.get("customer"),
        location=where,
        key=own,
        state=_state(upload, own, place.outputs),
        document=document,
    )


def _state(upload: Document, own: str | None, outputs: StackOutputs) -> State:
    if not upload:
        return State.NONE
    scheme, location = outputs.storage_provider.scheme, upload.get("location")
    if upload.get("type") != scheme or location != outputs.bucket_name:
        former = {bucket.bucket_name for bucket in outputs.former_buckets}
        return State.FORMER if upload.get("type") == scheme and location in former else State.ELSEWHERE
    if not _is_inside(upload.get("prefix"), outputs):
        return State.OUTSIDE
    if own is None:
        return State.UNKNOWN
    region = (upload.get("options") or {}).get("region", outputs.region)
    return State.CURRENT if (own, region) == (outputs.writer_access_key_id, outputs.region) else State.STALE


def _is_inside(prefix: Any, outputs: StackOutputs) -> bool:
    """Whether the writer may write there; a room without a prefix has the customer's id for one."""
    return not outputs.path_prefix or f"{str(prefix or '').strip('/')}/".startswith(outputs.path_prefix)


def _steps(place: Place, room: OwnStorage) -> list[Step]:
    known = place.memory.read(FOLDER + room.id)
    before = dict(known.value["before"]) if known and room.state in OURS else _before(room.document)
    steps = []
    if known is None or known.value.get("before") != before:
        expected = known.version if known else None
        title = f"remember the settings that room {room.id} has now"
        steps.append(Step(title, partial(_remember, place, room.id, {"before": before}, expected)))
    title = f"give room {room.id} the bucket and key of this stack"
    steps.append(Step(title, partial(_bring, place, room, before), _diff(room, place.outputs)))
    return steps


def _remember(place: Place, id_: str, value: Document, expected: str | None) -> None:
    place.memory.write(FOLDER + id_, value, expected)


def _bring(place: Place, room: OwnStorage, before: Document) -> None:
    after = _write(place.client, room, wanted_info(room.document, place.outputs))
    known = place.memory.read(FOLDER + room.id)
    written = {"key": place.outputs.writer_access_key_id, "updated_at": after.get("updated_at")}
    place.memory.write(FOLDER + room.id, {"before": before, "written": written}, known.version if known else None)


def _write(client: HmsClient, room: OwnStorage, info: Document) -> Document:
    """Change a room that still is as it was read; read before every try, read back after, and give what it is then.

    Raises ConflictError if somebody else changed it, HmsRefusedError, HmsUncertainError with retries used up.
    """
    refusals = Refusals()

    def send() -> Document:
        now = client.room_document(room.id)
        if not (_same(now, room.document) or _is_as(now, room.document, info)):
            raise ConflictError(
                f"room {room.id} was changed by somebody else after it was read; nothing was overwritten. Run the "
                "command again to plan from what it is now"
            )
        try:
            return client.post_room(room.id, {"recording_info": info})
        except HmsRefusedError as error:
            raise refusals.judged(error) from None

    answer = client.settle(send, lambda: None)
    shown = (_upload(answer).get("credentials") or {}).get("key")
    now = client.room_document(room.id)
    if not _is_as(now, room.document, info) or shown not in (None, info["upload_info"]["credentials"]["key"]):
        raise ConflictError(
            f"room {room.id} reads back otherwise than it was written: somebody else wrote at the same time, or 100ms "
            "changed it. It was left as it is; look at it in the dashboard, then run the command again"
        )
    return now


def _is_as(now: Document, before: Document, info: Document) -> bool:
    """Whether the room is as it was but for these settings; credentials count only where they are shown."""
    settings = dict(now.get("recording_info") or {})
    upload = dict(settings.get("upload_info") or {})
    key = (upload.pop("credentials", None) or {}).get("key", info["upload_info"]["credentials"]["key"])
    wanted = {name: value for name, value in info["upload_info"].items() if name != "credentials"}
    shown = {name: upload.get(name, value) for name, value in wanted.items()}
    rest = {name: value for name, value in settings.items() if name != "upload_info"}
    same = rest == {name: value for name, value in info.items() if name != "upload_info"}
    right = shown == wanted and key == info["upload_info"]["credentials"]["key"] and upload.get("location")
    return bool(same and right and _others(now) == _others(before))


def _same(one: Document, other: Document) -> bool:
    return _others(one) == _others(other) and one.get("recording_info") == other.get("recording_info")


_OWN = frozenset({"recording_info", "recording_source_template", "updated_at"})


def _others(document: Document) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in _OWN}


def _before(document: Document) -> dict[str, Any]:
    return {name: document[name] for name in ("recording_info", "recording_source_template") if name in document}


def _remembered_key(place: Place, document: Document) -> str | None:
    known = place.memory.read(FOLDER + _id(document))
    written = known.value.get("written") if known else None
    return str(written["key"]) if written and written.get("updated_at") == document.get("updated_at") else None


def _upload(document: Document) -> Document:
    info = document.get("recording_info") or {}
    upload = info.get("upload_info") if isinstance(info, Mapping) else None
    if not isinstance(info, Mapping) or not isinstance(upload, Mapping | None):
        raise HmsError(f"100ms gave a room {_id(document)} whose recording_info is not of the documented form")
    return upload or {}


def _id(document: Document) -> str:
    id_ = document.get("id")
    if not isinstance(id_, str) or not id_:
        raise HmsError("100ms gave a room without an id")
    return id_


def _diff(room: OwnStorage, outputs: StackOutputs) -> list[str]:
    """The change as lines; of credentials only the key's id is shown."""
    old, new = _upload(room.document), wanted_info(room.document, outputs)["upload_info"]
    rows = [(name, old.get(name), new[name]) for name in ("type", "location", "prefix")]
    rows.append(("options.region", (old.get("options") or {}).get("region"), new["options"]["region"]))
    rows.append(("credentials.key", room.key or "not shown", new["credentials"]["key"]))
    return [f"~ recording_info.upload_info.{name}: {was!r} => {will!r}" for name, was, will in rows if was != will]
