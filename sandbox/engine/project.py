"""Pulumi.yaml and Pulumi.<stack>.yaml: where the program is, and what its configuration is.

Owns finding and reading both files and refusing what this engine does not support in them. The typed configuration is
made in `config`; secrets are decrypted there. Does not write Pulumi.yaml.
Source: https://www.pulumi.com/docs/iac/concepts/projects/project-file/
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from sandbox.engine.errors import UnsupportedError, UsageError

_KNOWN: Final = {"name", "runtime", "main", "description", "author", "website", "license", "config", "template",
                 "backend", "requiredPulumiVersion"}  # fmt: skip
_KNOWN_STACK: Final = {"config", "encryptionsalt", "secretsprovider"}
_FORMS: Final = {dict: "a mapping of keys", str: "text"}
_P = TypeVar("_P", str, dict[str, Any])
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,100}")


@dataclass(frozen=True)
class Project:
    """A Pulumi project: its name, the folder of Pulumi.yaml, its program, its configuration schema."""

    name: str
    root: Path
    program: Path
    schema: Mapping[str, Any] = field(default_factory=dict)
    backend_url: str | None = None

    @classmethod
    def find(cls, folder: Path) -> Self:
        """Read the Pulumi.yaml of `folder` or of the nearest folder above. Raises UsageError."""
        for root in (folder.absolute(), *folder.absolute().parents):
            for name in ("Pulumi.yaml", "Pulumi.yml"):
                if (root / name).is_file():
                    return cls._read(root / name)
        raise UsageError(
            f"no Pulumi.yaml project file found in {str(folder)!r} or above; give a project's folder with --cwd"
        )

    @classmethod
    def _read(cls, file: Path) -> Self:
        raw = read_yaml(file)
        unknown = sorted(map(str, raw.keys() - _KNOWN))
        if unknown:
            raise UnsupportedError(f"{file}: {', '.join(unknown)} is not supported; supported: {sorted(_KNOWN)}")
        name = raw.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UsageError(f"{file}: name {name!r} must be 1 to 100 letters, digits, '-', '_' and '.'")
        runtime = raw.get("runtime")
        language = runtime.get("name") if isinstance(runtime, dict) else runtime
        if language != "python":
            raise UnsupportedError(f"{file}: runtime {language!r} is not supported; this engine runs python")
        schema = _part(file, raw, "config", {})
        _check_schema(file, schema)
        url = _part(file, _part(file, raw, "backend", {}), "url", "") or None
        return cls(name, file.parent, file.parent / _part(file, raw, "main", "."), schema, url)

    def stack_file(self, stack: str) -> Path:
        """Where the configuration of a stack is kept."""
        return self.root / f"Pulumi.{stack}.yaml"


@dataclass
class StackFile:
    """Pulumi.<stack>.yaml as it stands: encryption salt and raw configuration."""

    path: Path
    salt: str | None = None
    config: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file; an absent one is empty. Raises UsageError, UnsupportedError."""
        if not path.exists():
            return cls(path)
        raw = read_yaml(path)
        unknown = sorted(map(str, raw.keys() - _KNOWN_STACK))
        if unknown:
            raise UnsupportedError(f"{path}: {', '.join(unknown)} is not supported; supported: {sorted(_KNOWN_STACK)}")
        if raw.get("secretsprovider", "passphrase") != "passphrase":
            raise UnsupportedError(f"{path}: secretsprovider {raw['secretsprovider']!r}: only passphrase is supported")
        return cls(path, _part(path, raw, "encryptionsalt", "") or None, _part(path, raw, "config", {}))

    def write(self) -> None:
        """Replace the file in one step."""
        import yaml

        content: dict[str, Any] = {"encryptionsalt": self.salt} if self.salt else {}
        if self.config:
            content["config"] = self.config
        scratch = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        scratch.write_text(yaml.safe_dump(content, sort_keys=True) if content else "")
        scratch.replace(self.path)


def check_stack_name(name: str, project: str) -> str:
    """Give the last part of `name` or `organization/project/name`. Raises UsageError if it names no stack of `project`.

    A file backend has one organization, called `organization`:
    https://www.pulumi.com/docs/iac/concepts/state-and-backends/
    """
    *qualifier, short = name.split("/")
    if qualifier != ["organization", project][: len(qualifier)]:
        raise UsageError(f"stack name {name!r} is of another project: legal are NAME and organization/{project}/NAME")
    if not _NAME.fullmatch(short) or short in {".", ".."}:
        raise UsageError(f"stack name {name!r} must be 1 to 100 letters, digits, '-', '_' and '.'")
    return short


def _check_schema(file: Path, schema: Mapping[str, Any]) -> None:
    """Refuse a key's entry of another form than `{type, items, default, …}` or a plain default. Raises UsageError."""
    for key, entry in schema.items():
        while isinstance(entry, dict):
            if not isinstance(entry.get("items", {}), dict):
                raise UsageError(f"{file}: config {key!r}: items must be a mapping, not {entry['items']!r}")
            entry = entry.get("items")


def _part(file: Path, raw: Mapping[str, Any], name: str, absent: _P) -> _P:
    """One entry of `raw`; `absent` is given where there is none, and tells its type. Raises UsageError."""
    found = raw.get(name)
    if found is None:
        return absent
    if not isinstance(found, type(absent)):
        raise UsageError(f"{file}: {name} must be {_FORMS[type(absent)]}, not {found!r}")
    if isinstance(found, dict) and not all(isinstance(key, str) for key in found):
        raise UsageError(f"{file}: {name} must have keys that are text: put {list(found)} in quotes")
    return found


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML mapping. Raises UsageError that names the file and the place of a fault."""
    import yaml

    # libyaml's where yaml was built with it: a tenth of the time
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        raw = yaml.load(file.read_text(), Loader=loader)  # noqa: S506 - both are safe
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{file} cannot be read: {_reason(error)}") from None
    if raw is None:
        return {}
    if not isinstance(raw, dict):
        raise UsageError(f"{file} must be a YAML mapping, not a {type(raw).__name__}")
    return raw


def _reason(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        return f"line {mark.line + 1}, column {mark.column + 1}: {getattr(error, 'problem', 'not YAML')}"
    return getattr(error, "strerror", None) or "not UTF-8 text"
