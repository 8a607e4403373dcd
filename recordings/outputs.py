"""The stack outputs: the one typed contract between the deployment and everything that runs after it.

Owns parsing and validating what `pulumi stack output --json --show-secrets` prints. Does not run that command
(`recordings.cli.frame` does) and does not declare outputs (`components` does): this module imports no pulumi, so that
a back end can install it alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from recordings.errors import ConfigurationError

PRODUCTION: Final = frozenset({"prod", "production"})
"""Environments that are held to more."""
KEPT: Final = PRODUCTION | {"staging"}
"""Environments that are never a test stack's."""


class StorageProvider(StrEnum):
    """Where the bucket lies: Amazon S3 or Google Cloud Storage."""

    S3 = "s3"
    GCS = "gcs"

    @property
    def scheme(self) -> str:
        """What 100ms calls it: the type of a storage, and the scheme of a recording's path."""
        return {StorageProvider.S3: "s3", StorageProvider.GCS: "gs"}[self]


class WriterAccess(StrEnum):
    """What the writer may do under the prefix; see `recordings.policies`."""

    FULL = "full"
    READ_WRITE = "read-write"
    UPLOAD_ONLY = "upload-only"


class KeyStatus(StrEnum):
    """State of a key slot."""

    ACTIVE = "active"
    INACTIVE = "inactive"


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        hide_input_in_errors=True,
        defer_build=True,  # who declares the outputs never parses them
    )


class KeySlot(_Model):
    """One issued key: `id` (not a secret), `secret`, `status`."""

    id: str = Field(min_length=1)
    secret: SecretStr
    status: KeyStatus


class FormerBucket(_Model):
    """A bucket that recordings were kept in before: nothing is written there, the reader may download and sign."""

    bucket_name: str = Field(min_length=3)
    region: str = Field(min_length=1)
    path_prefix: str = ""
    kms_key: str | None = None


SecretMapping = Mapping[str, KeySlot]
"""Key slots by name; the stack marks the whole output as a secret."""


class StackOutputs(_Model):
    """The outputs of one deployed stack, named in Python's way; `from_mapping` takes the camelCase names of the stack.

    `path_prefix` has no leading slash and ends in `/`, or is empty. `endpoint_url` is None on AWS and Google.
    """

    storage_provider: StorageProvider = Field(description="`s3` or `gcs`")
    bucket_name: str = Field(min_length=3, description="Name of the bucket")
    region: str = Field(min_length=1, description="The bucket's region or location")
    path_prefix: str = Field(description="Where recordings lie: no leading slash; ends in `/` or is empty")
    writer_access_key_id: str = Field(min_length=1, description="Access key id of the registered slot, for 100ms")
    writer_secret_access_key: SecretStr = Field(description="Its secret")
    reader_access_key_id: str = Field(min_length=1, description="Access key id that downloads are signed with")
    reader_secret_access_key: SecretStr = Field(description="Its secret")
    writer_keys: SecretMapping = Field(description="Slot → `{id, secret, status}`")
    reader_keys: SecretMapping = Field(description="Slot → `{id, secret, status}`")
    registered_key: str = Field(description="The writer's slot that 100ms is given")
    writer_access: WriterAccess = Field(description="`full`, `read-write` or `upload-only`")
    environment: str = Field(description="Name of the environment")
    template_ids: tuple[str, ...] = Field((), description="100ms templates that record into this bucket")
    cors_origins: tuple[str, ...] = Field(("*",), description="Web origins that may play recordings")
    former_buckets: tuple[FormerBucket, ...] = Field(
        (), description="Buckets to download older recordings from: `{bucketName, region, pathPrefix, kmsKey}` each"
    )
    kms_key: str | None = Field(None, description="The KMS key that encrypts the bucket; absent for the provider's own")
    access_log_bucket: str | None = Field(None, description="The bucket that takes the access log; absent for no log")
    writer_principal: str = Field("", description="IAM user ARN or service-account e-mail of the writer")
    reader_principal: str = Field("", description="IAM user ARN or service-account e-mail of the reader")
    writer_policy: str | None = Field(None, description="What the owner of an external writer must allow it (JSON)")
    reader_policy: str | None = Field(None, description="What the owner of an external reader must allow it (JSON)")
    external_identities: tuple[str, ...] = Field(
        (), description="`writer`, `reader`: those whose key somebody else made and looks after"
    )
    endpoint_url: str | None = Field(None, description="Absent on AWS and Google; the sandbox's address there")
    service_account_key: SecretStr | None = Field(None, description="Google only, opt-in: the reader's JSON key")
    expected_account: str | None = Field(None, description="AWS account or Google project that may be changed")
    expected_regions: tuple[str, ...] = Field((), description="Regions that the bucket may lie in")
    expected_customer: str | None = Field(None, description="100ms customer whose templates may be changed")
    force_destroy: bool = Field(False, description="Whether `destroy` may take the bucket with everything in it")
    protect: bool = Field(False, description="Whether deleting the bucket is refused")
    expires_at: str | None = Field(None, description="When a test stack may be swept (UTC)")

    @field_validator("path_prefix")
    @classmethod
    def _prefix_form(cls, value: str) -> str:
        if value and (value.startswith("/") or not value.endswith("/") or ".." in value.split("/")):
            raise ValueError("must be empty, or end in '/' with no leading '/' and no '..' segment")
        return value

    @model_validator(mode="after")
    def _registered_slot_is_the_writer(self) -> Self:
        slot = self.writer_keys.get(self.registered_key)
        if self.writer_keys and (slot is None or slot.id != self.writer_access_key_id):
            raise ValueError(
                f"registeredKey {self.registered_key!r} is not the slot of writerAccessKeyId "
                f"{self.writer_access_key_id!r}; slots: {sorted(self.writer_keys)}"
            )
        return self

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any]) -> Self:
        """Validate the outputs of a stack.

        Raises ConfigurationError that names every missing or wrong output at once, never a value.
        """
        if not raw:
            raise ConfigurationError(
                "the stack has no outputs: it is not deployed, was destroyed, or its last `pulumi up` failed; run "
                "`pulumi up` and see what it says"
            )
        try:
            return cls.model_validate(dict(raw))
        except ValidationError as error:
            faults = "\n".join(f"  {_where(e['loc'])}: {e['msg']}" for e in error.errors(include_url=False))
            raise ConfigurationError(
                f"these stack outputs cannot be used:\n{faults}\n"
                "Give what `pulumi stack output --json --show-secrets` prints for a stack of this project."
            ) from None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse and validate the JSON object that `pulumi stack output --json --show-secrets` prints.

        Raises ConfigurationError; its message never quotes the text, which holds secrets.
        """
        try:
            raw = json.loads(text)
        except (ValueError, RecursionError):
            raise ConfigurationError("the stack outputs are not JSON") from None
        if not isinstance(raw, dict):
            raise ConfigurationError(f"the stack outputs are a JSON {type(raw).__name__}, not an object")
        return cls.from_mapping(raw)


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "outputs"
