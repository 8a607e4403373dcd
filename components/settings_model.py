"""The keys that every provider has, their defaults and the rules between them, as pydantic models.

Owns what is the same wherever recordings are stored. `components.s3_settings` and `components.gcs_settings` give each
key the form that its provider asks for and add keys of their own; `components.settings` chooses between them.

A *test stack* is one that may be thrown away with its recordings: `forceDestroy` true, `protect` false, and an
environment that is neither staging nor production. Only such a stack may have an `expiresAt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

import pulumi
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, SecretStr
from pydantic import ValidationInfo as Info
from pydantic import field_validator as check
from pydantic.alias_generators import to_camel

from components import existing, rules
from components.lifecycle import Transition
from components.rules import require
from recordings.outputs import KEPT, PRODUCTION, FormerBucket, KeyStatus, StorageProvider, WriterAccess
from recordings.waivers import Waiver, parse_waivers

NAMESPACE: Final = "recordings"
MIN_SECRET: Final = 16
"""Characters; the secrets of AWS and Google have 40."""


class Slot(StrEnum):
    """The two places for a key, so that the next key works before the last one stops."""

    BLUE = "blue"
    GREEN = "green"


Text = Annotated[str, Field(strict=True)]
Boolean = Annotated[bool, BeforeValidator(rules.boolean)]
Structure = BeforeValidator(rules.structure)
Slots = Annotated[Mapping[Slot, KeyStatus], AfterValidator(rules.slots), AfterValidator(rules.frozen), Structure]


class SettingsModel(BaseModel):
    """Settings: frozen, with the keys' own spelling as aliases, and nothing beside them."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        validate_default=True,
        hide_input_in_errors=True,
        defer_build=True,  # a run needs the models of one provider, and those of the classes above it not at all
    )


def _secret(value: object) -> SecretStr | pulumi.Output[str]:
    """Take text, or the secret that Pulumi hands to a component, whose text is not known yet."""
    if isinstance(value, pulumi.Output | SecretStr):
        return value
    require(isinstance(value, str), "must be text: put it in quotes")
    require(len(str(value)) >= MIN_SECRET, f"must have at least {MIN_SECRET} characters")
    return SecretStr(str(value))


class ExternalKey(SettingsModel):
    """An identity and its key that somebody else made and looks after."""

    principal: Text
    access_key_id: Text
    secret_access_key: Annotated[SecretStr | pulumi.Output[str], PlainValidator(_secret)]


class StackSettings(SettingsModel):
    """What a stack is and where it may be deployed, whatever stores the recordings."""

    stack: str
    region: Text
    endpoint_url: str | None = None
    provider: StorageProvider = StorageProvider.S3
    environment: Annotated[Text, AfterValidator(rules.environment_name)]
    template_ids: Annotated[
        tuple[Annotated[Text, AfterValidator(rules.template_id)], ...], AfterValidator(rules.distinct), Structure
    ] = ()
    expected_account: Text | None = None
    expected_regions: tuple[Text, ...] = ()
    expected_customer: Annotated[Text, AfterValidator(rules.customer_id)] | None = None
    waivers: Annotated[tuple[Waiver, ...], BeforeValidator(parse_waivers)] = ()


class StorageSettings(SettingsModel):
    """The bucket, who may use it, and what becomes of its objects: what a storage component declares."""

    identity: ClassVar[str]
    """What writer and reader are called at the provider."""

    region: Text
    bucket_name: Text
    path_prefix: Annotated[Text, AfterValidator(rules.path_prefix)] = "recordings/"
    cors_origins: tuple[Text, ...] = ("*",)
    writer_access: WriterAccess = WriterAccess.FULL
    writer_name: Text | None = None
    reader_name: Text | None = None
    writer_keys: Slots = Field(default={Slot.BLUE: KeyStatus.ACTIVE})
    reader_keys: Slots = Field(default={Slot.BLUE: KeyStatus.ACTIVE})
    registered_key: Slot = Slot.BLUE
    signing_key: Slot | None = None
    writer_external: ExternalKey | None = None
    reader_external: ExternalKey | None = None
    tags: Mapping[Text, Text] = Field(default={})
    storage_classes: tuple[Transition, ...] = ()
    retention_days: Annotated[int, BeforeValidator(rules.days_from(0))] = 0
    old_version_days: Annotated[int, BeforeValidator(rules.days_from(1))] = 30
    kms_key: Text | None = None
    access_log_bucket: Text | None = None
    protect: Boolean = False
    force_destroy: Boolean = False
    former_buckets: tuple[FormerBucket, ...] = ()

    @property
    def signing_slot(self) -> Slot:
        """The reader's slot that signs: the configured one, else the registered one, else the one that is active."""
        if self.signing_key:
            return self.signing_key
        if self.reader_keys.get(self.registered_key) is KeyStatus.ACTIVE:
            return self.registered_key
        return next(slot for slot, status in self.reader_keys.items() if status is KeyStatus.ACTIVE)

    @check("reader_name")
    @classmethod
    def _two_identities(cls, value: str | None, info: Info) -> str | None:
        writer = info.data.get("writer_name")
        same = value is not None and writer is not None and value.casefold() == writer.casefold()
        require(not same, "must differ from writerName, in more than upper and lower case")
        return value

    @check("registered_key")
    @classmethod
    def _registered_is_active(cls, value: Slot, info: Info) -> Slot:
        slots = info.data.get("writer_keys", {value: KeyStatus.ACTIVE})
        active = [slot for slot, status in slots.items() if status is KeyStatus.ACTIVE]
        require(value in active, f"must be an active slot of writerKeys: {', '.join(active)}")
        return value

    @check("signing_key")
    @classmethod
    def _signing_is_active(cls, value: Slot | None, info: Info) -> Slot | None:
        slots = info.data.get("reader_keys")
        if value is not None and slots is not None:
            active = [slot for slot, status in slots.items() if status is KeyStatus.ACTIVE]
            require(value in active, f"must be an active slot of readerKeys: {', '.join(active)}")
        return value

    @check("writer_external", "reader_external")
    @classmethod
    def _external_or_ours(cls, value: ExternalKey | None, info: Info) -> ExternalKey | None:
        role = str(info.field_name).removesuffix("_external")
        if value is None:
            require(f"{role}_name" not in info.data or info.data[f"{role}_name"], f"without it, give {role}Name")
            return None
        require(not info.data.get(f"{role}_name"), f"no {cls.identity} is made beside it: remove {role}Name")
        slot = info.data.get("registered_key")
        keys = info.data.get(f"{role}_keys")
        require(
            slot is None or keys is None or keys == {slot: KeyStatus.ACTIVE},
            f"is one key, in the slot of registeredKey: set {role}Keys to {{{slot}: active}}",
        )
        return value

    @check("storage_classes", "retention_days")
    @classmethod
    def _spares_the_operator(cls, value: Any, info: Info) -> Any:
        require(
            not value or info.data.get("path_prefix", "-"),
            "needs a pathPrefix: over the whole bucket it would take the operator's objects under .recordings/ as well",
        )
        return value

    @check("access_log_bucket")
    @classmethod
    def _log_is_elsewhere(cls, value: str | None, info: Info) -> str | None:
        own = value is not None and value == info.data.get("bucket_name")
        require(not own, "must be another bucket than bucketName: a bucket that logs to itself never comes to rest")
        return value

    @check("former_buckets")
    @classmethod
    def _former_is_another(cls, value: tuple[FormerBucket, ...], info: Info) -> tuple[FormerBucket, ...]:
        if not {"bucket_name", "region", "path_prefix"} <= {*info.data}:
            return value  # one of these has a fault of its own
        return existing.elsewhere(value, info.data["bucket_name"], info.data["region"], info.data["path_prefix"])

    @check("force_destroy")
    @classmethod
    def _not_both(cls, value: bool, info: Info) -> bool:
        require(not (value and info.data.get("protect")), "can't be true while protect is true: choose one")
        return value


class Settings(StorageSettings, StackSettings):
    """The whole configuration of one stack; names are those of the keys, in Python's way."""

    cloud: ClassVar[str]
    """The namespace in which the provider's own configuration has the region."""
    missing: ClassVar[Mapping[str, str]]
    """What to say of a key without which nothing can be deployed."""
    default_names: ClassVar[Mapping[str, str]]
    """Role to the name that its identity gets, with `{stack}` in it."""
    own_tag: ClassVar[str]
    """What the keys of this project's tags begin with."""
    max_tags: ClassVar[int]

    expires_at: Annotated[Text, AfterValidator(rules.utc_time)] | None = None

    @classmethod
    def endpoint(cls, environ: Mapping[str, str]) -> str | None:
        """Where requests to the object store go instead of to the provider, None where they go to it."""
        raise NotImplementedError

    @staticmethod
    def tag_value(text: str) -> str:
        """`text` as the value of a tag."""
        return text

    @property
    def own_tags(self) -> dict[str, str]:
        """Our tags, by which a stack's resources are found and a test stack's are swept."""
        own = {"stack": self.stack, "environment": self.environment, "expires-at": self.expires_at}
        return {f"{self.own_tag}{key}": self.tag_value(value) for key, value in own.items() if value}

    @property
    def all_tags(self) -> dict[str, str]:
        """The configured tags and ours."""
        return {**self.tags, **self.own_tags}

    @check("cors_origins")
    @classmethod
    def _explicit_in_production(cls, value: tuple[str, ...], info: Info) -> tuple[str, ...]:
        production = info.data.get("environment") in PRODUCTION
        require(not (production and "*" in value), "must name each origin in production, as https://app.example.com")
        return value

    @check("tags")
    @classmethod
    def _room_for_ours(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        free = cls.max_tags - _OWN_TAGS
        require(len(value) <= free, f"must be at most {free} tags")
        taken = any(key.casefold().startswith(cls.own_tag) for key in value)
        require(not taken, f"must not have a key that begins with '{cls.own_tag}', which is this project's")
        return value

    @check("expires_at")
    @classmethod
    def _on_test_stacks_alone(cls, value: str | None, info: Info) -> str | None:
        data = info.data
        kept = data.get("protect") or data.get("force_destroy") is False or data.get("environment") in KEPT
        require(
            not (value and kept),
            "is for test stacks: forceDestroy true, protect false, environment none of " + ", ".join(sorted(KEPT)),
        )
        return value


_OWN_TAGS: Final = 3
