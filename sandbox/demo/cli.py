"""`python -m sandbox demo`."""

from __future__ import annotations

import shutil
import sys
from contextlib import nullcontext
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from recordings.outputs import StorageProvider
from sandbox.demo.job import Job
from sandbox.demo.remains import claimed, clear_dead, fresh_folder
from sandbox.demo.steps import run_steps
from sandbox.demo.tied import Tie

_INTERRUPTED = 130

app = typer.Typer()


@app.command()
def demo(
    provider: Annotated[StorageProvider, typer.Option(help="Whose storage to use.")] = StorageProvider.S3,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the sandbox's folder, with its logs.")] = False,
) -> None:
    """Do the whole job in front of you: deploy, register, verify, record, download, tear down."""
    console = Console(highlight=False, soft_wrap=True)
    for line in clear_dead():
        console.print(escape(line))
    folder = fresh_folder()
    with nullcontext() if keep else claimed(folder) as lock:
        tie = Tie(() if lock is None else (lock,))
        code = _run(Job(folder, provider, tie), console, keep=keep)
        tie.release()
    sys.exit(code)


def _run(job: Job, console: Console, *, keep: bool) -> int:
    """Run the steps, stop what runs, and remove the folder unless somebody may look at it; gives the exit code."""
    code = _INTERRUPTED
    try:
        code = 0 if run_steps(job.steps(), console) else 1
    except KeyboardInterrupt:
        console.print("stopped by Ctrl-C: stopping the sandbox")
    finally:
        job.stop()
        if code != 1 and not keep:  # after a failure its logs are what to look at
            shutil.rmtree(job.sandbox.dir)
    return code
