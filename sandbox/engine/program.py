"""Run a Pulumi Python program in this process, with the official SDK, against given monitor and engine objects.

Owns what the language host does: configuration and settings, event loop, worker threads, the program's own printing,
and a traceback cut down to the program's part. Each run sees a fresh SDK and fresh modules of the program, so that a
preview and an update can follow each other in one process.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import io
import logging
import os
import runpy
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pulumi
from pulumi.runtime import run_in_stack, set_all_config
from pulumi.runtime.settings import Settings, configure

from sandbox.engine.config import Config
from sandbox.engine.errors import CancelledError, DeploymentError
from sandbox.engine.monitor import EngineLog, Monitor
from sandbox.engine.project import Project

_WORKERS: Final = 32
_LAST_WORDS: Final = 5.0
"""Seconds that cancelled tasks have to end."""


@dataclass(frozen=True)
class Program:
    """A program and what it is run with; `say` takes each line that it prints."""

    project: Project
    stack: str
    config: Config
    say: Callable[[str], None]

    def run(self, monitor: Monitor, log: EngineLog, *, dry_run: bool) -> None:
        """Run to the end. Raises DeploymentError if the program or a registration fails, CancelledError on Ctrl-C."""
        settings = Settings(
            project=self.project.name,
            stack=self.stack,
            monitor=monitor,
            engine=log,
            dry_run=dry_run,
            organization="organization",
            root_directory=str(self.project.root),
        )
        contextvars.copy_context().run(self._run, settings, monitor)

    def _run(self, settings: Settings, monitor: Monitor) -> None:
        set_all_config(dict(self.config.values), sorted(self.config.secret_keys))
        configure(settings)
        with _place(self.project.root), _fresh_modules(), self._captured(), _loop() as loop:
            try:
                loop.run_until_complete(run_in_stack(self._main))
            except KeyboardInterrupt:
                monitor.failure = monitor.failure or CancelledError("the run was stopped")
            except pulumi.RunError as error:
                monitor.failure = monitor.failure or DeploymentError(str(error))
            except SystemExit as error:
                if error.code:
                    monitor.failure = monitor.failure or DeploymentError(
                        f"the program ended with sys.exit({error.code!r})"
                    )
            except Exception:
                monitor.failure = monitor.failure or DeploymentError(
                    f"Program failed with an unhandled exception:\n{self._traceback()}"
                )
        if monitor.failure is not None:
            raise monitor.failure

    def _main(self) -> None:
        runpy.run_path(str(self.project.program), run_name="__main__")

    def _traceback(self) -> str:
        main = self.project.program
        own = str(main / "__main__.py" if main.is_dir() else main)
        frames = traceback.extract_tb(sys.exc_info()[2])
        first = next((place for place, frame in enumerate(frames) if frame.filename == own), 0)
        return traceback.format_exc(limit=first - len(frames)) if frames else traceback.format_exc()

    @contextlib.contextmanager
    def _captured(self) -> Iterator[None]:
        lines = _Lines(self.say)
        with contextlib.redirect_stdout(lines), contextlib.redirect_stderr(lines):
            yield
        lines.end()


class _Lines(io.TextIOBase):
    """Hands over what is written to it line by line."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._rest = ""

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._say(line)
        return len(text)

    def end(self) -> None:
        if self._rest:
            self._say(self._rest)
        self._rest = ""


@contextlib.contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop whose worker threads have all ended at the end: no operation goes on behind the state's back."""
    # the SDK leaves futures behind when a program fails, which asyncio would report one by one
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    workers = ThreadPoolExecutor(_WORKERS)
    loop.set_default_executor(workers)
    asyncio.set_event_loop(loop)
    try:
        yield loop
    finally:
        _end_tasks(loop)
        workers.shutdown(wait=True)
        asyncio.set_event_loop(None)
        loop.close()


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """End what a failed or interrupted program left waiting; threads at work are not touched."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=_LAST_WORDS))


@contextlib.contextmanager
def _place(root: Path) -> Iterator[None]:
    """Be in the project's folder, with the arguments of a program that was given none."""
    folder, arguments, path = Path.cwd(), sys.argv, list(sys.path)
    os.chdir(root)
    sys.argv = ["__main__.py"]
    try:
        yield
    finally:
        os.chdir(folder)
        sys.argv, sys.path[:] = arguments, path


@contextlib.contextmanager
def _fresh_modules() -> Iterator[None]:
    """Forget the program's own modules afterwards, so that the next run imports them anew."""
    before = set(sys.modules)
    libraries = tuple({sys.prefix, sys.base_prefix, str(Path(io.__file__).parent)})
    try:
        yield
    finally:
        for name in set(sys.modules) - before:
            # not getattr, which would load the SDK's lazy modules, hundreds of them
            file = object.__getattribute__(sys.modules[name], "__dict__").get("__file__")
            if file and not file.startswith(libraries) and not name.startswith("sandbox."):
                del sys.modules[name]
