"""Property paths such as `tags.env`, `rules[0].id`, `tags["a.b"]` and `rules[*].id`.

Owns parsing them, and the two things that resource options need: keep a property as it was (ignore_changes) and tell
whether one path lies under another (replace_on_changes).
Source: https://www.pulumi.com/docs/iac/concepts/resources/options/ignorechanges/
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from sandbox.engine.errors import UsageError
from sandbox.values import Value

_PART: Final = re.compile(r"""\.?([^.\[\]"]+)|\[(\d+)\]|\[(\*)\]|\["((?:[^"\\]|\\.)*)"\]""")

Path = tuple[str | int, ...]


def parse(text: str) -> Path:
    """Split a path. Raises UsageError if it is malformed."""
    parts: list[str | int] = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            raise UsageError(f'property path {text!r} cannot be read at {text[position:]!r}; try a.b, a[0], a["b.c"]')
        plain, index, star, quoted = match.groups()
        parts.append(int(index) if index else star or plain or quoted.replace('\\"', '"'))
        position = match.end()
    return tuple(parts)


def contains(outer: Path, inner: Path) -> bool:
    """Whether `inner` is `outer` or lies under it; `*` stands for any part."""
    return len(outer) <= len(inner) and all(a in ("*", b) for a, b in zip(outer, inner, strict=False))


def keep(path: Sequence[str | int], old: Value, new: Value) -> None:
    """Set the property at `path` in `new` to what `old` has there, or remove it if `old` has none."""
    part, rest = path[0], path[1:]
    if part == "*":
        for each in _parts(old) | _parts(new):
            keep((each, *rest), old, new)
        return
    if not _has(new, part) and not isinstance(new, dict):
        return
    if rest:
        if _has(old, part) and _has(new, part):
            keep(rest, old[part], new[part])
    elif _has(old, part):
        new[part] = old[part]
    elif isinstance(new, dict):
        new.pop(part, None)


def _has(value: Value, part: str | int) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def _parts(value: Value) -> set[str | int]:
    if isinstance(value, dict):
        return set(value)
    return set(range(len(value))) if isinstance(value, list) else set()
