"""`GcsRecordingStorage`: a guarded bucket for recordings on Google Cloud Storage, and the two who may use it.

Owns what is declared on Google Cloud, and in which order. Does not decide what is legal (`components.gcs_settings`),
who may do what (`recordings.policies_gcs`), when objects go (`components.gcs_lifecycle`) or what the stack exports
(`components.storage`). Nor does it let Cloud Storage use the key of `kmsKey`: the key is often another team's, and a
second stack on it would lose the right with the first one's end.

No `from __future__ import annotations` here: Pulumi's component analyzer can't read annotations that are text.
"""

from typing import TYPE_CHECKING

import pulumi
from pulumi_gcp.storage.bucket import Bucket
from pydantic.alias_generators import to_camel

from components.existing import imported
from components.gcs_args import GcsRecordingStorageArgs
from components.gcs_identities import Declaration, GcsIdentity, Grant, bind_external, declare_identity
from components.gcs_lifecycle import Rule, lifecycle_rules
from components.gcs_settings import GcsStorageSettings
from components.settings import validated
from recordings import policies_gcs
from recordings.adoption.gcs_parts import SOFT_DELETE_SECONDS
from recordings.adoption.parts import Part

if TYPE_CHECKING:
    from pulumi_gcp import storage

METHODS = ("GET", "HEAD")
HEADERS = ("Content-Range", "Accept-Ranges", "Content-Length", "Content-Type", "ETag", "Range")
"""What a page may send (Range) and read: Google has one list for both."""
PREFLIGHT_SECONDS = 3600


class GcsRecordingStorage(pulumi.ComponentResource):
    """A private, versioned bucket for recordings, a writer for 100ms, and a reader to sign downloads."""

    bucket_name: pulumi.Output[str]
    """Name of the bucket."""
    region: pulumi.Output[str]
    """Its location, in lower case."""
    writer_principal: pulumi.Output[str]
    """E-mail of the writer."""
    writer_access_key_id: pulumi.Output[str]
    """Access id of the registered key."""
    writer_secret_access_key: pulumi.Output[str]
    """Its secret."""
    writer_keys: pulumi.Output[dict[str, dict[str, str]]]
    """All slots, as {id, secret, status}."""
    reader_principal: pulumi.Output[str]
    """E-mail of the reader."""
    reader_access_key_id: pulumi.Output[str]
    """Access id of the key that signs."""
    reader_secret_access_key: pulumi.Output[str]
    """Its secret."""
    reader_keys: pulumi.Output[dict[str, dict[str, str]]]
    """All slots, as {id, secret, status}."""
    service_account_key: pulumi.Output[str | None]
    """The reader's JSON key, where one was asked for."""

    def __init__(self, name: str, args: GcsRecordingStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = validated(GcsStorageSettings, args, "GcsRecordingStorage")
        super().__init__("recordings:index:GcsRecordingStorage", name, None, opts)
        self.bucket_name = self._declare_bucket(name, settings).name
        writer, reader = self._declare_writer(name, settings).identity, self._declare_reader(name, settings)
        self.service_account_key = pulumi.Output.from_input(reader.json_key)
        registered, signing = writer.keys[settings.registered_key], reader.identity.keys[settings.signing_slot]
        self.region = pulumi.Output.from_input(settings.region)
        self.writer_principal, self.writer_keys = writer.principal, writer.secret_keys()
        self.writer_access_key_id, self.writer_secret_access_key = registered.id, registered.secret
        self.reader_principal, self.reader_keys = reader.identity.principal, reader.identity.secret_keys()
        self.reader_access_key_id, self.reader_secret_access_key = signing.id, signing.secret
        # in the spelling of the package's schema, by which programs in other languages read them back
        self.register_outputs({to_camel(key): getattr(self, key) for key in GcsRecordingStorage.__annotations__})

    def _declare_bucket(self, name: str, settings: GcsStorageSettings) -> Bucket:
        rules = lifecycle_rules(
            settings.path_prefix, settings.retention_days, settings.storage_classes, settings.old_version_days
        )
        return Bucket(
            f"{name}-bucket",
            name=settings.bucket_name,
            location=settings.region.upper(),  # as Google shows it
            force_destroy=settings.force_destroy,
            uniform_bucket_level_access=True,
            public_access_prevention="enforced",
            versioning={"enabled": True},
            soft_delete_policy={"retention_duration_seconds": SOFT_DELETE_SECONDS},
            cors=[
                {
                    "origins": list(settings.cors_origins),
                    "methods": list(METHODS),
                    "response_headers": list(HEADERS),
                    "max_age_seconds": PREFLIGHT_SECONDS,
                }
            ],
            lifecycle_rules=[_lifecycle(rule) for rule in rules],
            autoclass=_autoclass(settings),
            encryption={"default_kms_key_name": settings.kms_key} if settings.kms_key else None,
            logging=_logging(settings),
            labels=dict(settings.tags),
            opts=pulumi.ResourceOptions(
                parent=self,
                protect=settings.protect or None,
                import_=imported(Part.BUCKET, settings.adopt, settings.bucket_name),
            ),
        )

    def _declare_writer(self, name: str, settings: GcsStorageSettings) -> GcsIdentity:
        may = policies_gcs.writer_bindings(settings.bucket_name, settings.path_prefix, settings.writer_access)
        role = Declaration(
            f"{name}-writer",
            settings.writer_name,
            "100ms, which writes recordings",
            [Grant("", self.bucket_name, may)],
            settings.writer_keys,
            exists=Part.WRITER in settings.adopt,
        )
        if settings.writer_external:
            return bind_external(role, settings.writer_external, settings.registered_key, self)
        return declare_identity(role, self)

    def _declare_reader(self, name: str, settings: GcsStorageSettings) -> GcsIdentity:
        may = policies_gcs.reader_bindings(settings.bucket_name, settings.path_prefix)
        former = [
            Grant(
                f"{place.bucket_name}/{place.path_prefix}",
                place.bucket_name,
                policies_gcs.reader_bindings(place.bucket_name, place.path_prefix),
            )
            for place in settings.former_buckets
        ]
        role = Declaration(
            f"{name}-reader",
            settings.reader_name,
            "Signs downloads of recordings",
            [Grant("", self.bucket_name, may), *former],
            settings.reader_keys,
            settings.service_account_key,
            exists=Part.READER in settings.adopt,
        )
        if settings.reader_external:
            return bind_external(role, settings.reader_external, settings.registered_key, self)
        return declare_identity(role, self)


def _autoclass(settings: GcsStorageSettings) -> "storage.BucketAutoclassArgsDict | None":
    if settings.autoclass is None:
        return None
    return {"enabled": True, "terminal_storage_class": settings.autoclass.value}


def _logging(settings: GcsStorageSettings) -> "storage.BucketLoggingArgsDict | None":
    if settings.access_log_bucket is None:
        return None
    return {"log_bucket": settings.access_log_bucket, "log_object_prefix": settings.bucket_name}


def _lifecycle(rule: Rule) -> "storage.BucketLifecycleRuleArgsDict":
    action: storage.BucketLifecycleRuleActionArgsDict = {"type": rule.action.value}
    if rule.storage_class:
        action["storage_class"] = rule.storage_class.value
    condition: storage.BucketLifecycleRuleConditionArgsDict = {"with_state": rule.versions.value}
    if rule.prefix:
        condition["matches_prefixes"] = [rule.prefix]
    if rule.age_days:
        condition["age"] = rule.age_days
    if rule.days_since_replaced:
        condition["days_since_noncurrent_time"] = rule.days_since_replaced
    return {"action": action, "condition": condition}
