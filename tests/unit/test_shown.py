"""Numbers as people read them."""

from __future__ import annotations

import pytest

from recordings.shown import counted


@pytest.mark.parametrize(
    ("number", "things", "said"),
    [(0, "", "0 rooms"), (1, "", "1 room"), (2, "", "2 rooms"), (1234, "", "1,234 rooms"), (2, "halls", "2 halls")],
)
def test_counted_thing_is_in_the_singular_for_one_alone(number: int, things: str, said: str) -> None:
    """One is one; none and many are in the plural."""
    assert counted(number, "room", things) == said
