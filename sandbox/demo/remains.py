"""What a killed demo leaves, found and removed by the next: its folder, and servers that have not ended yet.

A demo and the commands that it runs hold a lock in its folder for as long as they live; the kernel lets go of it
however they end. A folder with a lock that nobody holds is a dead demo's. One that was kept on purpose has no lock any
more, and is left alone.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from sandbox.servers import Sandbox, SandboxError

PREFIX: Final = "recordings-demo-"
_LOCK: Final = "demo.lock"


def fresh_folder() -> Path:
    """A new folder for one demo, private to this user."""
    return Path(tempfile.mkdtemp(prefix=PREFIX))


@contextmanager
def claimed(folder: Path) -> Iterator[int]:
    """Hold the folder: who dies inside leaves it to the next demo; what is still there at the end is kept for good.

    Gives a file descriptor: a process that inherits it holds the folder too.
    """
    making, lock = folder / f".{_LOCK}", folder / _LOCK
    with making.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        making.rename(lock)  # nobody ever sees it unlocked while we live
        try:
            yield file.fileno()
        finally:
            lock.unlink(missing_ok=True)


def clear_dead(where: Path | None = None) -> Iterator[str]:
    """Stop and remove what dead demos of this user left in `where` (the temporary folder); a line for each."""
    for folder in sorted((where or Path(tempfile.gettempdir())).glob(f"{PREFIX}*")):
        if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
            continue
        with suppress(FileNotFoundError), (folder / _LOCK).open("r+") as lock:
            if _is_dead(lock, folder / _LOCK):
                yield _removed(folder)


def _is_dead(lock: IO[str], path: Path) -> bool:
    """Whether its demo has ended and nobody else is removing, or has removed, the folder."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.path.samestat(os.fstat(lock.fileno()), path.stat())


def _removed(folder: Path) -> str:
    try:
        Sandbox(folder).stop()
        shutil.rmtree(folder)
    except (SandboxError, OSError) as error:
        return f"a demo that was killed left {folder}, which cannot be removed: {error}"
    return f"removed {folder}, which a demo left that was killed"
