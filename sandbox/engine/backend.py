"""Where stacks are kept: the folder layout of Pulumi's file backend.

    <state>/.pulumi/meta.yaml
    <state>/.pulumi/stacks/<project>/<stack>.json             the checkpoint, and the one before it in .json.bak
    <state>/.pulumi/stacks/<project>/<stack>.json.attrs       its checksum
    <state>/.pulumi/history/<project>/<stack>/                a record and a checkpoint per run
    <state>/.pulumi/backups/<project>/<stack>/                a checkpoint per run
    <state>/.pulumi/locks/organization/<project>/<stack>/     who has the stack (`lock`)

Owns writing so that a reader, or a machine that loses power, sees the old or the new content and nothing between.
Source: https://www.pulumi.com/docs/iac/concepts/state-and-backends/#local-filesystem
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from base64 import b64encode
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sandbox.engine import lock
from sandbox.engine.errors import StateError, UnsupportedError, UsageError


class Backend:
    """The stacks of one project under one state folder."""

    def __init__(self, root: Path, project: str) -> None:
        """`root` is the folder that holds `.pulumi`; it is made when something is first written."""
        self.root = root
        self._project = project
        self._home = root / ".pulumi"

    def stack_path(self, stack: str) -> Path:
        """The state file of a stack."""
        return self._home / "stacks" / self._project / f"{stack}.json"

    def lock(self, stack: str) -> AbstractContextManager[None]:
        """Hold the stack for one run. Raises LockedError."""
        return lock.hold(self._home / "locks" / "organization" / self._project / stack)

    def read(self, stack: str) -> dict[str, Any] | None:
        """The state file's content, or None for no such stack. Raises StateError, UnsupportedError."""
        path = self.stack_path(stack)
        for suffix in (".gz", ".zst"):
            if path.with_name(path.name + suffix).exists():
                raise UnsupportedError(f"{path}{suffix}: compressed state is not supported")
        try:
            raw = json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StateError(
                f"{path} cannot be read ({error}); the state before it is {path.name}.bak, "
                f"one per run lies in {self._folder('backups', stack)}"
            ) from None
        if not isinstance(raw, dict):
            raise StateError(f"{path} is not a JSON object")
        self._check_sum(path, stack)
        return raw

    def _check_sum(self, path: Path, stack: str) -> None:
        """Refuse a state that is not what was last written: what it says could take away what nobody meant."""
        noted = _attributes(path)
        try:
            expected = json.loads(noted.read_text())["md5"]
        except FileNotFoundError:
            return
        except (OSError, ValueError, LookupError, TypeError):
            expected = None
        if expected != _md5(path.read_bytes()):
            raise StateError(
                f"{path} is not what was last written: its checksum in {noted.name} differs. The state before it is "
                f"{path.name}.bak, one per run lies in {self._folder('backups', stack)}; if it was changed on purpose, "
                f"delete {noted.name}"
            )

    def write(self, stack: str, content: Mapping[str, Any]) -> None:
        """Replace the state file; the former one stays as `.bak`."""
        path = self.stack_path(stack)
        self._prepare(path.parent)
        backup = path.with_name(f"{path.name}.bak")
        if path.exists():
            backup.unlink(missing_ok=True)
            os.link(path, backup)
        # gone before the state changes: a run killed in between leaves one with no checksum, not one that seems damaged
        for file in (path, backup):
            _attributes(file).unlink(missing_ok=True)
        text = json.dumps(content, separators=(",", ":"), ensure_ascii=False)
        replace_file(path, text)
        _note_sum(path, text)

    def record(self, stack: str, entry: Mapping[str, Any]) -> None:
        """Add a finished run to the history, and keep a copy of the state that it left."""
        moment = time.time_ns()
        history = self._folder("history", stack)
        backups = self._folder("backups", stack)
        for folder in (history, backups):
            self._prepare(folder)
        state = self.stack_path(stack)
        replace_file(
            history / f"{stack}-{moment}.history.json",
            json.dumps(entry, separators=(",", ":"), ensure_ascii=False),
        )
        shutil.copyfile(state, history / f"{stack}-{moment}.checkpoint.json")
        shutil.copyfile(state, backups / f"{stack}.{moment}.json")

    def stacks(self) -> list[str]:
        """The names of this project's stacks."""
        folder = self._home / "stacks" / self._project
        return sorted(file.stem for file in folder.glob("*.json")) if folder.is_dir() else []

    def ids(self, type_: str, *, besides: str) -> set[str]:
        """The ids of a resource type in every state under this folder but that of this project's stack `besides`."""
        found: set[str] = set()
        for path in (self._home / "stacks").glob("*/*.json"):
            if path == self.stack_path(besides):
                continue
            try:
                latest = json.loads(path.read_text())["checkpoint"].get("latest") or {}
            except (OSError, ValueError, LookupError):
                continue
            found.update(str(item.get("id")) for item in latest.get("resources") or [] if item.get("type") == type_)
        return found

    def remove(self, stack: str) -> None:
        """Forget a stack: state, history and backups."""
        path = self.stack_path(stack)
        for suffix in ("", ".attrs", ".bak", ".bak.attrs"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        for kind in ("history", "backups"):
            shutil.rmtree(self._folder(kind, stack), ignore_errors=True)

    def selected(self) -> str | None:
        """The stack that `stack select` chose for this project."""
        try:
            return self._selection().read_text().strip() or None
        except FileNotFoundError:
            return None

    def select(self, stack: str) -> None:
        """Remember a stack as this project's chosen one."""
        self._selection().parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._selection(), stack)

    def _selection(self) -> Path:
        return self.root / "selected" / self._project

    def _folder(self, kind: str, stack: str) -> Path:
        return self._home / kind / self._project / stack

    def _prepare(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        meta = self._home / "meta.yaml"
        if not meta.exists():
            replace_file(meta, "version: 1\n")


def _attributes(path: Path) -> Path:
    """Where the real CLI notes the checksum of a state that it wrote; so does this engine."""
    return path.with_name(f"{path.name}.attrs")


def _md5(content: bytes) -> str:
    return b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()


def _note_sum(path: Path, text: str) -> None:
    """Note the checksum in the form of Go Cloud's fileblob, which the real CLI's file backend is made of."""
    fields = ("cache_control", "content_disposition", "content_encoding", "content_language")
    content: dict[str, Any] = {f"user.{field}": "" for field in fields}
    content |= {"user.content_type": "text/plain; charset=utf-8", "user.metadata": None, "md5": _md5(text.encode())}
    scratch = path.with_name(f"{path.name}.attrs.{os.getpid()}.tmp")
    scratch.write_text(json.dumps(content, separators=(",", ":")))
    scratch.replace(_attributes(path))


def replace_file(path: Path, text: str) -> None:
    """Write `text` to `path` durably and in one step."""
    scratch = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with scratch.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def state_folder(option: Path | None, url: str | None, environ: Mapping[str, str]) -> Path:
    """Where the state is: `--state`, PULUMI_BACKEND_URL, the project's backend, or `state` in the sandbox's folder.

    Raises UsageError for a backend that is not a folder of this machine.
    """
    if option is not None:
        return option.absolute()
    chosen = environ.get("PULUMI_BACKEND_URL") or url
    if chosen:
        parts = urlsplit(chosen)
        if parts.scheme != "file" or parts.query:
            raise UsageError(
                f"backend {parts.scheme}://{parts.hostname or ''} is not supported: this engine keeps state in a "
                "folder, file://<folder> in PULUMI_BACKEND_URL or --state <folder>"
            )
        return Path(unquote(parts.netloc + parts.path)).expanduser().absolute()
    return Path(environ.get("SANDBOX_DIR") or ".sandbox").absolute() / "state"
