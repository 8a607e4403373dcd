"""How `recordings test-recording` shows that it waits: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

from rich.console import Console

from recordings.cli.frame import Frame
from recordings.cli.test_recording import progress
from recordings.hms_models import Recording


def waited(*statuses: str, terminal: bool) -> str:
    """What is shown while a recording goes through these statuses."""
    shown = StringIO()
    frame = Frame(story=Console(file=shown, force_terminal=terminal, width=100))
    with progress(frame, timedelta(minutes=45)) as tick:
        for status in statuses:
            tick(Recording(id="r", room_id="room", status=status))
    return shown.getvalue()


def test_log_gets_one_line_for_each_change_of_status() -> None:
    """Polling every few seconds does not fill a CI log."""
    lines = waited("stopping", "stopping", "post_processing", "completed", terminal=False).splitlines()
    assert lines == ["recording r: stopping", "recording r: post_processing", "recording r: completed"]


def test_terminal_gets_a_bar_with_the_usual_time() -> None:
    """Status, and what is usual."""
    shown = waited("post_processing", terminal=True)
    assert "post_processing" in shown
    assert "of about 20m" in shown
