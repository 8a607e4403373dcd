"""What a preview says that `up` would do, and whether that leaves everything in its place.

Owns reading the object that `pulumi preview --json` prints: https://www.pulumi.com/docs/iac/cli/commands/pulumi_preview/.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from recordings.errors import RemoteError

HARMLESS: Final = frozenset({"import", "create", "update", "same", "read", "refresh"})
"""Operations that take nothing away; any other, known or not, is refused."""


@dataclass(frozen=True)
class PlannedStep:
    """One operation on one resource; `properties` are those that change."""

    op: str
    resource: str
    properties: Sequence[str] = ()

    def __str__(self) -> str:
        return f"{self.op:<8} {self.resource}" + (f" ({', '.join(self.properties)})" if self.properties else "")


@dataclass(frozen=True)
class Planned:
    """All steps of a preview, and its errors."""

    steps: Sequence[PlannedStep]
    errors: Sequence[str]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read it. Raises RemoteError; its message does not quote the text."""
        try:
            whole = json.loads(text)
            steps = [_step(step) for step in whole.get("steps") or ()]
            messages = whole.get("diagnostics") or ()
            errors = [str(each["message"]).strip() for each in messages if each.get("severity") == "error"]
        except (ValueError, KeyError, AttributeError, TypeError):
            raise RemoteError("what the preview printed is not the object that `preview --json` prints") from None
        return cls(steps, errors)

    def harmful(self) -> list[PlannedStep]:
        """The steps that delete or replace something."""
        return [step for step in self.steps if step.op not in HARMLESS]


def _step(step: dict[str, Any]) -> PlannedStep:
    chain, name = step["urn"].split("::")[2:4]
    return PlannedStep(step["op"], f"{chain.rpartition('$')[2]} {name}", tuple(step.get("diffReasons") or ()))
