"""The configuration of a stack, parsed once: what Pulumi hands over, to one frozen, validated `Settings`.

Owns the keys, their defaults and the rules between them; what a single value may look like is in `components.rules`.
`parse_settings` is pure and finds all faults at once; `load_settings` is the thin part that asks Pulumi. Who runs the
program, and where, is checked by `components.guards`.

A *test stack* is one that may be thrown away with its recordings: `forceDestroy` true, `protect` false, and an
environment that is neither staging nor production. Only such a stack may have an `expiresAt`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Annotated, Any, Final

import pulumi
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic import ValidationInfo as Info
from pydantic import field_validator as check
from pydantic.alias_generators import to_camel

from components import existing, lifecycle, rules
from components.faults import explain, listed, unknown_keys
from components.rules import require
from recordings.adoption.parts import Part
from recordings.errors import ConfigurationError
from recordings.outputs import FormerBucket, KeyStatus, StorageProvider, WriterAccess

NAMESPACE: Final = "recordings"
PRODUCTION: Final = frozenset({"prod", "production"})
KEPT: Final = PRODUCTION | {"staging"}
"""Environments that are never a test stack's."""
EXTERNAL: Final = ("writerExternal", "readerExternal")
"""The keys that hold a secret."""
OWN_TAGS: Final = 3
AVAILABLE: Final = frozenset({StorageProvider.S3})
"""The providers that this version has a component for."""


class Slot(StrEnum):
    """The two places for a key, so that the next key works before the last one stops."""

    BLUE = "blue"
    GREEN = "green"


Text = Annotated[str, Field(strict=True)]
Boolean = Annotated[bool, BeforeValidator(rules.boolean)]
Structure = BeforeValidator(rules.structure)
UserName = Annotated[Text, AfterValidator(rules.user_name)]
PolicyName = Annotated[Text, AfterValidator(rules.policy_name)]
BucketName = Annotated[Text, AfterValidator(rules.bucket_name)]
Region = Annotated[Text, AfterValidator(rules.region)]
Slots = Annotated[Mapping[Slot, KeyStatus], AfterValidator(rules.slots), AfterValidator(rules.frozen), Structure]


class _Model(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        validate_default=True,
        hide_input_in_errors=True,
    )


class ExternalKey(_Model):
    """An IAM user and its access key that somebody else made and looks after."""

    principal: Annotated[Text, AfterValidator(rules.principal_arn)]
    access_key_id: Annotated[Text, AfterValidator(rules.access_key_id)]
    secret_access_key: Annotated[SecretStr, Field(min_length=16)]


class Former(FormerBucket, _Model):
    """A bucket that the reader may sign downloads from, and nobody writes to."""

    bucket_name: BucketName
    region: Region
    path_prefix: Annotated[Text, AfterValidator(rules.path_prefix)] = ""
    kms_key: Annotated[Text, AfterValidator(rules.kms_key_arn)] | None = None


class StackSettings(_Model):
    """What a stack is and where it may be deployed, whatever stores the recordings."""

    stack: str
    region: Region
    endpoint_url: str | None = None
    provider: StorageProvider = StorageProvider.S3
    environment: Annotated[Text, AfterValidator(rules.environment_name)]
    template_ids: Annotated[
        tuple[Annotated[Text, AfterValidator(rules.template_id)], ...], AfterValidator(rules.distinct), Structure
    ] = ()
    expected_account: Annotated[Text, AfterValidator(rules.account_id)] | None = None
    expected_regions: Annotated[tuple[Region, ...], AfterValidator(rules.distinct), Structure] = ()
    expected_customer: Annotated[Text, AfterValidator(rules.customer_id)] | None = None

    @check("provider")
    @classmethod
    def _has_a_component(cls, value: StorageProvider) -> StorageProvider:
        names = ", ".join(sorted(AVAILABLE))
        require(value in AVAILABLE, f"this version deploys to {names} alone: set provider to {names}")
        return value


class StorageSettings(_Model):
    """The bucket, who may use it, and what becomes of its objects: what a storage component declares."""

    region: Region
    bucket_name: BucketName
    path_prefix: Annotated[Text, AfterValidator(rules.path_prefix)] = "recordings/"
    cors_origins: Annotated[
        tuple[Annotated[Text, AfterValidator(rules.origin)], ...], AfterValidator(rules.origins), Structure
    ] = ("*",)
    writer_access: WriterAccess = WriterAccess.FULL
    writer_name: UserName | None = None
    reader_name: UserName | None = None
    writer_keys: Slots = Field(default={Slot.BLUE: KeyStatus.ACTIVE})
    reader_keys: Slots = Field(default={Slot.BLUE: KeyStatus.ACTIVE})
    registered_key: Slot = Slot.BLUE
    writer_external: Annotated[ExternalKey | None, Structure] = None
    reader_external: Annotated[ExternalKey | None, Structure] = None
    permissions_boundary: Annotated[Text, AfterValidator(rules.policy_arn)] | None = None
    iam_path: Annotated[Text, AfterValidator(rules.iam_path)] | None = None
    tags: Annotated[Mapping[Text, Text], AfterValidator(rules.tags), AfterValidator(rules.frozen), Structure] = Field(
        default={}
    )
    storage_classes: Annotated[
        tuple[lifecycle.Transition, ...], AfterValidator(lifecycle.check_transitions), Structure
    ] = ()
    retention_days: Annotated[int, BeforeValidator(rules.days_from(0))] = 0
    old_version_days: Annotated[int, BeforeValidator(rules.days_from(1))] = 30
    kms_key: Annotated[Text, AfterValidator(rules.kms_key_arn)] | None = None
    access_log_bucket: BucketName | None = None
    protect: Boolean = False
    force_destroy: Boolean = False
    former_buckets: Annotated[tuple[Former, ...], Structure] = ()
    writer_policy_name: PolicyName | None = None
    reader_policy_name: PolicyName | None = None
    adopt: Annotated[tuple[Part, ...], AfterValidator(rules.distinct), AfterValidator(existing.parts), Structure] = ()

    @property
    def signing_key(self) -> Slot:
        """The reader's slot that signs: the registered one, or the one that is active when that is not."""
        if self.reader_keys.get(self.registered_key) is KeyStatus.ACTIVE:
            return self.registered_key
        return next(slot for slot, status in self.reader_keys.items() if status is KeyStatus.ACTIVE)

    @check("reader_name")
    @classmethod
    def _two_users(cls, value: str | None, info: Info) -> str | None:
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

    @check("writer_external", "reader_external")
    @classmethod
    def _external_or_ours(cls, value: ExternalKey | None, info: Info) -> ExternalKey | None:
        role = str(info.field_name).removesuffix("_external")
        if value is None:
            require(f"{role}_name" not in info.data or info.data[f"{role}_name"], f"without it, give {role}Name")
            return None
        require(not info.data.get(f"{role}_name"), f"no IAM user is made beside it: remove {role}Name")
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

    @check("retention_days")
    @classmethod
    def _after_the_last_class(cls, value: int, info: Info) -> int:
        return lifecycle.check_retention(value, info.data.get("storage_classes", ()))

    @check("kms_key")
    @classmethod
    def _key_is_near(cls, value: str | None, info: Info) -> str | None:
        region = info.data.get("region")
        require(not (value and region) or value.split(":")[3] == region, f"must lie in the bucket's region, {region}")
        return value

    @check("access_log_bucket")
    @classmethod
    def _log_is_elsewhere(cls, value: str | None, info: Info) -> str | None:
        own = value is not None and value == info.data.get("bucket_name")
        require(not own, "must be another bucket than bucketName: a bucket that logs to itself never comes to rest")
        return value

    @check("former_buckets")
    @classmethod
    def _former_is_another(cls, value: tuple[Former, ...], info: Info) -> tuple[Former, ...]:
        if not {"bucket_name", "region", "path_prefix", "kms_key"} <= {*info.data}:
            return value  # one of these has a fault of its own
        bucket, region, prefix = info.data["bucket_name"], info.data["region"], info.data["path_prefix"]
        return existing.former(value, bucket, region, prefix, info.data["kms_key"])

    @check("writer_policy_name", "reader_policy_name")
    @classmethod
    def _policy_has_a_user(cls, value: str | None, info: Info) -> str | None:
        external = str(info.field_name).replace("_policy_name", "_external")
        require(not (value and info.data.get(external)), f"no policy is written beside {to_camel(external)}: remove it")
        return value

    @check("adopt")
    @classmethod
    def _adopted_is_declared(cls, value: tuple[Part, ...], info: Info) -> tuple[Part, ...]:
        for role in (Part.WRITER, Part.READER):
            taken = role in value and info.data.get(f"{role}_external")
            require(not taken, f"can't hold {role} beside {role}External, which has no user here")
        log = info.data.get("access_log_bucket")
        require(Part.ACCESS_LOG not in value or log, "can't hold access-log without accessLogBucket")
        return value

    @check("force_destroy")
    @classmethod
    def _not_both(cls, value: bool, info: Info) -> bool:
        require(not (value and info.data.get("protect")), "can't be true while protect is true: choose one")
        return value


class Settings(StorageSettings, StackSettings):
    """The whole configuration of one stack; names are those of the keys, in Python's way."""

    expires_at: Annotated[Text, AfterValidator(rules.utc_time)] | None = None

    @property
    def all_tags(self) -> dict[str, str]:
        """The configured tags and ours, by which a stack's resources are found and a test stack's are swept."""
        own = {"stack": self.stack, "environment": self.environment, "expires-at": self.expires_at}
        return {**self.tags, **{f"{NAMESPACE}:{key}": value for key, value in own.items() if value}}

    @check("cors_origins")
    @classmethod
    def _explicit_in_production(cls, value: tuple[str, ...], info: Info) -> tuple[str, ...]:
        production = info.data.get("environment") in PRODUCTION
        require(not (production and "*" in value), "must name each origin in production, as https://app.example.com")
        return value

    @check("tags")
    @classmethod
    def _room_for_ours(cls, value: Mapping[str, str]) -> Mapping[str, str]:
        require(len(value) <= rules.MAX_TAGS - OWN_TAGS, f"must be at most {rules.MAX_TAGS - OWN_TAGS} tags")
        taken = any(key.casefold().startswith(f"{NAMESPACE}:") for key in value)
        require(not taken, f"must not have a key that begins with '{NAMESPACE}:', which is this project's")
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


KEYS: Final = tuple(
    str(field.alias) for name, field in Settings.model_fields.items() if name not in {"stack", "region", "endpoint_url"}
)
"""The keys in the namespace `recordings`, as they are written."""
_BLANK_IS_UNSET: Final = {
    str(field.alias) for field in Settings.model_fields.values() if field.default is None or field.is_required()
}
"""A schema gives every key a default; for these it is an empty text or map, which means that nothing is configured."""


def parse_settings(
    raw: Mapping[str, str],
    *,
    stack: str,
    region: str | None,
    secret_keys: Collection[str] = (),
    endpoint_url: str | None = None,
) -> Settings:
    """Validate the keys of the namespace `recordings`, given as Pulumi does: text, or JSON for lists and maps.

    `region` is `aws:region`; `secret_keys` are the keys of `raw` that are stored encrypted. Raises ConfigurationError
    that names every fault: key, value (never a secret's) and what is legal.
    """
    given = {key: text for key, text in raw.items() if not (key in _BLANK_IS_UNSET and text in ("", "{}"))}
    faults = unknown_keys(raw, KEYS) + _secrecy(given, secret_keys)
    values: dict[str, Any] = {"environment": stack, **_user_names(given, stack)}
    values |= {key: text for key, text in given.items() if key in KEYS}
    values |= {"stack": stack, "endpointUrl": endpoint_url} | ({"region": region} if region else {})
    settings: Settings | None = None
    try:
        settings = Settings.model_validate(values)
    except ValidationError as error:
        faults += explain(error, values, secret_keys)
    if settings is None or faults:
        raise ConfigurationError(
            f"the configuration of stack {stack!r} cannot be used; nothing was declared:\n{listed(faults)}\n"
            f"Correct Pulumi.{stack}.yaml, or use `pulumi config set recordings:KEY VALUE`."
        )
    return settings


def _user_names(given: Collection[str], stack: str) -> dict[str, str]:
    """Name the IAM users after the stack; an external key has none."""
    names = {"writer": f"100ms-recording-user-{stack}", "reader": f"100ms-recording-reader-{stack}"}
    return {f"{role}Name": name for role, name in names.items() if f"{role}External" not in given}


def _secrecy(given: Collection[str], secret_keys: Collection[str]) -> list[str]:
    """Give a fault for a secret that is stored in plain text, and for a secret that would not stay one."""
    return [
        f"recordings:{key}: is stored in plain text; set it anew with "
        f"`pulumi config set --path --secret recordings:{key}.secretAccessKey`, then replace that key: it was exposed"
        for key in EXTERNAL
        if key in given and key not in secret_keys
    ] + [
        f"recordings:{key}: is stored as a secret, but ends in names, policies or outputs, which are none; set it "
        "anew without --secret"
        for key in sorted({*secret_keys} & {*KEYS} - {*EXTERNAL})
    ]


def validated(args: Mapping[str, Any], component: str) -> StorageSettings:
    """Validate the arguments of a storage component; ConfigurationError lists every fault."""
    try:
        return StorageSettings.model_validate(args)
    except ValidationError as error:
        faults = explain(error, args)
    raise ConfigurationError(f"the arguments of {component} cannot be used; nothing was declared:\n{listed(faults)}")


def load_settings() -> Settings:
    """Read the stack's configuration from Pulumi and validate it; ConfigurationError lists every fault."""
    everything = {**pulumi.runtime.get_config_env(), **pulumi.runtime.config.CONFIG.get()}
    own = f"{NAMESPACE}:"
    raw = {key.removeprefix(own): text for key, text in everything.items() if key.startswith(own)}
    return parse_settings(
        raw,
        stack=pulumi.get_stack(),
        region=pulumi.Config("aws").get("region"),
        secret_keys={key for key in raw if pulumi.runtime.is_config_secret(own + key)},
        endpoint_url=os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL"),
    )
