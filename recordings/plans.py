"""Use cases as a list of steps: a dry run prints the very list that an apply runs.

Owns the form of a plan and the order of its running. Does not know what a step does: the use cases
(`recordings.registration`, …) read the real state, then build the plan from it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recordings.errors import RecordingsError


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
        """Run the steps in order, calling `before` with each; stops at the first that raises.

        A RecordingsError gets a note of what was done and what was not: running the command again does the rest.
        """
        for number, step in enumerate(self.steps):
            before(step)
            try:
                step.run()
            except RecordingsError as error:
                error.add_note(self._stopped_at(number))
                raise

    def _stopped_at(self, number: int) -> str:
        done, rest = self.steps[:number], self.steps[number:]
        return f"done: {_titles(done)}\nnot done: {_titles(rest)}\nRun the command again to do the rest"


def _titles(steps: Sequence[Step]) -> str:
    return "; ".join(step.title for step in steps) or "nothing"
