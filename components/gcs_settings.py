"""The configuration on Google Cloud Storage: the form of each key there, and the keys that only Google has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic import ValidationInfo as Info
from pydantic import field_validator as check

from components import gcs_lifecycle as lifecycle
from components import gcs_rules, rules
from components.rules import require
from components.settings_model import (
    Boolean,
    ExternalKey,
    Settings,
    SettingsModel,
    StorageSettings,
    Structure,
    Text,
)
from recordings.adoption.gcs_parts import ACCOUNT_NAMES, PARTS
from recordings.adoption.parts import Part
from recordings.outputs import FormerBucket

AccountName = Annotated[Text, AfterValidator(gcs_rules.account_name)]
BucketName = Annotated[Text, AfterValidator(gcs_rules.bucket_name)]
Location = Annotated[Text, AfterValidator(gcs_rules.location)]
_ENDPOINT: Final = "GOOGLE_STORAGE_CUSTOM_ENDPOINT"
_JSON_API: Final = "/storage/v1/"


class GcsExternalKey(ExternalKey):
    """A service account and its HMAC key."""

    principal: Annotated[Text, AfterValidator(gcs_rules.principal_email)]
    access_key_id: Annotated[Text, AfterValidator(gcs_rules.access_id)]


class GcsFormer(FormerBucket, SettingsModel):
    """A bucket that the reader may sign downloads from, and nobody writes to."""

    bucket_name: BucketName
    region: Location
    path_prefix: Annotated[Text, AfterValidator(rules.path_prefix)] = ""
    kms_key: Annotated[None, BeforeValidator(gcs_rules.no_reader_key)] = None


class GcsStorageSettings(StorageSettings):
    """What `GcsRecordingStorage` declares."""

    identity: ClassVar[str] = "service account"

    region: Location
    bucket_name: BucketName
    cors_origins: Annotated[
        tuple[Annotated[Text, AfterValidator(gcs_rules.origin)], ...], AfterValidator(rules.origins), Structure
    ] = ("*",)
    writer_name: AccountName | None = None
    reader_name: AccountName | None = None
    writer_external: Annotated[GcsExternalKey | None, Structure] = None
    reader_external: Annotated[GcsExternalKey | None, Structure] = None
    tags: Annotated[Mapping[Text, Text], AfterValidator(gcs_rules.labels), AfterValidator(rules.frozen), Structure] = (
        Field(default={})
    )
    storage_classes: Annotated[
        tuple[lifecycle.Transition, ...], AfterValidator(lifecycle.check_transitions), Structure
    ] = ()
    kms_key: Annotated[Text, AfterValidator(gcs_rules.kms_key)] | None = None
    access_log_bucket: BucketName | None = None
    autoclass: lifecycle.GcsAutoclass | None = None
    service_account_key: Boolean = False
    former_buckets: Annotated[tuple[GcsFormer, ...], Structure] = ()
    adopt: Annotated[tuple[Part, ...], AfterValidator(rules.distinct), Structure] = ()

    @check("retention_days")
    @classmethod
    def _after_the_last_class(cls, value: int, info: Info) -> int:
        return lifecycle.check_retention(value, info.data.get("storage_classes", ()))

    @check("kms_key")
    @classmethod
    def _key_is_near(cls, value: str | None, info: Info) -> str | None:
        if value and (region := info.data.get("region")):
            wanted = gcs_rules.key_location(region)
            require(value.split("/")[3] == wanted, f"must lie where a bucket in {region} can use it: in {wanted}")
        return value

    @check("autoclass")
    @classmethod
    def _classes_by_one_means(cls, value: lifecycle.GcsAutoclass | None, info: Info) -> lifecycle.GcsAutoclass | None:
        both = value and info.data.get("storage_classes")
        require(not both, "can't be given beside storageClasses: Google takes either Autoclass or rules by age")
        return value

    @check("service_account_key")
    @classmethod
    def _of_our_own_account(cls, value: bool, info: Info) -> bool:
        theirs = value and info.data.get("reader_external")
        require(not theirs, "can't be true beside readerExternal: that account's keys are its owner's to make")
        return value

    @check("adopt")
    @classmethod
    def _adopted_is_declared(cls, value: tuple[Part, ...], info: Info) -> tuple[Part, ...]:
        for part in value:
            require(part in PARTS, f"can't hold {part} on Google; legal: {', '.join(PARTS)}")
            taken = info.data.get(f"{part}_external")
            require(not taken, f"can't hold {part} beside {part}External, which is no account of the stack's")
        return value


class GcsSettings(GcsStorageSettings, Settings):
    """The configuration of a stack on Google Cloud Storage."""

    cloud: ClassVar[str] = "gcp"
    missing: ClassVar[Mapping[str, str]] = {
        "region": "is not configured: `pulumi config set gcp:region europe-west1`, with the location of your bucket",
        "bucketName": "is not configured: `pulumi config set recordings:bucketName NAME`, with a name that nobody else "
        "in the world has, of 3 to 63 lower-case letters, digits and '-'",
    }
    default_names: ClassVar[Mapping[str, str]] = ACCOUNT_NAMES
    own_tag: ClassVar[str] = "recordings-"
    max_tags: ClassVar[int] = gcs_rules.MAX_LABELS

    expected_account: Annotated[Text, AfterValidator(gcs_rules.project_id)] | None = None
    expected_regions: Annotated[tuple[Location, ...], AfterValidator(rules.distinct), Structure] = ()

    @classmethod
    def endpoint(cls, environ: Mapping[str, str]) -> str | None:
        """As Google's provider reads it, which is told where the JSON API is; both storage APIs have one host."""
        url = environ.get(_ENDPOINT)
        return url.removesuffix(_JSON_API) if url else None

    @staticmethod
    def tag_value(text: str) -> str:
        """Labels have a smaller alphabet: `2027-01-31T12:00:00Z` becomes `2027-01-31t12-00-00z`."""
        return gcs_rules.label_value(text)
