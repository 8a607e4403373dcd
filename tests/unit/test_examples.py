"""The suite's property tests try the same examples in each run, in whatever order tests come."""

from __future__ import annotations

import importlib
import secrets
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import EXAMPLES


@pytest.mark.skipif(EXAMPLES != "suite", reason="other examples are asked for")
def test_examples_do_not_depend_on_what_was_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is imported meanwhile has numbers of its own, which Hypothesis would try."""

    def tried() -> list[int]:
        numbers: list[int] = []

        @settings(max_examples=500)
        @given(st.integers())
        def note(number: int) -> None:
            numbers.append(number)

        note()
        return numbers

    before = tried()
    name = f"numbers_{secrets.token_hex(4)}"
    (tmp_path / f"{name}.py").write_text(f"NUMBERS = {[secrets.randbits(60) for _ in range(900)]}\n")
    monkeypatch.syspath_prepend(tmp_path)
    importlib.import_module(name)
    assert tried() == before
