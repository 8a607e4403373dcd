"""What others wrote is shown whole on a terminal, and never obeyed; an empty option is no wish for everything."""

from __future__ import annotations

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from recordings.catalog_entries import CatalogEntry
from recordings.cli import app
from recordings.cli.frame import Frame
from recordings.cli.list import _show
from recordings.cli.text import escape

ID = "6b0363cca98d0e038910f5ec"


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


@pytest.mark.parametrize(
    "arguments", [["sync", "--room", ""], ["sync", "--since", " "], ["list", "--room="], ["backfill", "--room="]]
)
def test_empty_option_does_not_mean_everything(arguments: list[str]) -> None:
    """A variable of a script that is not set must not make a command work on all rooms."""
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 2
    assert "empty" in done.stderr
