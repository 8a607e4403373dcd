"""Walks over property values: unwrap secrets, mask them, find secrets and unknowns, mark secrets again.

Owns also the marker keys under which Pulumi writes a secret or an unknown, on the wire and in the state.
Source of the markers: https://github.com/pulumi/pulumi/blob/master/sdk/python/lib/pulumi/runtime/rpc.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from sandbox.values import UNKNOWN, Properties, Secret, Value

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
UNKNOWN_SENTINEL: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"


def unwrap(value: Value) -> Any:
    """Give the value with every secret replaced by what it holds."""
    if isinstance(value, Secret):
        return unwrap(value.value)
    if isinstance(value, Mapping):
        return {key: unwrap(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unwrap(item) for item in value]
    return value


def mask(value: Value) -> Any:
    """Give the value with every secret replaced by `[secret]` and every unknown by its sentinel."""
    if isinstance(value, Secret):
        return "[secret]"
    if value is UNKNOWN:
        return UNKNOWN_SENTINEL
    if isinstance(value, Mapping):
        return {key: mask(item) for key, item in value.items()}
    if isinstance(value, list):
        return [mask(item) for item in value]
    return value


def contains_secret(value: Value) -> bool:
    """Tell whether a secret lies anywhere in the value."""
    if isinstance(value, Mapping):
        return any(contains_secret(item) for item in value.values())
    if isinstance(value, list):
        return any(contains_secret(item) for item in value)
    return isinstance(value, Secret)


def contains_unknown(value: Value) -> bool:
    """Tell whether something unknown lies anywhere in the value, secrets included."""
    value = unwrap(value)
    if isinstance(value, Mapping):
        return any(contains_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(contains_unknown(item) for item in value)
    return value is UNKNOWN


def mark_secrets(plain: Properties, like: Mapping[str, Value], names: Iterable[str] = ()) -> Properties:
    """Wrap again what a provider, which sees no secrets, gave back.

    A property is secret if the property of the same name in `like` holds a secret (objects are compared key by key,
    a list is secret as a whole), or if its name is in `names`.
    """
    marked = {key: _mark(value, like[key]) if key in like else value for key, value in plain.items()}
    for name in names:
        if name in marked and not isinstance(marked[name], Secret):
            marked[name] = Secret(unwrap(marked[name]))
    return marked


def _mark(value: Value, like: Value) -> Value:
    if isinstance(value, Mapping) and isinstance(like, Mapping):
        return mark_secrets(dict(value), like)
    if not isinstance(value, Secret) and contains_secret(like):
        return Secret(value)
    return value
