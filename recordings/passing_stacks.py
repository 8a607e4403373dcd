"""The configuration of a test stack, made from that of a stack that stays: a bucket of its own, an end, a template.

Owns what is carried over and what is not. Reads and writes no file (`scripts.pr_stack` does).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from recordings.errors import ConfigurationError

NAMESPACE: Final = "recordings:"
_LONGEST_BUCKET: Final = 63
_NOT_CARRIED: Final = frozenset(
    {
        "adopt",
        "formerBuckets",
        "oldVersionDays",
        "protect",
        "readerExternal",
        "readerKeys",
        "readerName",
        "registeredKey",
        "signingKey",
        "waivers",
        "writerExternal",
        "writerKeys",
        "writerName",
    }
)
"""What belongs to the stack that stays: its names, keys and history."""


def configuration(like: Mapping[str, Any], stack: str, template: str, expires: datetime) -> dict[str, Any]:
    """The keys of the test stack `stack`, in their namespaces; `like` are those of the stack that stays.

    Raises ConfigurationError if that has no bucket name, or secrets, which are encrypted for it alone.
    """
    kept = {key: value for key, value in like.items() if key.removeprefix(NAMESPACE) not in _NOT_CARRIED}
    secret = sorted(key for key, value in kept.items() if _is_secret(value))
    if secret:
        raise ConfigurationError(
            f"{', '.join(secret)} is a secret of the stack that stays and is encrypted for it alone: name a stack "
            "without one (--like)"
        )
    bucket = like.get(f"{NAMESPACE}bucketName")
    if not isinstance(bucket, str) or not bucket:
        raise ConfigurationError("the stack that stays has no recordings:bucketName to name a bucket after (--like)")
    own = {
        "bucketName": bucket_name(bucket, stack),
        "environment": "test",
        "expiresAt": f"{expires.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "forceDestroy": True,
        "templateIds": [template],
    }
    return {**kept, **{f"{NAMESPACE}{key}": value for key, value in own.items()}}


def bucket_name(base: str, stack: str) -> str:
    """`base` with the stack's name behind it, in the 63 characters that both providers take."""
    end = f"-{stack}"
    return base[: _LONGEST_BUCKET - len(end)].rstrip("-.") + end


def _is_secret(value: Any) -> bool:
    if isinstance(value, Mapping):
        return set(value) == {"secure"} or any(map(_is_secret, value.values()))
    return isinstance(value, list) and any(map(_is_secret, value))
