"""How `--help` looks: what an option takes is a word in capitals, nothing for a switch; paragraphs fill the lines.

Owns that alone; texts are with the commands. Typer's own way is the type (`<str>`, `<bool>`), which says less, and
the line ends of the source.
"""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand, TyperGroup


class Command(TyperCommand):
    """A command with such help."""

    def __init__(self, *args: Any, help: str | None = None, **more: Any) -> None:  # noqa: A002 - Typer's name
        super().__init__(*args, help=_filled(help), **more)

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, `--help` with them."""
        return _worded(super().get_params(ctx))


class Group(TyperGroup):
    """A group of commands with such help."""

    def __init__(self, *args: Any, help: str | None = None, **more: Any) -> None:  # noqa: A002 - Typer's name
        super().__init__(*args, help=_filled(help), **more)

    def get_params(self, ctx: Any) -> list[Any]:
        """Its parameters, `--help` with them."""
        return _worded(super().get_params(ctx))


def _filled(text: str | None) -> str | None:
    """Each paragraph as one line, which is broken where the terminal ends."""
    return text and "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _worded(params: list[Any]) -> list[Any]:
    for param in params:
        if isinstance(param, TyperArgument):
            param.display_type_rich = lambda ctx: ""  # type: ignore[method-assign]  # its name stands there already
        elif param.metavar is None:
            param.metavar = "" if getattr(param, "is_flag", False) else param.name.upper()
    return params
