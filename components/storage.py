"""From settings to the declared storage of the stack's provider, and from there to the stack outputs.

Owns the choice of the component and the names of the outputs, which `recordings.outputs.StackOutputs` reads. A further
provider is one more entry in `_PROVIDERS`; its component must have the attributes of `RecordingStorage`. The SDK of a
provider is imported when its component is declared: the others need not be.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, cast

import pulumi
from pydantic import BaseModel, SecretStr

from components.gcs_settings import GcsStorageSettings
from components.s3_settings import S3StorageSettings
from components.settings_model import Settings, StorageSettings
from recordings.outputs import FormerBucket, StorageProvider
from recordings.policies import reader_policy, writer_policy

NAME: Final = "recordings"
"""Name of the component in every stack; part of every URN."""


class RecordingStorage(Protocol):
    """What every storage component gives."""

    bucket_name: pulumi.Output[str]
    region: pulumi.Output[str]
    writer_principal: pulumi.Output[str]
    writer_access_key_id: pulumi.Output[str]
    writer_secret_access_key: pulumi.Output[str]
    writer_keys: pulumi.Output[dict[str, dict[str, str]]]
    reader_principal: pulumi.Output[str]
    reader_access_key_id: pulumi.Output[str]
    reader_secret_access_key: pulumi.Output[str]
    reader_keys: pulumi.Output[dict[str, dict[str, str]]]


@dataclass(frozen=True)
class _Provider:
    """How a provider's storage is declared, and which outputs only it has (None: not configured)."""

    declare: Callable[[Settings], RecordingStorage]
    further_outputs: Callable[[Settings, Any], Mapping[str, Any]]


def declare_storage(settings: Settings) -> RecordingStorage:
    """Declare the storage of the configured provider."""
    return _PROVIDERS[settings.provider].declare(settings)


def stack_outputs(settings: Settings, storage: RecordingStorage) -> dict[str, Any]:
    """Give the outputs of the stack by name; what is not configured is left out."""
    outputs: dict[str, Any] = {
        "storageProvider": settings.provider.value,
        "bucketName": storage.bucket_name,
        "region": storage.region,
        "pathPrefix": settings.path_prefix,
        "writerAccessKeyId": storage.writer_access_key_id,
        "writerSecretAccessKey": storage.writer_secret_access_key,
        "readerAccessKeyId": storage.reader_access_key_id,
        "readerSecretAccessKey": storage.reader_secret_access_key,
        "writerKeys": storage.writer_keys,
        "readerKeys": storage.reader_keys,
        "registeredKey": settings.registered_key.value,
        "writerAccess": settings.writer_access.value,
        "environment": settings.environment,
        "templateIds": list(settings.template_ids),
        "corsOrigins": list(settings.cors_origins),
        "formerBuckets": [_shown(place) for place in settings.former_buckets] or None,
        "kmsKey": settings.kms_key,
        "accessLogBucket": settings.access_log_bucket,
        "writerPrincipal": storage.writer_principal,
        "readerPrincipal": storage.reader_principal,
        "externalIdentities": _external(settings) or None,
        "endpointUrl": settings.endpoint_url,
        "expectedAccount": settings.expected_account,
        "expectedRegions": list(settings.expected_regions) or None,
        "expectedCustomer": settings.expected_customer,
        "forceDestroy": settings.force_destroy,
        "protect": settings.protect,
        "expiresAt": settings.expires_at,
        **_PROVIDERS[settings.provider].further_outputs(settings, storage),
    }
    return {name: value for name, value in outputs.items() if value is not None}


def _external(settings: Settings) -> list[str]:
    given = {"writer": settings.writer_external, "reader": settings.reader_external}
    return [role for role, external in given.items() if external]


def _declare_s3(settings: Settings) -> RecordingStorage:
    from components.s3 import S3RecordingStorage
    from components.s3_args import S3RecordingStorageArgs

    return S3RecordingStorage(NAME, cast(S3RecordingStorageArgs, _args(settings, S3StorageSettings)))


def _policies_to_attach(settings: Settings, storage: object) -> Mapping[str, Any]:
    """What the owner of an external principal must allow it; nobody else can attach it."""
    place = (settings.bucket_name, settings.region, settings.path_prefix)
    found = {}
    if settings.writer_external:
        found["writerPolicy"] = json.dumps(writer_policy(*place, settings.writer_access, settings.kms_key))
    if settings.reader_external:
        found["readerPolicy"] = json.dumps(reader_policy(*place, settings.kms_key, settings.former_buckets))
    return found


def _shown(place: FormerBucket) -> dict[str, str]:
    return place.model_dump(by_alias=True, exclude_none=True)


def _declare_gcs(settings: Settings) -> RecordingStorage:
    from components.gcs import GcsRecordingStorage
    from components.gcs_args import GcsRecordingStorageArgs

    return GcsRecordingStorage(NAME, cast(GcsRecordingStorageArgs, _args(settings, GcsStorageSettings)))


def _json_key(settings: Settings, storage: Any) -> Mapping[str, Any]:
    wanted = isinstance(settings, GcsStorageSettings) and settings.service_account_key
    return {"serviceAccountKey": storage.service_account_key if wanted else None}


def _args(settings: Settings, model: type[StorageSettings]) -> dict[str, Any]:
    """The arguments of a component from the whole settings: what `model` knows, tags with our own."""
    args = {name: _plain(getattr(settings, name)) for name in model.model_fields} | {"tags": settings.all_tags}
    return {name: value for name, value in args.items() if value is not None}


def _plain(value: Any) -> Any:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case BaseModel():
            return {name: _plain(part) for name, part in value}
        case Mapping():
            return dict(value)
        case tuple():
            return [_plain(part) for part in value]
    return value


_PROVIDERS: Final[Mapping[StorageProvider, _Provider]] = {
    StorageProvider.S3: _Provider(_declare_s3, _policies_to_attach),
    StorageProvider.GCS: _Provider(_declare_gcs, _json_key),
}
