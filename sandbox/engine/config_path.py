"""A value inside a structured one, as `config set --path` names it: `outer.inner`, `list[0]`, `a["b.c"]`.

Source: https://www.pulumi.com/docs/iac/concepts/config/#structured-configuration
"""

from __future__ import annotations

import re
from typing import Any, Final

from sandbox.engine.errors import UsageError

_STEP: Final = re.compile(r'\.?(?P<name>[^.\[\]"]+)|\[(?P<index>\d+)\]|\.?\["(?P<quoted>(?:[^"\\]|\\.)*)"\]')


def parse_path(text: str) -> list[str | int]:
    """The steps of a path, a name first. Raises UsageError for what is none."""
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None or (match.start() == 0 and text.startswith(".")):
            raise UsageError(f'{text!r} is no path to a value: legal are outer.inner, list[0] and outer["in.ner"]')
        quoted = match["quoted"]
        steps.append(int(match["index"]) if match["index"] else match["name"] or re.sub(r"\\(.)", r"\1", quoted))
        at = match.end()
    if not steps or not isinstance(steps[0], str):
        raise UsageError(f"{text!r} is no path to a value: it begins with the key, as in key.inner or key[0]")
    return steps


def put(holder: Any, steps: list[str | int], value: Any) -> Any:
    """Give `holder` with `value` at the end of `steps`; what is missing on the way is made. Raises UsageError."""
    if not steps:
        return value
    step, rest = steps[0], steps[1:]
    if isinstance(step, int):
        items: list[Any] = [] if holder is None else holder
        if not isinstance(items, list) or step > len(items):
            raise UsageError(f"there is no list with {step} entries or more at [{step}]")
        there = items[step] if step < len(items) else None
        return [*items[:step], put(there, rest, value), *items[step + 1 :]]
    content: dict[str, Any] = {} if holder is None else holder
    if not isinstance(content, dict) or set(content) == {"secure"}:
        raise UsageError(f"{step!r} cannot be set: what it would lie in is no object")
    return {**content, step: put(content.get(step), rest, value)}


def typed(text: str) -> Any:
    """A value set by a path has a type: true, false and whole numbers are what they look like, all else is text."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if re.fullmatch(r"0|-?[1-9]\d{0,17}", text) else text
