"""The writable fields of a bucket, with the rules that Google has for their values. No storage, no HTTP.

A field that is unknown here is refused by name rather than dropped. Sources: the JSON API's Bucket resource
(cloud.google.com/storage/docs/json_api/v1/buckets), .../lifecycle, .../soft-delete, .../autoclass, .../buckets#naming,
.../locations, .../tags-and-labels.
"""

from __future__ import annotations

import re
from datetime import date
from ipaddress import IPv4Address
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from sandbox.google.errors import GoogleError, invalid
from sandbox.google.http import Json

CLASSES: Final = ("STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE")
StorageClass = Literal["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"]
_MULTI: Final = {"US": "multi-region", "EU": "multi-region", "ASIA": "multi-region"}
_DUAL: Final = {"NAM4": "dual-region", "EUR4": "dual-region", "EUR5": "dual-region", "EUR7": "dual-region",
                "EUR8": "dual-region", "ASIA1": "dual-region"}  # fmt: skip
_REGIONS: Final = """
NORTHAMERICA-NORTHEAST1 NORTHAMERICA-NORTHEAST2 NORTHAMERICA-SOUTH1 US-CENTRAL1 US-EAST1 US-EAST4 US-EAST5 US-SOUTH1
US-WEST1 US-WEST2 US-WEST3 US-WEST4 SOUTHAMERICA-EAST1 SOUTHAMERICA-WEST1 EUROPE-CENTRAL2 EUROPE-NORTH1 EUROPE-NORTH2
EUROPE-SOUTHWEST1 EUROPE-WEST1 EUROPE-WEST2 EUROPE-WEST3 EUROPE-WEST4 EUROPE-WEST6 EUROPE-WEST8 EUROPE-WEST9
EUROPE-WEST10 EUROPE-WEST12 ASIA-EAST1 ASIA-EAST2 ASIA-NORTHEAST1 ASIA-NORTHEAST2 ASIA-NORTHEAST3 ASIA-SOUTH1
ASIA-SOUTH2 ASIA-SOUTHEAST1 ASIA-SOUTHEAST2 AFRICA-SOUTH1 ME-CENTRAL1 ME-CENTRAL2 ME-WEST1 AUSTRALIA-SOUTHEAST1
AUSTRALIA-SOUTHEAST2
""".split()  # noqa: SIM905
LOCATIONS: Final = {**_MULTI, **_DUAL, **dict.fromkeys(_REGIONS, "region")}
_LABEL: Final = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE: Final = re.compile(r"[a-z0-9_-]{0,63}")
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_KMS: Final = re.compile(r"projects/[^/]+/locations/([^/]+)/keyRings/[^/]+/cryptoKeys/[^/]+")
_DAY: Final = 24 * 3600
_RULE_LIMIT: Final = 100
_AFFIX_LIMIT: Final = 50
READ_ONLY: Final = frozenset(
    {"kind", "id", "selfLink", "projectNumber", "timeCreated", "updated", "softDeleteTime", "hardDeleteTime", "etag",
     "metageneration", "generation", "locationType", "owner", "satisfiesPZS", "satisfiesPZI", "acl", "defaultObjectAcl"}
)  # fmt: skip
"""Fields that clients send back as they got them; `acl` and `defaultObjectAcl` only as far as they are empty."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Cors(_Model):
    origin: list[str] = []
    method: list[str] = []
    response_header: list[str] = Field(default=[], alias="responseHeader")
    max_age: int | None = Field(default=None, alias="maxAgeSeconds", ge=0)

    @field_validator("method")
    @classmethod
    def _methods(cls, methods: list[str]) -> list[str]:
        legal = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "*")
        for method in methods:
            if method not in legal:
                raise ValueError(f"{method!r} is no CORS method; legal are {', '.join(legal)}")
        return methods


class _Switch(_Model):
    enabled: bool = False


class _Uniform(_Model):
    enabled: bool = False
    locked_time: str | None = Field(default=None, alias="lockedTime")


class _Access(_Model):
    uniform: _Uniform = Field(default=_Uniform(), alias="uniformBucketLevelAccess")
    bucket_policy_only: _Uniform | None = Field(default=None, alias="bucketPolicyOnly", exclude=True)
    prevention: Literal["inherited", "unspecified", "enforced"] = Field(
        default="inherited", alias="publicAccessPrevention"
    )


class _SoftDelete(_Model):
    seconds: int = Field(alias="retentionDurationSeconds")
    effective: str | None = Field(default=None, alias="effectiveTime")

    @field_validator("seconds")
    @classmethod
    def _range(cls, seconds: int) -> int:
        if seconds != 0 and not 7 * _DAY <= seconds <= 90 * _DAY:
            raise ValueError("soft delete retention must be 0 or between 604800 (7 days) and 7776000 (90 days)")
        return seconds


class _Action(_Model):
    type: Literal["Delete", "SetStorageClass", "AbortIncompleteMultipartUpload"]
    storage_class: StorageClass | None = Field(default=None, alias="storageClass")

    @model_validator(mode="after")
    def _class_where_it_belongs(self) -> Self:
        if (self.type == "SetStorageClass") != (self.storage_class is not None):
            raise ValueError("storageClass belongs to SetStorageClass and to nothing else")
        return self


_Affixes = Annotated[list[str], Field(max_length=_AFFIX_LIMIT)]


class _Condition(_Model):
    age: int | None = Field(default=None, ge=0)
    created_before: date | None = Field(default=None, alias="createdBefore")
    custom_time_before: date | None = Field(default=None, alias="customTimeBefore")
    days_since_custom: int | None = Field(default=None, alias="daysSinceCustomTime", ge=0)
    days_since_noncurrent: int | None = Field(default=None, alias="daysSinceNoncurrentTime", ge=0)
    noncurrent_before: date | None = Field(default=None, alias="noncurrentTimeBefore")
    newer: int | None = Field(default=None, alias="numNewerVersions", ge=0)
    live: bool | None = Field(default=None, alias="isLive")
    prefixes: _Affixes | None = Field(default=None, alias="matchesPrefix")
    suffixes: _Affixes | None = Field(default=None, alias="matchesSuffix")
    classes: list[StorageClass] | None = Field(default=None, alias="matchesStorageClass")


class _Rule(_Model):
    action: _Action
    condition: _Condition

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        given = set(self.condition.model_dump(exclude_none=True))
        if not given:
            raise ValueError("a lifecycle rule needs a condition")
        if self.action.type == "AbortIncompleteMultipartUpload" and given - {"age", "prefixes", "suffixes"}:
            raise ValueError("AbortIncompleteMultipartUpload takes age, matchesPrefix and matchesSuffix alone")
        return self


class _Lifecycle(_Model):
    rule: list[_Rule] = Field(default=[], max_length=_RULE_LIMIT)


class _Autoclass(_Model):
    enabled: bool = False
    terminal: Literal["NEARLINE", "ARCHIVE"] | None = Field(default=None, alias="terminalStorageClass")
    toggle_time: str | None = Field(default=None, alias="toggleTime")
    terminal_time: str | None = Field(default=None, alias="terminalStorageClassUpdateTime")


class _Encryption(_Model):
    key: str | None = Field(default=None, alias="defaultKmsKeyName")


class _Logging(_Model):
    bucket: str = Field(alias="logBucket")
    prefix: str | None = Field(default=None, alias="logObjectPrefix", max_length=900)


class _Bucket(_Model):
    name: str
    location: str = "US"
    storage_class: StorageClass = Field(default="STANDARD", alias="storageClass")
    access: _Access = Field(default=_Access(), alias="iamConfiguration")
    cors: list[_Cors] | None = None
    versioning: _Switch | None = None
    soft_delete: _SoftDelete | None = Field(default=None, alias="softDeletePolicy")
    lifecycle: _Lifecycle | None = None
    autoclass: _Autoclass | None = None
    encryption: _Encryption | None = None
    labels: dict[str, str] | None = None
    logging: _Logging | None = None
    rpo: Literal["DEFAULT", "ASYNC_TURBO"] | None = None

    @field_validator("location")
    @classmethod
    def _known_location(cls, location: str) -> str:
        if location.upper() not in LOCATIONS:
            raise ValueError("The specified location constraint is not valid.")
        return location.upper()

    @field_validator("labels")
    @classmethod
    def _good_labels(cls, labels: dict[str, str] | None) -> dict[str, str] | None:
        for key, value in (labels or {}).items():
            if not _LABEL.fullmatch(key) or not _LABEL_VALUE.fullmatch(value):
                raise ValueError(f"label {key!r}: {value!r}: lower-case letters, digits, _ and - alone, at most 63")
        if len(labels or {}) > 64:
            raise ValueError("a bucket can have at most 64 labels")
        return labels

    @model_validator(mode="after")
    def _autoclass_alone(self) -> Self:
        if self.autoclass is None or not self.autoclass.enabled:
            return self
        if self.storage_class != "STANDARD":
            raise ValueError("a bucket with Autoclass has the storage class STANDARD")
        rules = self.lifecycle.rule if self.lifecycle else []
        if any(rule.action.type == "SetStorageClass" for rule in rules):
            raise ValueError("a bucket with Autoclass cannot have lifecycle rules with SetStorageClass")
        return self


def checked(fields: Json) -> Json:
    """Writable fields as stored: checked, with Google's defaults. Raises GoogleError 400 naming field and rule."""
    for name in ("acl", "defaultObjectAcl"):
        if fields.get(name):
            raise invalid(f"Cannot use {name}: the sandbox's buckets have no ACLs; use uniform bucket-level access.")
    body = {name: value for name, value in fields.items() if name not in READ_ONLY}
    try:
        bucket = _Bucket.model_validate(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise _field_error(first) from None
    check_name(bucket.name)
    stored: Json = bucket.model_dump(mode="json", by_alias=True, exclude_none=True)
    if "softDeletePolicy" in stored:
        seconds = stored["softDeletePolicy"]["retentionDurationSeconds"]
        stored["softDeletePolicy"]["retentionDurationSeconds"] = str(seconds)
    if stored["iamConfiguration"]["publicAccessPrevention"] == "unspecified":
        stored["iamConfiguration"]["publicAccessPrevention"] = "inherited"
    return stored


def _field_error(error: Any) -> GoogleError:
    path = ".".join(str(part) for part in error["loc"]) or "bucket"
    message = error["msg"].removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        message = "unknown field, or one that the sandbox does not support"
    if message.startswith("The specified location"):
        return invalid(message, "InvalidLocationConstraint")
    return invalid(f"Invalid value at '{path}': {message}.")


def check_name(name: str) -> None:
    """Raise GoogleError 400 unless `name` can be a bucket's (dots need a verified domain, which nobody has here)."""
    parts = name.split(".")
    good = (
        _NAME.fullmatch(name)
        and all(0 < len(part) <= 63 and not part.startswith("-") and not part.endswith("-") for part in parts)
        and not _is_address(name)
        and not name.startswith("goog")
        and not re.search(r"g[o0][o0]g[l1]e", name)
    )
    if not good:
        raise invalid(f"Invalid bucket name: '{name}'", "InvalidBucketName")
    if len(parts) > 1:
        raise GoogleError(
            403, "forbidden", f"The bucket name '{name}' is a domain; you must verify site ownership to use it.",
            code="AccessDenied",
        )  # fmt: skip


def _is_address(name: str) -> bool:
    try:
        IPv4Address(name)
    except ValueError:
        return False
    return True


def kms_location(key: str) -> str | None:
    """The location in a KMS key's name, or None if it is no such name."""
    match = _KMS.fullmatch(key)
    return match[1] if match else None
