"""What a command imports before it does anything, and does after it has done all: each is waited for every time."""

from __future__ import annotations

import subprocess
import sys

import pytest

from recordings.cli import COMMANDS

UNUSED = {
    "awscrt": "computes checksums of what is copied",
    "botocore": "is for S3, once the outputs say that it is S3",
    "google": "is for Google, once the outputs say that it is Google",
    "click": "is httpx's own command line, whose place in ours Typer has",
    "jinja2": "makes pages",
    "jwt": "signs for 100ms",
    "procrastinate": "is the queue",
    "psycopg": "is the database, where there is one",
    "pulumi": "is never imported here",
    "pygments": "colours httpx's own answers",
    "starlette": "serves",
    "typer.rich_utils": "shows help and wrong options",
}
"""What no command needs to read its options, and what each is for."""


def modules(code: str) -> set[str]:
    """The modules that are there after `code`, in a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def imported(command: str) -> set[str]:
    """The modules that are there when `recordings COMMAND` reads its options."""
    return modules(f"from recordings.cli import Commands; Commands()[{command!r}]")


@pytest.mark.parametrize(
    ("command", "others", "more"),
    [
        ("sign", set(), {"httpx", "cryptography"}),
        ("list", set(), {"httpx", "cryptography"}),
        ("worker", {"backfill"}, set()),
        ("serve", set(), set()),
    ],
)
def test_command_waits_for_nothing_that_only_others_need(command: str, others: set[str], more: set[str]) -> None:
    """Neither for another command, but whose functions it takes, nor for a service that it may not ask."""
    there = imported(command)
    assert {name for name in COMMANDS if f"recordings.cli.{name.replace('-', '_')}" in there} == {command} | others
    assert not there & (set(UNUSED) | more)


def test_backfill_into_s3_waits_for_no_other_store_and_no_transfer_of_boto3s() -> None:
    """Its bytes go by requests of its own; botocore alone starts in half the time of boto3."""
    parts = ("cli.backfill", "stores.s3", "stores.s3_landing")
    there = modules("".join(f"import recordings.{name}\n" for name in parts))
    assert "botocore" in there
    assert not there & {"boto3", "s3transfer", "google", "psycopg", "procrastinate", "jinja2", "starlette", "pulumi"}


def test_end_of_a_command_looks_for_no_garbage() -> None:
    """What was imported is set aside first: Python would look through all of it before it ends."""
    code = (
        "import atexit, gc, sys\n"
        "atexit.register(lambda: print(len(gc.get_objects())))\n"  # runs last, as it was there first
        "from recordings.cli import main\n"
        "sys.argv = ['recordings', 'sign']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert int(done.stdout.split()[-1]) < 1000
