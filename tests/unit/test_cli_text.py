"""What others wrote is shown whole on a terminal, and never obeyed; an empty option is no wish for everything."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from recordings.catalog_entries import CatalogEntry
from recordings.cli import app
from recordings.cli.frame import Frame, _console
from recordings.cli.list import _show
from recordings.cli.text import escape

ID = "6b0363cca98d0e038910f5ec"


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        """So it says."""
        return True


def shown(text: str, width: int = 500) -> str:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, soft_wrap=True).print(escape(text))
    return out.getvalue()


@given(st.text())
def test_terminal_has_nothing_to_obey(text: str) -> None:
    """No control character but tab and newline, no change of direction, nothing that UTF-8 cannot hold."""
    said = shown(text)
    assert all(char in "\t\n" or (char >= " " and not "\x7f" <= char <= "\x9f") for char in said)
    assert not set(said) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    said.encode()


def test_text_is_as_it_was_else() -> None:
    """Markup and backslashes are no markup of ours; what acts is spelled out."""
    assert shown("[red]a[/red] \\ ünï b") == "[red]a[/red] \\ ünï b\n"
    assert shown("a\x1b[31m\r\ud800") == "a\\x1b[31m\\r\\ud800\n"


def test_story_has_nothing_to_obey(capsys: pytest.CaptureFixture[str]) -> None:
    """Also what a command tells on its way."""
    Frame(story=Console(file=sys.stderr)).tell("room \x1b]0;owned\x07")
    assert "\x1b" not in capsys.readouterr().err


@example("ends in \\")
@given(st.text(st.characters(exclude_characters="\t")))
def test_story_is_the_same_without_a_terminal(text: str) -> None:
    """Line for line, whether a terminal composes it or a file only takes it; nothing turns into a picture."""
    terminal, file = Terminal(), io.StringIO()
    for out in (terminal, file):
        Frame(story=_console(out)).tell(text)
    assert terminal.getvalue() == file.getvalue()


def test_object_key_is_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    """`:warning:` is a name like any other."""
    frame = Frame()
    frame.tell("moved a:warning:b.mp4")
    frame.result({}, lambda out: out.print("a:warning:b.mp4"))
    captured = capsys.readouterr()
    assert (captured.err, captured.out) == ("moved a:warning:b.mp4\n", "a:warning:b.mp4\n")


@pytest.mark.parametrize("width", [72, 80, 200])
def test_id_can_be_copied_from_a_list(width: int) -> None:
    """`recordings download` wants all of it, so no table cuts or folds it; all else is there too, if folded."""
    out = io.StringIO()
    entry = CatalogEntry(ID, "s3", type="room-composite", room_id="r" * 24, file_path="s3://b/k")
    _show(Console(file=out, width=width, force_terminal=True, highlight=False), [entry])
    assert ID in out.getvalue()
    assert out.getvalue().count("r") >= 24
    assert "…" not in out.getvalue()


def test_id_without_an_end_leaves_the_other_columns() -> None:
    """One odd id, of any length, hides nothing of the row."""
    out = io.StringIO()
    _show(Console(file=out, width=80, force_terminal=True, highlight=False), [CatalogEntry("i" * 3000, "s3", size=7)])
    assert out.getvalue().count("i") >= 3000
    assert "7 B" in out.getvalue()


LISTING = (
    "import sys; from recordings.cli import frame, text; text.prepare_output(); from rich.console import Console\n"
    "def action():\n"
    "    frame.Frame('--json' in sys.argv).result({'a': 'b'}, lambda out: out.print('ünï ☃'))\n"
    "    sys.exit(1) if '--fault' in sys.argv else None\n"
    "frame.run(action)"
)


def run_listing(redirect: str, *arguments: str, encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    """A command of its own process that prints one line, or JSON, and may have found a fault."""
    line = shlex.join([sys.executable, "-c", LISTING, *arguments])
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    return subprocess.run(["/bin/sh", "-c", f"{line} {redirect}"], env=environment, capture_output=True, check=False)


@pytest.mark.parametrize("arguments", [(), ("--json",), ("--fault",), ("--json", "--fault")])
def test_output_that_cannot_be_written_is_told(arguments: tuple[str, ...]) -> None:
    """A full disk under `> file` is one line and exit code 2, never a traceback and never a success."""
    done = run_listing(">/dev/full", *arguments)
    assert done.returncode == 2
    assert done.stderr.count(b"\n") == 1
    assert b"No space left on device" in done.stderr


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_output_that_is_closed_ends_nothing(arguments: tuple[str, ...]) -> None:
    """`>&-`, as some schedulers start their jobs: what a command does matters more than what it says."""
    done = run_listing(">&-", *arguments)
    assert (done.returncode, done.stderr) == (0, b"")


def test_character_that_the_terminal_lacks_is_spelled_out() -> None:
    """In a locale of old, a name of somebody else's must not end a command half-way."""
    done = run_listing("", encoding="latin-1")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode("latin-1") == "ünï \\u2603\n"


@pytest.mark.parametrize(
    "arguments", [["sync", "--room", ""], ["sync", "--since", " "], ["list", "--room="], ["backfill", "--room="]]
)
def test_empty_option_does_not_mean_everything(arguments: list[str]) -> None:
    """A variable of a script that is not set must not make a command work on all rooms."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "empty" in done.stderr
