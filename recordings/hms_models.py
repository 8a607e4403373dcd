"""What 100ms answers, as far as we depend on it; fields that we do not use are ignored.

Statuses and types stay strings: 100ms adds some without notice, and an unknown one is no fault of the answer. What is
known of a recording beside its id and status is left out where it is of another form: one odd field of one
recording must not keep all others from being found, moved and told of.
Sources: the pages "Template object", "Room object", "Recordings" and "Recording assets" of 100ms' server-side API.
Settings documents are not here: they are kept raw, so that unknown fields survive (`recordings.upload_settings`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

_CUSTOMER = AliasChoices("customer_id", "customerId", "customer")
"""100ms spells it differently by page: `customer_id` on rooms, `customerId` on templates, `customer` on both."""

ACTIVE = frozenset({"starting", "running"})
"""Statuses of a recording that has not been told to stop."""


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


def _or_empty(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    return _or_none(value, handler) or ""


def _in_range(at: datetime) -> datetime:
    """In UTC. Raises ValueError for 100ms' zero time, the year 1, and for what days cannot be added to."""
    try:
        moment = at.astimezone(UTC)
    except OverflowError:
        raise ValueError("no time of a recording") from None
    if moment.year not in _YEARS:
        raise ValueError("no time of a recording")
    return moment


_YEARS = range(1970, 9000)
_Text = Annotated[str | None, WrapValidator(_or_none)]
_Words = Annotated[str, WrapValidator(_or_empty)]
_Number = Annotated[int | None, WrapValidator(_or_none)]
_Seconds = Annotated[Annotated[float, Field(allow_inf_nan=False)] | None, WrapValidator(_or_none)]
_Time = Annotated[Annotated[AwareDatetime, AfterValidator(_in_range)] | None, WrapValidator(_or_none)]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
        defer_build=True,  # a command meets a few of them, and each is built at its first answer
    )


class Template(_Model):
    """A template: blueprint of rooms. `destinations` is raw; its `hlsDestinations` say how HLS is recorded."""

    id: str = Field(min_length=1)
    name: str = ""
    customer_id: str | None = Field(default=None, validation_alias=_CUSTOMER)
    destinations: Mapping[str, Any] | None = None

    @property
    def playable_vod(self) -> list[str]:
        """Names of HLS destinations that record an unzipped VOD.

        100ms gives a playable link to such a recording only from its own storage; in an own bucket the m3u8's
        segments are not signed ("Get pre-signed URL"). A zipped one is played from nowhere, so nothing is lost.
        """
        by_name = (self.destinations or {}).get("hlsDestinations")
        if not isinstance(by_name, Mapping):
            return []
        recordings = {name: hls.get("recording") for name, hls in by_name.items() if isinstance(hls, Mapping)}
        return [
            name
            for name, how in recordings.items()
            if isinstance(how, Mapping) and how.get("hlsVod") and not how.get("enableZipUpload")
        ]


class UploadKey(_Model):
    """The id of the access key in storage settings; the secret beside it is not read."""

    key: str | None = None


class UploadInfo(_Model):
    """Storage settings of a room's own: its bucket and prefix; some answers of 100ms leave the credentials out."""

    type: str = ""
    location: str = ""
    prefix: str | None = None
    credentials: UploadKey | None = None


class RecordingInfo(_Model):
    """`recording_info` of a room."""

    enabled: bool | None = None
    upload_info: UploadInfo | None = None


class RoomWebhook(_Model):
    """A webhook of a room's own; its headers, which hold a secret, are not read."""

    url: str = ""


class Room(_Model):
    """A room. `recording_source_template` is true if it records as its template says, with no settings of its own."""

    id: str = Field(min_length=1)
    name: str = ""
    enabled: bool = True
    template_id: str | None = None
    customer_id: str | None = Field(default=None, validation_alias=_CUSTOMER)
    recording_source_template: bool | None = None
    recording_info: RecordingInfo | None = None
    webhook: RoomWebhook | None = None


class RecordingAsset(_Model):
    """A recording asset. `size` is in bytes, `duration` in seconds, `path` as 100ms reports it (`s3://bucket/…`)."""

    id: str = Field(min_length=1)
    status: str
    type: _Words = ""
    path: _Words = ""
    job_id: _Text = None
    room_id: _Text = None
    session_id: _Text = None
    size: _Number = None
    duration: _Seconds = None
    created_at: _Time = None
    thumbnails: Any = None
    """A list of paths ("Recording assets"); webhooks show objects with a `location`. See `thumbnail_paths`."""

    @property
    def thumbnail_paths(self) -> list[str]:
        """Where its thumbnails lie; what is of neither form is left out."""
        found = self.thumbnails if isinstance(self.thumbnails, list) else []
        named = [item.get("location") if isinstance(item, Mapping) else item for item in found]
        return [path for path in named if isinstance(path, str) and path]


class Recording(_Model):
    """A recording: `starting, running, stopping, post_processing, completed` or `failed`.

    `recording_assets` are filled by `get_recording` alone, and only once it is completed.
    """

    id: str = Field(min_length=1)
    room_id: str
    status: str
    session_id: _Text = None
    created_at: _Time = None
    started_at: _Time = None
    stopped_at: _Time = None
    updated_at: _Time = None
    meeting_url: _Text = None
    recording_assets: tuple[RecordingAsset, ...] | None = None


class WebhookPayload(_Model):
    """What was sent: the event's own data, of which 100ms shows a part, and its name."""

    event_data: Mapping[str, Any] = Field(default_factory=dict)
    original_event_name: str = ""


class WebhookDelivery(_Model):
    """One event that 100ms sent, or tried to send, to a webhook."""

    event_id: str = ""
    room_id: str | None = None
    payload: WebhookPayload = WebhookPayload()


class PresignedUrl(_Model):
    """A presigned URL that 100ms made; the URL is a secret. `expiry` is in seconds."""

    id: str
    url: SecretStr
    path: _Words = ""
    expiry: _Number = None
