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


def test_command_looks_for_no_garbage_in_what_it_imports() -> None:
    """Neither while it starts nor, all set aside, when it ends: there Python looks three times by itself."""
    code = (
        "import atexit, gc, sys\n"
        "from recordings.__main__ import main\n"
        "atexit.register(lambda: print(len(gc.get_objects()), looks.count('start')))\n"  # runs last: it was there first
        "looks = []\n"
        "gc.callbacks.append(lambda phase, _: looks.append(phase))\n"
        "sys.argv = ['recordings', 'backfill', '--outputs', '/dev/null']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    objects, looks = done.stdout.split()
    assert int(objects) < 1000
    assert looks == "0"
