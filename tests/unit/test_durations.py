"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.durations import parse_duration, show_duration
from recordings.errors import UsageError


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("15m", 900), ("1h", 3600), ("7d", 604800), ("1h30m", 5400), (" 2d1s ", 172801)]
)
def test_duration_is_read(text: str, seconds: int) -> None:
    """A number and a unit, one or several from large to small."""
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "1", "h", "1w", "-1h", "1.5h", "1m1h", "1h 1m", "999999999d999999999d", "٣h"])
def test_duration_of_another_form_is_an_error(text: str) -> None:
    """The message shows the legal form."""
    with pytest.raises(UsageError, match="30s, 15m, 1h, 7d"):
        parse_duration(text)


def test_duration_too_long_is_an_error() -> None:
    """No OverflowError comes out."""
    with pytest.raises(UsageError, match="too long"):
        parse_duration("999999999d23h59m61s")
    with pytest.raises(UsageError):
        parse_duration("999999999d999999999h")


@given(st.integers(1, 10**9))
def test_duration_shown_is_read_back(seconds: int) -> None:
    """show and parse are each other's inverse for whole seconds."""
    assert parse_duration(show_duration(timedelta(seconds=seconds))) == timedelta(seconds=seconds)


def test_no_duration_is_shown_as_zero() -> None:
    """Never an empty string."""
    assert show_duration(timedelta(0)) == "0s"
