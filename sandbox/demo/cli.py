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

app = typer.Typer()


@app.command()
def demo(
    provider: Annotated[StorageProvider, typer.Option(help="Whose storage to use.")] = StorageProvider.S3,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the sandbox's folder, with its logs.")] = False,
) -> None:
    """Do the whole job in front of you: deploy, register, verify, record, download, tear down."""
    console = Console(highlight=False, soft_wrap=True)
    job = Job(fresh_folder(), provider)
    done = False
    try:
        done = run_steps(job.steps(), console)
    finally:
        job.sandbox.stop()
        if done and not keep:
            shutil.rmtree(job.sandbox.dir)
    sys.exit(0 if done else 1)
