"""From settings to the declared storage of the stack's provider, and from there to the stack outputs.

Owns the choice of the component and the names of the outputs, which `recordings.outputs.StackOutputs` reads. A further
provider is one more entry in `_DECLARE`; its component must have the attributes of `RecordingStorage`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

import pulumi
from pydantic import BaseModel, SecretStr

from components.settings import Settings, StorageSettings
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


def declare_storage(settings: Settings) -> RecordingStorage:
    """Declare the storage of the configured provider."""
    return _DECLARE[settings.provider](settings)


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
        "writerPrincipal": storage.writer_principal,
        "readerPrincipal": storage.reader_principal,
        "endpointUrl": settings.endpoint_url,
        "expectedAccount": settings.expected_account,
        "expectedRegions": list(settings.expected_regions) or None,
        "expectedCustomer": settings.expected_customer,
        "forceDestroy": settings.force_destroy,
        "protect": settings.protect,
        "expiresAt": settings.expires_at,
        **_policies_to_attach(settings),
    }
    return {name: value for name, value in outputs.items() if value is not None}


def _policies_to_attach(settings: Settings) -> dict[str, str]:
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


def _declare_s3(settings: Settings) -> RecordingStorage:
    from components.s3 import S3RecordingStorage
    from components.s3_args import S3RecordingStorageArgs

    args = {name: _plain(getattr(settings, name)) for name in StorageSettings.model_fields} | {
        "tags": settings.all_tags
    }
    given = {name: value for name, value in args.items() if value is not None}
    return S3RecordingStorage(NAME, cast(S3RecordingStorageArgs, given))


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


_DECLARE: Final[Mapping[StorageProvider, Callable[[Settings], RecordingStorage]]] = {StorageProvider.S3: _declare_s3}
