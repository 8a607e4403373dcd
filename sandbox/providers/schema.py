"""Property names and types of resources, read from the installed Pulumi SDK packages, and the check against them.

Owns the way from an `…Args` class of an SDK package (`pulumi_aws`, `pulumi_gcp`) to a `Shape`, and refusing a value
that does not fit it. Owns no rule of a cloud (lengths, allowed words): the resource kinds have those. The classes are
read rather than copied so that the stand-ins can never drift from the package that programs are written with. A nested
class is resolved when a value first needs it, and no package is imported as a whole: `check` must stay quick.
"""

from __future__ import annotations

import importlib
import sys
import types
import typing
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from pulumi._types import input_type_py_to_pulumi_names, is_input_type

from sandbox.providers.base import CheckFailure
from sandbox.values import UNKNOWN, Properties, Value

_SCALARS: Mapping[type, str] = {str: "a string", bool: "a boolean", int: "an integer", float: "a number"}


@dataclass(frozen=True)
class Scalar:
    """A string, boolean, integer or number, by its Python type."""

    type: type


@dataclass(frozen=True)
class ListOf:
    """A list whose elements have one shape."""

    element: Shape


@dataclass(frozen=True)
class MapOf:
    """A map from strings to values of one shape."""

    element: Shape


@dataclass(frozen=True)
class Object:
    """A value of an input class; `fields` resolves it."""

    args: type


@dataclass(frozen=True)
class OneOf:
    """Any of several shapes."""

    choices: tuple[Shape, ...]


@dataclass(frozen=True)
class Anything:
    """A value that the SDK does not describe further."""


Shape = Scalar | ListOf | MapOf | Object | OneOf | Anything


@dataclass(frozen=True)
class Field:
    """One property: its shape, and whether it must be given."""

    shape: Shape
    required: bool


def load_args(path: str) -> type:
    """The input class at `package.module:Class`; imports that one module."""
    module, _, name = path.partition(":")
    found = getattr(importlib.import_module(module), name)
    assert isinstance(found, type)
    return found


@cache
def fields(args: type) -> Mapping[str, Field]:
    """Pulumi property name to Field, of an input class."""
    init = args.__init__  # type: ignore[misc]  # the generated constructor has the one list of what is required
    optional = set(init.__kwdefaults__ or ())
    names = input_type_py_to_pulumi_names(args)
    return {
        names[python]: Field(_shape(hint, args.__module__), python not in optional)
        for python, hint in init.__annotations__.items()
        if python in names
    }


def _shape(hint: Any, module: str) -> Shape:
    hint = _resolve(hint, module)
    if hint in _SCALARS:
        return Scalar(hint)
    origin = typing.get_origin(hint)
    if origin is typing.Union or origin is types.UnionType:
        return _union(typing.get_args(hint), module)
    if origin is not None and isinstance(origin, type):
        arguments = typing.get_args(hint)
        if issubclass(origin, Mapping):
            return MapOf(_shape(arguments[1], module))
        if issubclass(origin, Sequence):
            return ListOf(_shape(arguments[0], module))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Scalar(str)
    if isinstance(hint, type) and is_input_type(hint):
        return Object(hint)
    return Anything()


def _resolve(hint: Any, module: str) -> Any:
    """The class that a forward reference names in `module`, or the reference itself where the SDK leaves it open."""
    if not isinstance(hint, typing.ForwardRef):
        return hint
    return getattr(sys.modules[module], hint.__forward_arg__, hint)


def _union(arguments: Sequence[Any], module: str) -> Shape:
    """`Input[T]` is `T | Awaitable[T] | Output[T]`: what is left of it is T."""
    plain = [
        argument
        for argument in arguments
        if argument is not type(None)
        and typing.get_origin(argument) is not Awaitable
        and not (isinstance(argument, typing.ForwardRef) and argument.__forward_arg__.startswith("Output["))
    ]
    shapes = list(dict.fromkeys(_shape(argument, module) for argument in plain))
    return shapes[0] if len(shapes) == 1 else OneOf(tuple(shapes))


class _Check:
    def __init__(self) -> None:
        self.failures: list[CheckFailure] = []

    def value(self, shape: Shape, value: Value, path: str) -> Value:
        """The value with integers made integers; anything that does not fit is noted under `path`."""
        if value is UNKNOWN or value is None or isinstance(shape, Anything):
            return value
        if isinstance(shape, OneOf):
            return self._one_of(shape, value, path)
        if isinstance(shape, Scalar):
            return self._scalar(shape, value, path)
        if isinstance(shape, ListOf):
            if not isinstance(value, list):
                return self._wrong(value, "a list", path)
            return [self.value(shape.element, item, f"{path}[{index}]") for index, item in enumerate(value)]
        if not isinstance(value, dict):
            return self._wrong(value, "an object" if isinstance(shape, Object) else "a map", path)
        if isinstance(shape, MapOf):
            return {key: self.value(shape.element, item, f"{path}.{key}") for key, item in value.items()}
        return self.properties(shape.args, value, path)

    def properties(self, args: type, value: Properties, path: str) -> Properties:
        known = fields(args)
        result: Properties = {}
        for name, item in value.items():
            where = f"{path}.{name}" if path else name
            if name in known:
                if item is not None:
                    result[name] = self.value(known[name].shape, item, where)
            elif not name.startswith("__"):
                self.failures.append(CheckFailure(where, f"unknown property; known are {', '.join(sorted(known))}"))
        for name, field in known.items():
            if field.required and name not in result:
                self.failures.append(CheckFailure(f"{path}.{name}" if path else name, "is required and not given"))
        return result

    def _one_of(self, shape: OneOf, value: Value, path: str) -> Value:
        for choice in shape.choices:
            attempt = _Check()
            result = attempt.value(choice, value, path)
            if not attempt.failures:
                return result
        return self._wrong(value, " or ".join(_name(choice) for choice in shape.choices), path)

    def _scalar(self, shape: Scalar, value: Value, path: str) -> Value:
        if shape.type in (int, float):
            if isinstance(value, bool) or not isinstance(value, int | float):
                return self._wrong(value, _name(shape), path)
            if shape.type is int:
                return int(value) if float(value).is_integer() else self._wrong(value, _name(shape), path)
            return value
        return value if isinstance(value, shape.type) else self._wrong(value, _name(shape), path)

    def _wrong(self, value: Value, wanted: str, path: str) -> Value:
        # The type and not the value is named: a value may be a secret.
        self.failures.append(CheckFailure(path, f"must be {wanted}, not {_kind_of(value)}"))
        return value


def _name(shape: Shape) -> str:
    match shape:
        case Scalar(type=scalar):
            return _SCALARS[scalar]
        case ListOf():
            return "a list"
        case MapOf():
            return "a map"
        case _:
            return "an object"


def _kind_of(value: Value) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return _SCALARS.get(type(value), type(value).__name__)


def check_properties(args: type, properties: Properties) -> tuple[Properties, list[CheckFailure]]:
    """Properties that fit the input class `args` (nulls left out), and a failure for each that does not.

    UNKNOWN fits everywhere. Names that begin with `__` are the engine's own and left out.
    """
    check = _Check()
    return check.properties(args, properties, ""), check.failures
