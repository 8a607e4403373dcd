"""The two values that a plain Python tree cannot hold: something unknown until it is created, and a secret.

Property values in the engine and the providers are None, bool, float or int, str, list, dict, UNKNOWN, or
`Secret(value)`. Providers are called with secrets unwrapped; the engine wraps them again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final


class Unknown:
    """Type of `UNKNOWN`: a value that only the creation of its resource gives (preview)."""

    _only: Unknown | None = None

    def __new__(cls) -> Unknown:
        """Give the one instance."""
        if cls._only is None:
            cls._only = super().__new__(cls)
        return cls._only

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()

Value = Any
"""A property value; recursive, so spelt out in the module's docstring rather than in the type."""

Properties = dict[str, Value]


@dataclass(frozen=True)
class Secret:
    """A value that must never be shown; its repr does not hold it."""

    value: Value = field(repr=False)
