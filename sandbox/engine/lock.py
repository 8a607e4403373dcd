"""One run at a time on a stack, whoever runs: this engine or the real CLI.

Among our own runs a kernel lock decides, which goes with its process however that ends. For the real CLI we also keep
its kind of lock file, and honour those that it keeps; a file whose process is gone on this machine holds nobody up.
Nor does a file of ours, once the kernel lock is free: its process may still be listed, killed but not waited for.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import socket
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.engine.errors import LockedError
from sandbox.engine.state import now

_OURS = "kernelLock"
"""Marks a lock file whose process held the kernel lock as well; the real CLI reads over it."""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the stack whose lock files lie in `folder`. Raises LockedError if another run has it."""
    folder.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("a+") as kernel_lock:
        try:
            fcntl.flock(kernel_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(_describe(sorted(folder.glob("*.json")))) from None
        own = folder / f"{uuid.uuid4()}.json"
        _refuse_others(folder, own)
        own.write_text(json.dumps(_holder()))
        try:
            _refuse_others(folder, own)
            yield
        finally:
            own.unlink(missing_ok=True)


def _holder() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "username": getpass.getuser(),
        "hostname": socket.gethostname(),
        "timestamp": now(),
        _OURS: True,
    }


def _refuse_others(folder: Path, own: Path) -> None:
    alive = []
    for file in sorted(folder.glob("*.json")):
        if file == own:
            continue
        if _is_dead(_read(file)):
            file.unlink(missing_ok=True)
        else:
            alive.append(file)
    if alive:
        raise LockedError(_describe(alive))


def _read(file: Path) -> dict[str, object]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _is_dead(holder: dict[str, object]) -> bool:
    """Whether the run of this lock file is over; called with the kernel lock in hand."""
    pid = holder.get("pid")
    if holder.get("hostname") != socket.gethostname() or not isinstance(pid, int) or pid <= 0:
        return False
    if holder.get(_OURS):
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return pid == os.getpid()


def _describe(files: list[Path]) -> str:
    lines = [
        f"the stack is currently locked by {max(1, len(files))} lock(s). "
        "Wait for the other process(es) to end, or delete the lock file if you know that none runs."
    ]
    for file in files:
        holder = _read(file)
        lines.append(
            f"  {file}: created by {holder.get('username')}@{holder.get('hostname')} "
            f"(pid {holder.get('pid')}) at {holder.get('timestamp')}"
        )
    return "\n".join(lines)
