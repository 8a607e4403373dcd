"""The configuration on Amazon S3: the form of each key there, and the keys that only AWS has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field
from pydantic import ValidationInfo as Info
from pydantic import field_validator as check
from pydantic.alias_generators import to_camel

from components import existing, rules, s3_rules
from components import s3_lifecycle as lifecycle
from components.rules import require
from components.settings_model import ExternalKey, Settings, SettingsModel, StorageSettings, Structure, Text
from recordings.adoption.parts import DEFAULT_NAMES, Part
from recordings.outputs import FormerBucket

UserName = Annotated[Text, AfterValidator(s3_rules.user_name)]
BucketName = Annotated[Text, AfterValidator(s3_rules.bucket_name)]
PolicyName = Annotated[Text, AfterValidator(s3_rules.policy_name)]
Region = Annotated[Text, AfterValidator(s3_rules.region)]


class S3ExternalKey(ExternalKey):
    """An IAM user and its access key."""

    principal: Annotated[Text, AfterValidator(s3_rules.principal_arn)]
    access_key_id: Annotated[Text, AfterValidator(s3_rules.access_key_id)]


class S3Former(FormerBucket, SettingsModel):
    """A bucket that the reader may sign downloads from, and nobody writes to."""

    bucket_name: BucketName
    region: Region
    path_prefix: Annotated[Text, AfterValidator(rules.path_prefix)] = ""
    kms_key: Annotated[Text, AfterValidator(s3_rules.kms_key_arn)] | None = None


class S3StorageSettings(StorageSettings):
    """What `S3RecordingStorage` declares."""

    identity: ClassVar[str] = "IAM user"

    region: Region
    bucket_name: BucketName
    cors_origins: Annotated[
        tuple[Annotated[Text, AfterValidator(rules.origin)], ...], AfterValidator(rules.origins), Structure
    ] = ("*",)
    writer_name: UserName | None = None
    reader_name: UserName | None = None
    writer_external: Annotated[S3ExternalKey | None, Structure] = None
    reader_external: Annotated[S3ExternalKey | None, Structure] = None
    tags: Annotated[Mapping[Text, Text], AfterValidator(s3_rules.tags), AfterValidator(rules.frozen), Structure] = (
        Field(default={})
    )
    storage_classes: Annotated[
        tuple[lifecycle.Transition, ...], AfterValidator(lifecycle.check_transitions), Structure
    ] = ()
    kms_key: Annotated[Text, AfterValidator(s3_rules.kms_key_arn)] | None = None
    access_log_bucket: BucketName | None = None
    permissions_boundary: Annotated[Text, AfterValidator(s3_rules.policy_arn)] | None = None
    iam_path: Annotated[Text, AfterValidator(s3_rules.iam_path)] | None = None
    former_buckets: Annotated[tuple[S3Former, ...], Structure] = ()
    writer_policy_name: PolicyName | None = None
    reader_policy_name: PolicyName | None = None
    adopt: Annotated[tuple[Part, ...], AfterValidator(rules.distinct), AfterValidator(existing.parts), Structure] = ()

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

    @check("former_buckets")
    @classmethod
    def _former_can_be_read(cls, value: tuple[S3Former, ...], info: Info) -> tuple[S3Former, ...]:
        if not {"bucket_name", "region", "path_prefix", "kms_key"} <= {*info.data}:
            return value  # one of these has a fault of its own
        place = (info.data["bucket_name"], info.data["region"], info.data["path_prefix"])
        return existing.readable(value, *place, info.data["kms_key"])

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


class S3Settings(S3StorageSettings, Settings):
    """The configuration of a stack on Amazon S3."""

    cloud: ClassVar[str] = "aws"
    missing: ClassVar[Mapping[str, str]] = {
        "region": "is not configured: `pulumi config set aws:region us-east-1`, with the region of your bucket",
        "bucketName": "is not configured: `pulumi config set recordings:bucketName NAME`, with a name that nobody else "
        "in the world has, of 3 to 63 lower-case letters, digits and '-'",
    }
    default_names: ClassVar[Mapping[str, str]] = DEFAULT_NAMES
    own_tag: ClassVar[str] = "recordings:"
    max_tags: ClassVar[int] = s3_rules.MAX_TAGS

    expected_account: Annotated[Text, AfterValidator(s3_rules.account_id)] | None = None
    expected_regions: Annotated[tuple[Region, ...], AfterValidator(rules.distinct), Structure] = ()

    @classmethod
    def endpoint(cls, environ: Mapping[str, str]) -> str | None:
        """As AWS' SDKs read it; the more particular variable wins."""
        return environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
