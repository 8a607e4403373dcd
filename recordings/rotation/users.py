"""Who uses a stack's bucket at 100ms, and with which key: templates, rooms with settings of their own, recordings.

Owns the questions; changes nothing. One look at a workspace is kept (`Users`), since every room and template is asked;
whoever changes something, or is about to take a key away, looks again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from recordings.errors import HmsNotFoundError
from recordings.registration import FOLDER as REGISTERED
from recordings.registration import Place
from recordings.rooms import HERE, survey
from recordings.rotation.course import Behind
from recordings.upload_settings import Upload, check_form, points_at, upload_of

UNFINISHED: Final = ("starting", "running", "stopping", "post_processing")
"""Statuses of a recording that still needs its key, in the order in which it goes through them."""
LEAST_OVERLAP: Final = timedelta(hours=72)
"""How long a URL lives that 100ms signs unless told otherwise ("Get pre-signed URL": 3 days)."""
LONGEST_URL: Final = timedelta(days=7)
"""No presigned URL lives longer, with AWS or Google: for URLs of our own making the only bound that is known."""


@dataclass(frozen=True)
class _Look:
    """Who uploads to the bucket, by id, with the id of their key (None for a room where nobody can tell).

    `registered` are templates that were given a key of this stack.
    """

    templates: Mapping[str, str]
    rooms: Mapping[str, str | None]
    registered: frozenset[str]


class Users:
    """Who uses the bucket; `place` gives the place as it is now. Methods may raise what 100ms and the store raise."""

    def __init__(self, place: Callable[[], Place]) -> None:
        self._place = place
        self._kept: _Look | None = None
        self._presigned: timedelta | None = None

    def forget(self) -> None:
        """Look again next time."""
        self._kept = None

    def behind(self, key: str) -> Behind:
        """Templates and rooms that use this bucket with a key of this stack, and not with `key`."""
        look, ours = self._look(), {slot.id for slot in self._place().outputs.writer_keys.values()}
        registered = ours | {look.templates[id_] for id_ in look.registered & look.templates.keys()}
        templates = [id_ for id_, own in look.templates.items() if own != key and own in registered]
        rooms = [id_ for id_, own in look.rooms.items() if own != key and (own is None or own in ours)]
        return Behind(tuple(templates), tuple(rooms))

    def unfinished(self) -> list[str]:
        """Recordings that go to this bucket and are not finished.

        The statuses are asked in the order in which a recording goes through them, so that none slips through.
        """
        look, client = self._look(), self._place().client
        found: dict[str, str] = {}
        for status in UNFINISHED:
            found |= {recording.id: recording.room_id for recording in client.recordings(status=status)}
        here = {room: self._is_here(look, room) for room in dict.fromkeys(found.values())}
        return [id_ for id_, room in found.items() if here[room]]

    def overlap(self) -> timedelta:
        """How long a URL may live that 100ms signed: the longest `presignDuration` of these templates, or 72 h."""
        if self._presigned is None:
            client = self._place().client
            longest = [LEAST_OVERLAP.total_seconds()]
            for id_ in self._look().templates:
                try:
                    longest += _durations(client.template_recordings(id_))
                    longest += _durations(client.template(id_).destinations)
                except HmsNotFoundError:
                    continue
            self._presigned = timedelta(seconds=max(longest))
        return self._presigned

    def _look(self) -> _Look:
        if self._kept is None:
            place = self._place()
            remembered = (name.removeprefix(REGISTERED) for name in place.memory.names(REGISTERED))
            self._kept = _Look(
                templates=self._templates(place),
                rooms={room.id: room.key for room in survey(place) if room.state in HERE},
                registered=frozenset({*place.outputs.template_ids, *remembered}),
            )
        return self._kept

    def _templates(self, place: Place) -> dict[str, str]:
        wanted, found = Upload.from_outputs(place.outputs), {}
        for template in place.client.templates():
            try:
                settings = place.client.template_settings(template.id)
            except HmsNotFoundError:
                if any(listed.id == template.id for listed in place.client.templates()):
                    raise  # it is there, and may have the key that is to go
                continue  # deleted after it was listed
            check_form(settings)
            if points_at(settings, wanted):
                found[template.id] = str(((upload_of(settings) or {}).get("credentials") or {}).get("key"))
        return found

    def _is_here(self, look: _Look, room_id: str) -> bool:
        """Whether what a room records goes to this bucket; a room that is gone is taken to be one of those."""
        if room_id in look.rooms:
            return True
        try:
            room = self._place().client.room(room_id)
        except HmsNotFoundError:
            return True
        return room.recording_info is None and room.template_id in look.templates


def _durations(node: Any) -> list[float]:
    """Every `presignDuration` (seconds) in a document ("Configure recordings", "Create template via API")."""
    if isinstance(node, Mapping):
        own = [float(v) for k, v in node.items() if k == "presignDuration" and isinstance(v, int | float)]
        return own + [each for value in node.values() for each in _durations(value)]
    if isinstance(node, Sequence) and not isinstance(node, str | bytes):
        return [each for item in node for each in _durations(item)]
    return []
