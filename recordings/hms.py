"""The 100ms API, one method a call.

Owns which endpoint is asked and which model its answer becomes. Requests, retries and errors are `recordings.hms_wire`,
models `recordings.hms_models`, tokens `recordings.hms_auth`. Settings documents stay raw dicts, so that fields that we
do not know survive; whoever writes them (`recordings.registration`) decides about repeating.

Every method may raise what `hms_wire.Wire` lists. Source: the pages of 100ms' server-side API, named at each method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from recordings.errors import HmsError
from recordings.hms_auth import HmsCredentials
from recordings.hms_models import ACTIVE, PresignedUrl, Recording, RecordingAsset, Room, Template, WebhookDelivery
from recordings.hms_wire import PAGE, TIMEOUT, Wire, as_list, as_object, path
from recordings.retry import RetryPolicy, Timing

M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


class HmsClient:
    """A client for one 100ms workspace; use it as a context manager, or call `close`.

    Transport, policy and timing are there to be replaced in tests.
    """

    def __init__(
        self,
        credentials: HmsCredentials,
        *,
        transport: httpx.BaseTransport | None = None,
        policy: RetryPolicy | None = None,
        timing: Timing | None = None,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> None:
        self._wire = Wire(credentials, transport=transport, policy=policy, timing=timing, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._wire.close()

    def settle(self, send: Callable[[], T], took_effect: Callable[[], T | None]) -> T:
        """Run a write that may be repeated only after reading; see `hms_wire.Wire.settle`."""
        return self._wire.settle(send, took_effect)

    def template(self, template_id: str) -> Template:
        """One template, with its customer and its destinations ("Retrieve a template")."""
        return _model(Template, self._wire.get(path("templates", template_id)), f"template {template_id}")

    def templates(self) -> Iterator[Template]:
        """Every template of the workspace ("List all templates")."""
        return (_model(Template, item, "template") for item in self._wire.pages("templates"))

    def template_settings(self, template_id: str) -> dict[str, Any]:
        """The settings document as it is, unknown fields included; secret ("Retrieve settings")."""
        return as_object(self._wire.get(path("templates", template_id, "settings")), f"settings of {template_id}")

    def post_template_settings(self, template_id: str, settings: Mapping[str, Any]) -> None:
        """Replace the settings document, once ("Update settings").

        Raises HmsUncertainError if no usable answer came: read, and decide.
        """
        self._wire.post(path("templates", template_id, "settings"), settings)

    def template_recordings(self, template_id: str) -> list[dict[str, Any]]:
        """The recording configurations of a template, raw ("Configure recordings")."""
        what = f"recording configurations of {template_id}"
        answer = self._wire.get(path("templates", template_id, "recordings"))
        return [as_object(item, what) for item in as_list(answer, what)]

    def room(self, room_id: str) -> Room:
        """One room ("Retrieve a specific room")."""
        return _model(Room, self._wire.get(path("rooms", room_id)), f"room {room_id}")

    def rooms(self, *, template_id: str | None = None) -> Iterator[Room]:
        """Every room, enabled ones first ("List rooms", which lists disabled ones only when asked for them)."""
        for enabled in ("true", "false"):
            params = _given(enabled=enabled, template_id=template_id)
            yield from (_model(Room, item, "room") for item in self._wire.pages("rooms", params))

    def room_documents(self) -> Iterator[dict[str, Any]]:
        """Every room as 100ms shows it, enabled ones first, unknown fields included ("List rooms")."""
        for enabled in ("true", "false"):
            yield from (as_object(item, "room") for item in self._wire.pages("rooms", {"enabled": enabled}))

    def room_document(self, room_id: str) -> dict[str, Any]:
        """One room as 100ms shows it ("Retrieve a specific room", which leaves credentials out)."""
        return as_object(self._wire.get(path("rooms", room_id)), f"room {room_id}")

    def post_room(self, room_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change the fields of a room that `changes` names, once, and give the answer; secret ("Update a room").

        Raises HmsUncertainError if no usable answer came: read, and decide.
        """
        return as_object(self._wire.post(path("rooms", room_id), changes), f"room {room_id}")

    def start_recording(self, room_id: str, *, meeting_url: str | None = None) -> Recording:
        """Start a recording and give it; after a lost answer the one that was started, so that there is only one.

        `meeting_url` is needed for templates that were made by API ("Start recording for room").
        """
        known = {recording.id for recording in self.recordings(room_id=room_id)}

        def send() -> Recording:
            answer = self._wire.post(path("recordings/room", room_id, "start"), _given(meeting_url=meeting_url))
            return _model(Recording, answer, f"recording of room {room_id}")

        def started() -> Recording | None:
            now = self.recordings(room_id=room_id)
            return next((recording for recording in now if recording.id not in known), None)

        return self._wire.settle(send, started)

    def stop_recording(self, room_id: str) -> tuple[Recording, ...]:
        """Stop every recording of a room and give those that were stopped ("Stop recording for room")."""
        running = {recording.id for recording in self.recordings(room_id=room_id) if recording.status in ACTIVE}
        what = f"stopped recording of room {room_id}"

        def send() -> tuple[Recording, ...]:
            answer = as_object(self._wire.post(path("recordings/room", room_id, "stop"), {}), what)
            return tuple(_model(Recording, item, what) for item in as_list(answer.get("data"), what))

        def stopped() -> tuple[Recording, ...] | None:
            now = [recording for recording in self.recordings(room_id=room_id) if recording.id in running]
            return None if any(recording.status in ACTIVE for recording in now) else tuple(now)

        return self._wire.settle(send, stopped)

    def recording(self, recording_id: str) -> Recording:
        """One recording, with its recording assets once it is completed ("Get recording")."""
        return _model(Recording, self._wire.get(path("recordings", recording_id)), f"recording {recording_id}")

    def recordings(
        self, *, room_id: str | None = None, session_id: str | None = None, status: str | None = None
    ) -> Iterator[Recording]:
        """Recordings, without their recording assets ("List recordings")."""
        params = _given(room_id=room_id, session_id=session_id, status=status)
        return (_model(Recording, item, "recording") for item in self._wire.pages("recordings", params))

    def recording_assets(
        self, *, room_id: str | None = None, session_id: str | None = None, status: str | None = None
    ) -> Iterator[RecordingAsset]:
        """Recording assets; `status` is `completed` or `failed` ("List all recording assets")."""
        params = _given(room_id=room_id, session_id=session_id, status=status)
        return (
            _model(RecordingAsset, item, "recording asset") for item in self._wire.pages("recording-assets", params)
        )

    def recording_asset(self, asset_id: str) -> RecordingAsset:
        """One recording asset ("Get recording asset")."""
        answer = self._wire.get(path("recording-assets", asset_id))
        return _model(RecordingAsset, answer, f"recording asset {asset_id}")

    def presigned_url(self, asset_id: str, *, seconds: int | None = None) -> PresignedUrl:
        """A presigned URL that 100ms makes, valid for `seconds`, else for 3 days ("Get pre-signed URL")."""
        params = _given(presign_duration=None if seconds is None else str(seconds))
        answer = self._wire.get(path("recording-assets", asset_id, "presigned-url"), params)
        return _model(PresignedUrl, answer, f"presigned URL of recording asset {asset_id}")

    def webhook_deliveries(self, event: str, start: datetime) -> Iterator[WebhookDelivery]:
        """What was sent to webhooks of one kind of event, from `start` (aware) until now ("List Webhook Events").

        100ms takes a start within 14 days. Pages are numbered here.
        """
        began = f"{start.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
        page, what = 1, "webhook events"
        while True:
            params = {"start_time": began, "event_names": event, "limit": str(PAGE), "page": str(page)}
            answer = as_object(self._wire.get("analytics/webhooks", params), what)
            yield from (_model(WebhookDelivery, item, what) for item in as_list(answer.get("events"), what))
            if not as_object(answer.get("pagination") or {}, what).get("has_next"):
                return
            page += 1


def _given(**params: str | None) -> dict[str, str]:
    return {name: value for name, value in params.items() if value is not None}


def _model(model: type[M], body: Any, what: str) -> M:
    try:
        return model.model_validate(as_object(body, what))
    except ValidationError as error:
        faults = ", ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        named = (
            f" ({body['id']!r:.80})" if isinstance(body, dict) and body.get("id") not in (None, *what.split()) else ""
        )
        raise HmsError(f"100ms gave a {what}{named} that is not of the documented form: {faults}") from None
