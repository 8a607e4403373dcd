"""The configuration that a program sees: the stack's values, the schema's defaults, types checked, secrets opened.

Owns merging and typing. Values reach the program as Pulumi hands them over: text, or JSON text for lists and mappings.
Source: https://www.pulumi.com/docs/iac/concepts/config/ and
https://www.pulumi.com/docs/iac/concepts/projects/project-file/#stack-settings-file
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.engine.errors import UnsupportedError, UsageError
from sandbox.engine.project import Project, StackFile
from sandbox.values import Properties, Secret


@dataclass(frozen=True)
class Config:
    """Every value under its full key (`namespace:name`), as text."""

    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    masked: Mapping[str, str] = field(default_factory=dict)
    """Those of `secret_keys` as they may be shown: of an object its secret parts alone are masked."""

    @property
    def secret_keys(self) -> frozenset[str]:
        """The keys whose values are secret, or hold a secret."""
        return frozenset(self.masked)

    def shown(self) -> dict[str, str]:
        """The values with secrets masked."""
        return dict(sorted({**self.values, **self.masked}.items()))

    def of_package(self, package: str) -> Properties:
        """The configuration of one provider, keys without their namespace, secrets marked."""
        prefix = f"{package}:"
        return {
            key.removeprefix(prefix): Secret(value) if key in self.secret_keys else value
            for key, value in self.values.items()
            if key.startswith(prefix)
        }


def full_key(project: Project, key: str) -> str:
    """Give `namespace:name`; a bare name lies in the project's namespace. Raises UsageError."""
    parts = key.split(":")
    if len(parts) == 3 and parts[1] == "config":
        parts.pop(1)
    if len(parts) == 1:
        parts.insert(0, project.name)
    if len(parts) != 2 or not all(parts):
        raise UsageError(f"configuration key {key!r} must be name or namespace:name")
    return ":".join(parts)


def load(project: Project, stack: str, file: StackFile, decrypt: Callable[[str], str]) -> Config:
    """Merge and check the configuration. Raises UsageError naming each missing or mistyped key."""
    values: dict[str, str] = {}
    masked: dict[str, str] = {}
    for raw_key, raw in file.config.items():
        key = full_key(project, raw_key)
        values[key], secret = _open(raw, decrypt)
        if secret:
            masked[key], _ = _open(raw, lambda _: "[secret]")
    _apply_schema(project, stack, values, masked)
    if values.get("pulumi:disable-default-providers"):
        raise UnsupportedError("pulumi:disable-default-providers is not supported by this engine")
    return Config(values, masked)


def _open(raw: Any, decrypt: Callable[[str], str]) -> tuple[str, bool]:
    if isinstance(raw, dict) and set(raw) == {"secure"}:
        return decrypt(str(raw["secure"])), True
    if isinstance(raw, dict | list):
        secret = False

        def walk(item: Any) -> Any:
            nonlocal secret
            if isinstance(item, dict):
                if set(item) == {"secure"}:
                    secret = True
                    return decrypt(str(item["secure"]))
                return {key: walk(value) for key, value in item.items()}
            return [walk(value) for value in item] if isinstance(item, list) else item

        return _text(walk(raw)), secret
    return _text(raw), False


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, separators=(",", ":"), default=str)


def _apply_schema(project: Project, stack: str, values: dict[str, str], secrets: Container[str]) -> None:
    missing, wrong = [], []
    for name, raw in sorted(project.schema.items()):
        key = full_key(project, name)
        entry = raw if isinstance(raw, dict) else {"default": raw}
        default = entry.get("default", entry.get("value"))
        if key not in values:
            if default is not None:
                values[key] = _text(default)
            elif key.startswith(f"{project.name}:"):
                missing.append(name)
                continue
        if key in values and not _fits(values[key], entry):
            wrong.append(f"configuration key '{name}' must be of type '{_type_name(entry)}'")
        if entry.get("secret") and key not in secrets:
            wrong.append(f"configuration key '{name}' must be encrypted as it's secret")
    if missing:
        names = ", ".join(f"'{name}'" for name in missing)
        raise UsageError(f"Stack '{stack}' is missing configuration value {names}")
    if wrong:
        raise UsageError("\n".join(f"Stack '{stack}' with {fault}" for fault in wrong))


def _type_name(entry: Mapping[str, Any]) -> str:
    name = str(entry.get("type"))
    return f"{name}<{_type_name(entry.get('items') or {})}>" if name == "array" else name


def _fits(text: str, entry: Mapping[str, Any]) -> bool:
    kind = entry.get("type")
    if kind is None or kind == "string":
        return True
    try:
        value = json.loads(text)
    except ValueError:
        return False
    return _value_fits(value, entry)


def _value_fits(value: Any, entry: Mapping[str, Any]) -> bool:
    kind = entry.get("type")
    if kind == "array":
        items = entry.get("items") or {}
        return isinstance(value, list) and all(_value_fits(item, items) for item in value)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "object":
        return isinstance(value, dict)
    return kind is None or (kind == "string" and isinstance(value, str))
