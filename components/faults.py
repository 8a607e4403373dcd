"""Faults of a configuration in words: each names the key, the value unless it is secret, and what is legal.

Owns the wording alone; the rules are in `components.settings` and `components.rules`.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import pulumi
from pulumi.output import Unknown
from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

_HOLDS_SECRETS: Final = ("writerExternal", "readerExternal")
_SHOWN: Final = 120


def unknown_keys(raw: Iterable[str], known: Collection[str]) -> list[str]:
    """Give a fault for each key that is none; the value of such a key is never shown, it may be a misplaced secret."""
    faults = []
    for key in sorted(set(raw) - set(known)):
        near = difflib.get_close_matches(key, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"legal keys: {', '.join(sorted(known))}"
        faults.append(f"recordings:{key}: there is no such key; {hint}")
    return faults


def listed(faults: Iterable[str]) -> str:
    """Put each fault on a line of its own."""
    return "\n".join(f"  {fault}" for fault in faults)


def explain(
    error: ValidationError,
    values: Mapping[str, Any],
    secret_keys: Collection[str] = (),
    *,
    names: Mapping[str, str] = MappingProxyType({}),
    missing: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Give a fault for each error that pydantic found in `values`.

    `names` are keys that are not of the namespace `recordings`, `missing` what to say of a key that is not there.
    """

    def fault(entry: ErrorDetails) -> str:
        location, kind = entry["loc"], entry["type"]
        key = to_camel(str(location[0]))  # a default that fails is reported under the field's name
        path = ".".join([key, *(str(part) for part in location[1:] if part != "[key]")])
        name = names.get(path, f"recordings:{path}")
        if kind == "missing":
            return f"{name}: {missing.get(path, 'is missing')}"
        value = values.get(key, entry["input"]) if key == path else entry["input"]
        if isinstance(value, pulumi.Output | Unknown):
            return f"{name}: must be known before the deployment: give the value itself, no output and no secret"
        secret = key in secret_keys or key in _HOLDS_SECRETS
        shown = "(not shown: it may be a secret)" if secret else _short(value)
        return f"{name} = {shown}: {_plain(kind, entry['msg'])}"

    return [fault(entry) for entry in error.errors(include_url=False, include_context=False)]


def _short(value: object) -> str:
    text = repr(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(text)} characters)"


def _plain(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "there is no such part"
    if kind == "string_type":
        return "must be text: put it in quotes"
    if kind == "enum":
        return message.replace("Input should be", "must be")
    return message.removeprefix("Value error, ").replace("Input should be", "must be")
