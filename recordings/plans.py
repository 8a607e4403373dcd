"""Use cases as a list of steps: a dry run prints the very list that an apply runs.

Owns the form of a plan and the order of its running. Does not know what a step does: the use cases
(`recordings.registration`, …) read the real state, then build the plan from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Step:
    """One change: `title` says it in the imperative, `details` are lines to show under it (redacted), `run` does it."""

    title: str
    run: Callable[[], None]
    details: Sequence[str] = ()


@dataclass(frozen=True)
class Plan:
    """Steps in their order; an empty plan means that everything already is as wanted."""

    steps: Sequence[Step]

    def apply(self, *, before: Callable[[Step], None] = lambda _: None) -> None:
        """Run the steps in order, calling `before` with each; stops at the first that raises."""
        for step in self.steps:
            before(step)
            step.run()
