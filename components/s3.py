"""`S3RecordingStorage`: a guarded bucket for recordings on Amazon S3, and the two who may use it.

Owns what is declared on AWS, and in which order. Does not decide what is legal (`components.s3_settings`), what
policies say (`recordings.policies`), when objects go (`components.s3_lifecycle`) or what the stack exports
(`components.storage`).

No `from __future__ import annotations` here: Pulumi's component analyzer can't read annotations that are text.
"""

import json
from typing import TYPE_CHECKING

import pulumi
from pulumi_aws.s3.bucket import Bucket
from pulumi_aws.s3.bucket_cors_configuration import BucketCorsConfiguration
from pulumi_aws.s3.bucket_lifecycle_configuration import BucketLifecycleConfiguration
from pulumi_aws.s3.bucket_logging import BucketLogging
from pulumi_aws.s3.bucket_ownership_controls import BucketOwnershipControls
from pulumi_aws.s3.bucket_policy import BucketPolicy
from pulumi_aws.s3.bucket_public_access_block import BucketPublicAccessBlock
from pulumi_aws.s3.bucket_server_side_encryption_configuration import BucketServerSideEncryptionConfiguration
from pulumi_aws.s3.bucket_versioning import BucketVersioning
from pydantic.alias_generators import to_camel

from components.existing import imported
from components.identities import Identity, Role, external_identity
from components.s3_args import S3RecordingStorageArgs
from components.s3_identities import declare_identity
from components.s3_lifecycle import Rule, lifecycle_rules
from components.s3_settings import S3StorageSettings
from components.settings import validated
from recordings import policies
from recordings.adoption.parts import Part

if TYPE_CHECKING:
    from pulumi_aws import s3

METHODS = ("GET", "HEAD")
EXPOSED_HEADERS = ("Content-Range", "Accept-Ranges", "Content-Length", "ETag")
PREFLIGHT_SECONDS = 3600


class S3RecordingStorage(pulumi.ComponentResource):
    """A private, encrypted, versioned bucket for recordings, a writer for 100ms, and a reader to sign downloads."""

    bucket_name: pulumi.Output[str]
    """Name of the bucket."""
    region: pulumi.Output[str]
    """Its region."""
    writer_principal: pulumi.Output[str]
    """ARN of the writer."""
    writer_access_key_id: pulumi.Output[str]
    """Id of the registered key."""
    writer_secret_access_key: pulumi.Output[str]
    """Its secret."""
    writer_keys: pulumi.Output[dict[str, dict[str, str]]]
    """All slots, as {id, secret, status}."""
    reader_principal: pulumi.Output[str]
    """ARN of the reader."""
    reader_access_key_id: pulumi.Output[str]
    """Id of the key that signs."""
    reader_secret_access_key: pulumi.Output[str]
    """Its secret."""
    reader_keys: pulumi.Output[dict[str, dict[str, str]]]
    """All slots, as {id, secret, status}."""

    def __init__(self, name: str, args: S3RecordingStorageArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        settings = validated(S3StorageSettings, args, "S3RecordingStorage")
        super().__init__("recordings:index:S3RecordingStorage", name, None, opts)
        self._declare_bucket(name, settings)
        writer, reader = self._declare_identities(name, settings)
        registered, signing = writer.keys[settings.registered_key], reader.keys[settings.signing_slot]
        self.region = pulumi.Output.from_input(settings.region)
        self.writer_principal, self.writer_keys = writer.principal, writer.secret_keys()
        self.writer_access_key_id, self.writer_secret_access_key = registered.id, registered.secret
        self.reader_principal, self.reader_keys = reader.principal, reader.secret_keys()
        self.reader_access_key_id, self.reader_secret_access_key = signing.id, signing.secret
        # in the spelling of the package's schema, by which programs in other languages read them back
        self.register_outputs({to_camel(key): getattr(self, key) for key in S3RecordingStorage.__annotations__})

    def _declare_bucket(self, name: str, settings: S3StorageSettings) -> None:
        bucket = Bucket(
            f"{name}-bucket",
            bucket=settings.bucket_name,
            force_destroy=settings.force_destroy,
            tags=dict(settings.tags),
            opts=self._child(settings, Part.BUCKET, protect=settings.protect or None),
        )
        self.bucket_name = bucket.bucket
        self._declare_guards(name, settings)
        self._declare_lifecycle(name, settings)
        BucketCorsConfiguration(
            f"{name}-cors",
            bucket=self.bucket_name,
            cors_rules=[
                {
                    "allowed_origins": list(settings.cors_origins),
                    "allowed_methods": list(METHODS),
                    "allowed_headers": ["*"],
                    "expose_headers": list(EXPOSED_HEADERS),
                    "max_age_seconds": PREFLIGHT_SECONDS,
                }
            ],
            opts=self._child(settings, Part.CORS),
        )
        if settings.access_log_bucket:
            BucketLogging(
                f"{name}-access-log",
                bucket=self.bucket_name,
                target_bucket=settings.access_log_bucket,
                target_prefix=f"{settings.bucket_name}/",
                opts=self._child(settings, Part.ACCESS_LOG),
            )

    def _declare_guards(self, name: str, settings: S3StorageSettings) -> None:
        block = BucketPublicAccessBlock(
            f"{name}-public-access",
            bucket=self.bucket_name,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=self._child(settings, Part.PUBLIC_ACCESS),
        )
        BucketOwnershipControls(
            f"{name}-ownership",
            bucket=self.bucket_name,
            rule={"object_ownership": "BucketOwnerEnforced"},
            opts=self._child(settings, Part.OWNERSHIP),
        )
        BucketServerSideEncryptionConfiguration(
            f"{name}-encryption",
            bucket=self.bucket_name,
            rules=[_encryption(settings.kms_key)],
            opts=self._child(settings, Part.ENCRYPTION),
        )
        BucketPolicy(
            f"{name}-policy",
            bucket=self.bucket_name,
            policy=json.dumps(policies.bucket_policy(settings.bucket_name, settings.region)),
            opts=self._child(settings, Part.POLICY, block),  # S3 answers 409 when it gets both at once
        )

    def _declare_lifecycle(self, name: str, settings: S3StorageSettings) -> None:
        versioning = BucketVersioning(
            f"{name}-versioning",
            bucket=self.bucket_name,
            versioning_configuration={"status": "Enabled"},
            opts=self._child(settings, Part.VERSIONING),
        )
        rules = lifecycle_rules(
            settings.path_prefix, settings.retention_days, settings.storage_classes, settings.old_version_days
        )
        BucketLifecycleConfiguration(
            f"{name}-lifecycle",
            bucket=self.bucket_name,
            rules=[_lifecycle(rule) for rule in rules],
            opts=self._child(settings, Part.LIFECYCLE, versioning),  # rules for old versions need versions
        )

    def _declare_identities(self, name: str, settings: S3StorageSettings) -> tuple[Identity, Identity]:
        place = (settings.bucket_name, settings.region, settings.path_prefix)
        if settings.writer_external:
            writer = external_identity(settings.writer_external, settings.registered_key)
        else:
            policy = policies.writer_policy(*place, settings.writer_access, settings.kms_key)
            writer = declare_identity(f"{name}-writer", Role.WRITER, policy, settings, self)
        if settings.reader_external:
            reader = external_identity(settings.reader_external, settings.registered_key)
        else:
            policy = policies.reader_policy(*place, settings.kms_key, settings.former_buckets)
            reader = declare_identity(f"{name}-reader", Role.READER, policy, settings, self)
        return writer, reader

    def _child(
        self, settings: S3StorageSettings, part: Part, *after: pulumi.Resource, protect: bool | None = None
    ) -> pulumi.ResourceOptions:
        """Options of one part of the bucket; Pulumi knows each by the bucket's name."""
        import_ = imported(part, settings.adopt, settings.bucket_name)
        return pulumi.ResourceOptions(parent=self, depends_on=list(after), protect=protect, import_=import_)


def _encryption(kms_key: str | None) -> "s3.BucketServerSideEncryptionConfigurationRuleArgsDict":
    if kms_key is None:
        return {"apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"}}
    return {
        "apply_server_side_encryption_by_default": {"sse_algorithm": "aws:kms", "kms_master_key_id": kms_key},
        "bucket_key_enabled": True,  # a call to KMS for each bucket and hour, not for each object
    }


def _lifecycle(rule: Rule) -> "s3.BucketLifecycleConfigurationRuleArgsDict":
    out: s3.BucketLifecycleConfigurationRuleArgsDict = {
        "id": rule.id,
        "status": "Enabled",
        "filter": {"prefix": rule.prefix},
    }
    if rule.transitions:
        out["transitions"] = [
            {"days": step.after_days, "storage_class": step.storage_class.value} for step in rule.transitions
        ]
    if rule.expire_days:
        out["expiration"] = {"days": rule.expire_days}
    if rule.expire_markers:
        out["expiration"] = {"expired_object_delete_marker": True}
    if rule.expire_old_versions_days:
        out["noncurrent_version_expiration"] = {"noncurrent_days": rule.expire_old_versions_days}
    if rule.abort_uploads_days:
        out["abort_incomplete_multipart_upload"] = {"days_after_initiation": rule.abort_uploads_days}
    return out
