"""Property values between the SDK's protobuf structs and plain Python values (`sandbox.values`).

Apart from `values`, since it alone needs protobuf, which commands that run no program do without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from google.protobuf import struct_pb2

from sandbox.engine.errors import UnsupportedError
from sandbox.engine.values import SECRET_SIGNATURE, SIGNATURE, UNKNOWN_SENTINEL
from sandbox.values import UNKNOWN, Properties, Secret, Value

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
