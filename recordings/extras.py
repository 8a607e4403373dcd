"""Optional parts of the library: what to install when one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from recordings.errors import ConfigurationError


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """For imports that the extra `extra` brings. Raises ConfigurationError that says how to install it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("recordings", ""):
            raise
        raise ConfigurationError(
            f"this needs {error.name}, which is not installed: pip install '.[{extra}]' in a clone"
        ) from None
