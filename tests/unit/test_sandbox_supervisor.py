"""One supervisor for a folder, however many look at it."""

from __future__ import annotations

import fcntl
from pathlib import Path
from types import SimpleNamespace

import pytest

from sandbox.servers import supervisor


def test_folder_is_taken_once_nobody_looks_at_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever looks may be held up by a busy machine; a supervisor is no looker, and is not waited for."""
    path, waits = tmp_path / "lock", iter(range(1000))
    with path.open("w") as ours, path.open("w") as theirs, path.open() as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)

        def sleep(_: float) -> None:
            if next(waits, None) is None:
                fcntl.flock(looking, fcntl.LOCK_UN)

        monkeypatch.setattr(supervisor, "time", SimpleNamespace(sleep=sleep))
        supervisor._acquire(ours)
        with pytest.raises(supervisor.AlreadyRunningError):
            supervisor._acquire(theirs)
