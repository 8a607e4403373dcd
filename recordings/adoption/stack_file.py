"""A stack's configuration file, Pulumi.<stack>.yaml: read, changed with its comments kept, and put back as it was.

Owns the file alone. Values are those of Pulumi's configuration, under full keys (`recordings:bucketName`); a value that
is stored encrypted stays as it is and is never read.
"""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

from recordings.errors import ConfigurationError, UsageError

NAMESPACE: Final = "recordings"


class StackFile:
    """One file, and the defaults of the project it belongs to."""

    def __init__(self, path: Path, before: bytes | None, document: Any, defaults: Mapping[str, Any]) -> None:
        self.path = path
        self._before = before
        self._document = document
        self._defaults = defaults

    @classmethod
    def open(cls, path: Path) -> Self:
        """Read the file, which need not exist, and Pulumi.yaml beside it. Raises ConfigurationError."""
        project = path.parent / "Pulumi.yaml"
        if not project.is_file():
            raise ConfigurationError(
                f"{str(project)!r} is not there: run this in the project's folder, or name it (--cwd)"
            )
        schema = _mapping(_load(project.read_bytes(), project).get("config"), project)
        before = path.read_bytes() if path.exists() else None
        document = _load(before or b"", path)
        _mapping(document.get("config"), path)
        return cls(path, before, document, {key: _default(entry) for key, entry in schema.items()})

    def given(self, name: str) -> Any:
        """What the file says of a key of the namespace `recordings`, or None; a secret is `{secure: …}`.

        `pulumi config set` writes numbers, booleans and lists as text too, so text is read as the schema's type.
        """
        found = self.at(f"{NAMESPACE}:{name}")
        return _typed(found, self._defaults.get(name)) if isinstance(found, str) else found

    def value(self, name: str) -> Any:
        """As `given`, with the project's default where the file says nothing; empty text, list and map are None."""
        found = self.given(name)
        return (self._defaults.get(name) if found is None else found) or None

    def at(self, key: str) -> Any:
        """What the file says of a full key, such as `aws:region`, or None."""
        return (self._document.get("config") or {}).get(key)

    def write(self, values: Mapping[str, Any]) -> None:
        """Set full keys, all at once or not at all. Raises ConfigurationError."""
        if not self._document.get("config"):
            self._document["config"] = {}
        self._document["config"].update(values)
        out = io.BytesIO()
        _yaml().dump(self._document, out)
        self._replace(out.getvalue())

    def restore(self) -> None:
        """Put the file back as it was when it was opened. Raises ConfigurationError."""
        if self._before is None:
            self.path.unlink(missing_ok=True)
        else:
            self._replace(self._before)

    def _replace(self, content: bytes) -> None:
        target = self.path.resolve()
        try:
            descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(content)
                    os.fchmod(file.fileno(), target.stat().st_mode & 0o777 if target.exists() else 0o644)
                os.replace(name, target)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise
        except OSError as error:
            raise ConfigurationError(f"{str(self.path)!r} cannot be written: {error.strerror}") from None


def _yaml() -> Any:
    try:
        from ruamel.yaml import YAML
    except ImportError:
        raise UsageError(
            "this command edits YAML with a library that is not installed: pip install '.[adopt]' in a clone"
        ) from None
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _load(content: bytes, path: Path) -> Any:
    yaml = _yaml()
    from ruamel.yaml.error import YAMLError

    try:
        loaded = yaml.load(content.decode())
    except (YAMLError, UnicodeDecodeError) as error:
        problem = getattr(error, "problem_mark", None)
        where = f" (line {problem.line + 1})" if problem else ""
        raise ConfigurationError(f"{str(path)!r} is not YAML{where}: correct it first") from None
    return yaml.map() if loaded is None else _mapping(loaded, path)


def _mapping(value: Any, path: Path) -> Any:
    if value is not None and not isinstance(value, dict):
        raise ConfigurationError(f"{str(path)!r} must hold `config:` and under it `key: value` lines")
    return {} if value is None else value


def _default(entry: Any) -> Any:
    return entry.get("default") if isinstance(entry, dict) else entry


def _typed(text: str, default: Any) -> Any:
    """Read text as the type of `default`; what can't be is left for the settings to refuse."""
    if not isinstance(default, bool | int | list | dict):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text
