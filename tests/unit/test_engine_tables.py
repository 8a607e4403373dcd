"""Plain tables are those of `pulumi` v3.260."""

from __future__ import annotations

import pytest

from sandbox.engine.tables import ago, table


def test_columns_fit_their_widest_line() -> None:
    """Two blanks between, none at the end, and a cell of two lines takes two."""
    rows = [("OUTPUT", "VALUE"), ("a", "1\n2"), ("longer-one", "x")]
    assert table(rows, "    ") == [
        "    OUTPUT      VALUE",
        "    a           1",
        "                2",
        "    longer-one  x",
    ]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.9, "now"),
        (1, "1 second ago"),
        (59, "59 seconds ago"),
        (60, "1 minute ago"),
        (7199, "1 hour ago"),
        (86400 * 6, "6 days ago"),
        (86400 * 8, "1 week ago"),
        (86400 * 45, "1 month ago"),
        (86400 * 900, "2 years ago"),
    ],
)
def test_time_is_told_in_its_largest_unit(seconds: float, said: str) -> None:
    """Rounded down."""
    assert ago(seconds) == said
