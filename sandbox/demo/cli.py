"""`python -m sandbox demo`."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated

import typer
from rich.console import Console

from recordings.outputs import StorageProvider
from sandbox.demo.job import Job, fresh_folder
from sandbox.demo.steps import run_steps

_INTERRUPTED = 130

app = typer.Typer()


@app.command()
def demo(
    provider: Annotated[StorageProvider, typer.Option(help="Whose storage to use.")] = StorageProvider.S3,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the sandbox's folder, with its logs.")] = False,
) -> None:
    """Do the whole job in front of you: deploy, register, verify, record, download, tear down."""
    console = Console(highlight=False, soft_wrap=True)
    job = Job(fresh_folder(), provider)
    code = _INTERRUPTED
    try:
        code = 0 if run_steps(job.steps(), console) else 1
    except KeyboardInterrupt:
        console.print("stopped by Ctrl-C: stopping the sandbox")
    finally:
        job.stop()
        if code != 1 and not keep:  # after a failure its logs are what to look at
            shutil.rmtree(job.sandbox.dir)
    sys.exit(code)
