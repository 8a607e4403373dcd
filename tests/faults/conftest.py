"""The count of each fault, shown at the end of a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple

import pytest

from tests.faults.trials import FULL, NAME, Trials, Tried


@pytest.fixture
def trials(record_property: Callable[[str, object], None]) -> Trials:
    """The trials of the test's fault."""
    return Trials(lambda tried: record_property(NAME, astuple(tried)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A table: fault, trials of how many, violations."""
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    rows = [
        (Tried(*value), report.failed)
        for report in reports
        for name, value in getattr(report, "user_properties", ())
        if name == NAME and report.when == "call"
    ]
    if not rows:
        return
    terminalreporter.section(f"faults, seed {rows[0][0].seed}")
    width = max(len(tried.fault) for tried, _ in rows)
    for tried, failed in sorted(rows, key=lambda row: row[0].fault):
        violations = "1 violation" if failed else "no violation"
        terminalreporter.line(f"{tried.fault:<{width}}  {tried.held:>4} of {tried.wanted:>4}  {violations}")
    count, bad = sum(tried.held for tried, _ in rows), sum(failed for _, failed in rows)
    share = "all trials" if FULL else "a tenth of the trials; `make faults` runs all"
    terminalreporter.line(f"{count} trials of {len(rows)} faults held ({share}); violations: {bad}")
