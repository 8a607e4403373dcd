"""How often a fault is tried, and with which chance: each trial has a seed of its own that its failure names.

`make faults` tries each as often as the list says, with another chance each time; FAULTS_SEED repeats a run. Any other
run of pytest tries a tenth of that with one and the same, so that what makes it fail is a change.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

FULL: Final = os.environ.get("FAULTS") == "all"
"""Whether every trial is asked for."""
_CHANCE: Final = os.environ.get("PYTEST_XDIST_TESTRUNUID") or str(random.randrange(10**9))
SEED: Final = os.environ.get("FAULTS_SEED") or (_CHANCE if FULL else "suite")
"""The same in all workers of a run."""
NAME: Final = "fault"
"""Under which a trial's count is kept in the report of its test."""


@dataclass(frozen=True)
class Tried:
    """What a run did of one fault: trials asked for by the list, trials that held, and the seed of its worker."""

    fault: str
    wanted: int
    held: int
    seed: str = SEED


@dataclass
class Trials:
    """Gives the chance of each trial of one fault; `keep` takes the count at the end, whatever that is."""

    keep: Callable[[Tried], None]
    _entered: bool = field(default=False)

    def of(self, fault: str, times: int) -> Iterator[random.Random]:
        """Chance for each trial: `times`, or a tenth. The test that iterates fails in the trial that it names."""
        assert not self._entered, "a test tries one fault"
        self._entered = True
        held = 0
        try:
            for number in range(times if FULL else max(1, times // 10)):
                print(f"FAULTS_SEED={SEED}: {fault}, trial {number}")
                yield random.Random(f"{SEED}/{fault}/{number}")
                held += 1
        finally:
            self.keep(Tried(fault, times, held))
