"""How wrong usage of `python -m sandbox` ends: with 1, as that of `pulumi` does, where Typer has 2."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from typer.core import TyperGroup
from typer.exceptions import TyperException


class Group(TyperGroup):
    """Commands that end so."""

    def make_context(self, *args: Any, **more: Any) -> Any:
        """Read what stands before the command."""
        with _as_pulumi():
            return super().make_context(*args, **more)

    def invoke(self, ctx: Any) -> Any:
        """Read the rest, and run the command."""
        with _as_pulumi():
            return super().invoke(ctx)


@contextmanager
def _as_pulumi() -> Iterator[None]:
    try:
        yield
    except TyperException as error:
        error.exit_code = 1
        raise
