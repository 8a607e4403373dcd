"""From Pulumi's spelling of S3's nested settings to the API's and back.

Owns the spelling alone: `allowedMethods` ⇄ `AllowedMethods`, `id` ⇄ `ID`, a map of tags ⇄ a list of Key and Value.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sandbox.values import Value

_SPECIAL: Final[Mapping[str, str]] = {
    "id": "ID",
    "sseAlgorithm": "SSEAlgorithm",
    "kmsMasterKeyId": "KMSMasterKeyID",
}
_BACK: Final = {api: pulumi for pulumi, api in _SPECIAL.items()}


def to_api(value: Value) -> Any:
    """Pulumi's form to boto3's, nulls left out."""
    if isinstance(value, list):
        return [to_api(item) for item in value]
    if isinstance(value, dict):
        return {_api_name(key): _tags_to_api(key, item) for key, item in value.items() if item is not None}
    return value


def from_api(value: Any) -> Value:
    """boto3's form to Pulumi's."""
    if isinstance(value, list):
        return [from_api(item) for item in value]
    if isinstance(value, dict):
        return {_pulumi_name(key): _tags_from_api(key, item) for key, item in value.items()}
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value


def _api_name(key: str) -> str:
    return _SPECIAL.get(key, key[:1].upper() + key[1:])


def _pulumi_name(key: str) -> str:
    return _BACK.get(key, key[:1].lower() + key[1:])


def _tags_to_api(key: str, value: Value) -> Any:
    if key == "tags":
        return [{"Key": name, "Value": text} for name, text in value.items()]
    return to_api(value)


def _tags_from_api(key: str, value: Any) -> Value:
    if key == "Tags":
        return {tag["Key"]: tag["Value"] for tag in value}
    return from_api(value)
