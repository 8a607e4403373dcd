"""A preview as `pulumi preview --json`, or the embedded engine's, prints it, read and checked.

Owns refusing what is no preview. Source: https://www.pulumi.com/docs/iac/cli/commands/pulumi_preview/
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from recordings.errors import UsageError

LONGEST: Final = 64 * 2**20
"""Characters; the preview of a stack of thousands of resources has a few million."""
_NO_PREVIEW: Final = "give what `pulumi preview --json` prints"
_STATES: Final = ("oldState", "newState")


@dataclass(frozen=True)
class Message:
    """What the engine or a provider said: severity info, warning or error."""

    severity: str
    text: str


@dataclass(frozen=True)
class Document:
    """The steps of a preview with the stack's configuration, in which secrets are masked."""

    steps: Sequence[Mapping[str, Any]] = field(repr=False)
    config: Mapping[str, str] = field(repr=False)
    messages: Sequence[Message] = field(repr=False)
    unchanged: int

    @property
    def errors(self) -> list[str]:
        """Why the preview did not come to its end; none where it did."""
        return [message.text for message in self.messages if message.severity == "error"]


def read(text: str) -> Document:
    """Read the object. Raises UsageError, which quotes nothing of it: it may hold secrets."""
    if len(text) > LONGEST:
        raise UsageError(f"the preview has more than {LONGEST} characters")
    if not text.strip():
        raise UsageError(f"the input is empty: {_NO_PREVIEW}, and see whether it failed")
    try:
        raw = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError(f"the input is not one JSON object: {_NO_PREVIEW}") from None
    if not isinstance(raw, Mapping) or not ({"steps", "changeSummary", "config"} & raw.keys()):
        raise UsageError(f"the input is JSON, but no preview (no steps): {_NO_PREVIEW}")
    return Document(_steps(raw.get("steps")), _config(raw.get("config")), _messages(raw), _unchanged(raw))


def _steps(raw: Any) -> list[Mapping[str, Any]]:
    if not isinstance(raw, list | None):
        raise UsageError(f"`steps` is no list: {_NO_PREVIEW}")
    for number, step in enumerate(raw or []):
        if not _is_step(step):
            raise UsageError(f"step {number} of the preview has a form that is none: {_NO_PREVIEW}")
    return list(raw or [])


def _is_step(step: Any) -> bool:
    if not isinstance(step, Mapping) or not isinstance(step.get("op"), str):
        return False
    urn = step.get("urn")
    named = isinstance(urn, str) and len(urn.split("::", 3)) == 4
    return named and all(_is_state(step.get(key)) for key in _STATES) and _has_reasons(step)


def _is_state(state: Any) -> bool:
    if state is None:
        return True
    maps = ("inputs", "outputs", "propertyDependencies")
    return (
        isinstance(state, Mapping)
        and all(isinstance(state.get(key), Mapping | None) for key in maps)
        and _is_texts(state.get("additionalSecretOutputs"))
        and all(_is_texts(urns) for urns in (state.get("propertyDependencies") or {}).values())
    )


def _has_reasons(step: Mapping[str, Any]) -> bool:
    listed = all(_is_texts(step.get(key)) for key in ("diffReasons", "replaceReasons"))
    return listed and isinstance(step.get("detailedDiff"), Mapping | None)


def _is_texts(value: Any) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _config(raw: Any) -> Mapping[str, str]:
    """Configuration as text; a value of another form is left out: rules then know nothing of it."""
    found = raw if isinstance(raw, Mapping) else {}
    return {key: value for key, value in found.items() if isinstance(key, str) and isinstance(value, str)}


def _messages(raw: Mapping[str, Any]) -> list[Message]:
    found = raw.get("diagnostics")
    return [
        Message(str(item.get("severity", "info")), " ".join(str(item.get("message", "")).split()))
        for item in (found if isinstance(found, list) else [])
        if isinstance(item, Mapping)
    ]


def _unchanged(raw: Mapping[str, Any]) -> int:
    summary = raw.get("changeSummary")
    number = summary.get("same", 0) if isinstance(summary, Mapping) else 0
    return number if isinstance(number, int) and not isinstance(number, bool) and number >= 0 else 0
