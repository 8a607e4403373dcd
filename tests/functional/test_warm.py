"""The warm Python stands for a fresh one: what a command is given and gives is the same."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from sandbox.servers.supervisor import is_alive
from tests.functional.clients import eventually

SHOW = """
import os, random, sys
sys.stdout.write(repr((sys.argv, os.getcwd(), dict(os.environ), __name__, sys.stdin.read())))
sys.stderr.write("a story")
"""


@pytest.mark.parametrize(
    "code",
    [
        SHOW,
        "raise SystemExit",
        "import sys; sys.exit('a message')",
        "import os; print('kept', flush=True); os._exit(7)",
        "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
        "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "import atexit; atexit.register(print, 'at the end')",
        "import threading, time; threading.Timer(0.1, print, ['after the end']).start()",
    ],
)
def test_command_is_given_and_gives_the_same(python: Sequence[str], tmp_path: Path, code: str) -> None:
    """Arguments, folder, environment and input; both outputs and the exit code, also of a process that is killed."""
    ways = [
        subprocess.run(
            [*way, "-c", code, "an argument"],
            cwd=tmp_path,
            env={"ONE": "1", "LC_ALL": "C.UTF-8"},
            input="ü",
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        for way in ([sys.executable], python)
    ]
    assert (ways[0].stdout, ways[0].stderr, ways[0].returncode) == (ways[1].stdout, ways[1].stderr, ways[1].returncode)


def test_error_ends_with_a_traceback_and_one(python: Sequence[str]) -> None:
    """As it does in a fresh one."""
    done = subprocess.run([*python, "-c", "1/0"], capture_output=True, text=True)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "ZeroDivisionError: division by zero")


def test_two_do_not_share_what_they_change(python: Sequence[str]) -> None:
    """Each is a process of its own: what one leaves behind in a module is not there for the next."""
    change = "import recordings; recordings.left = 1; import random; print(random.random())"
    first, second = (subprocess.run([*python, "-c", change], capture_output=True, text=True) for _ in range(2))
    assert first.stdout != second.stdout
    look = subprocess.run(
        [*python, "-c", "import recordings; print(hasattr(recordings, 'left'))"], stdout=-1, text=True
    )
    assert look.stdout == "False\n"


def test_command_ends_with_what_stands_for_it(python: Sequence[str]) -> None:
    """SIGKILL, and neither the command goes on nor what it started."""
    wait = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    code = f"import os, subprocess; print(os.getpid(), flush=True); subprocess.run({[*python, '-c', wait]!r})"
    with subprocess.Popen([*python, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pids = [int(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGKILL)
    eventually(lambda: not any(map(is_alive, pids)))


def test_command_that_ends_while_its_client_does_is_nobody_elses_end(python: Sequence[str]) -> None:
    """The server sees both at once, as it does on a busy machine, and serves on."""
    code = "import os, time; print(os.getpid(), os.getppid(), flush=True); time.sleep(60)"
    with subprocess.Popen([*python, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        command, server = map(int, process.stdout.readline().split())
        os.kill(server, signal.SIGSTOP)
        try:
            os.kill(command, signal.SIGKILL)
            eventually(lambda: not is_alive(command))
            process.kill()
            process.wait()
        finally:
            os.kill(server, signal.SIGCONT)
    done = subprocess.run([*python, "-c", "print('served')"], capture_output=True, text=True)
    assert done.stdout == "served\n"


def test_client_killed_over_its_order_leaves_no_file_open(python: Sequence[str]) -> None:
    """Who reads what it would have printed comes to an end."""
    reader, writer = os.pipe()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(python[-1])
        socket.send_fds(client, [(100).to_bytes(4, "big")], [writer] * 3)
    os.close(writer)
    with open(reader, "rb") as printed:
        eventually(lambda: select.select([printed], [], [], 0)[0])
        assert printed.read() == b""
