"""Property values on the wire: `google.protobuf.Struct` as the engine writes it ⇄ the values of `sandbox.values`.

Owns the two spellings that JSON lacks, an unknown and a secret, and URNs. The signatures are Pulumi's own:
https://github.com/pulumi/pulumi/blob/master/sdk/go/common/resource/properties.go.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.struct_pb2 import Struct

from sandbox.values import UNKNOWN, Properties, Secret, Value

_UNKNOWN: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  # the marker of a secret, not one


def properties(struct: Struct) -> Properties:
    """Out of the wire, secrets unwrapped."""
    return {key: _value(value) for key, value in MessageToDict(struct).items()}


def _value(value: Any) -> Value:
    if value == _UNKNOWN:
        return UNKNOWN
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, dict):
        if value.get(_SIGNATURE) == _SECRET:
            return _value(value.get("value"))
        return {key: _value(item) for key, item in value.items()}
    if isinstance(value, float) and value.is_integer():
        return int(value)  # the wire has one kind of number, and AWS takes no 3600.0
    return value


def struct(values: Properties, secret: Collection[str] = ()) -> Struct:
    """Into the wire; the top-level properties named in `secret` are wrapped as secrets."""
    plain = {key: _plain(Secret(value) if key in secret else value) for key, value in values.items()}
    return ParseDict(plain, Struct())


def _plain(value: Value) -> Any:
    if value is UNKNOWN:
        return _UNKNOWN
    if isinstance(value, Secret):
        return {_SIGNATURE: _SECRET, "value": _plain(value.value)}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


def urn_type(urn: str) -> str:
    """The resource type: below a parent the type part of a URN is the whole chain, and the last link is the type."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def urn_name(urn: str) -> str:
    """The resource's name in the program."""
    return urn.split("::", 3)[3]
