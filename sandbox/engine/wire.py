"""Property values between the SDK's protobuf structs and plain Python values (`sandbox.values`).

Owns the marker keys that Pulumi uses inside structs, and the walks over a value that everyone needs: unwrap secrets,
find secrets and unknowns, mark secrets. Does not encrypt (`secrets`) and does not lay out the state file (`state`).
Source of the markers: https://github.com/pulumi/pulumi/blob/master/sdk/python/lib/pulumi/runtime/rpc.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from google.protobuf import struct_pb2

from sandbox.engine.errors import UnsupportedError
from sandbox.values import UNKNOWN, Properties, Secret, Value

SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105
UNKNOWN_SENTINEL: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

_ASSET_SIGNATURES: Final = {
    "c44067f5952c0a294b673a41bacd8c17": "an asset",
    "0def7320c3a5731c473e5ecbe6d01bc7": "an archive",
    "d0e6a833031e9bbcd3f4e8bde6ca49a4": "an output value",
}


def from_struct(struct: struct_pb2.Struct) -> Properties:
    """Read a protobuf struct. Raises UnsupportedError for an asset or an archive."""
    return {key: _from_value(value) for key, value in sorted(struct.fields.items())}


def _from_value(value: struct_pb2.Value) -> Value:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return UNKNOWN if value.string_value == UNKNOWN_SENTINEL else value.string_value
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "bool_value":
        return value.bool_value
    if kind == "list_value":
        return [_from_value(item) for item in value.list_value.values]
    if kind == "struct_value":
        return _from_marked(from_struct(value.struct_value))
    return None


def _from_marked(fields: Properties) -> Value:
    mark = fields.get(SIGNATURE)
    if mark == SECRET_SIGNATURE:
        return Secret(fields.get("value"))
    if mark in _ASSET_SIGNATURES:
        raise UnsupportedError(f"{_ASSET_SIGNATURES[mark]} as a property value is not supported by this engine")
    return fields


def to_struct(properties: Mapping[str, Value]) -> struct_pb2.Struct:
    """Write a protobuf struct; secrets and unknowns keep their markers."""
    return struct_pb2.Struct(fields={key: _to_value(value) for key, value in properties.items()})


def _to_value(value: Value) -> struct_pb2.Value:
    if value is None:
        return struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)
    if value is UNKNOWN:
        return struct_pb2.Value(string_value=UNKNOWN_SENTINEL)
    if isinstance(value, Secret):
        return struct_pb2.Value(struct_value=to_struct({SIGNATURE: SECRET_SIGNATURE, "value": value.value}))
    if isinstance(value, bool):
        return struct_pb2.Value(bool_value=value)
    if isinstance(value, int | float):
        return struct_pb2.Value(number_value=value)
    if isinstance(value, str):
        return struct_pb2.Value(string_value=value)
    if isinstance(value, Mapping):
        return struct_pb2.Value(struct_value=to_struct(value))
    return struct_pb2.Value(list_value=struct_pb2.ListValue(values=[_to_value(item) for item in value]))


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
