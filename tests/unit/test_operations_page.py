"""docs/operations.md, the sections on doctor and watch: rules, metrics and tests that they name are real."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from recordings.watch import Report, State, Watched, Window
from recordings.watch_metrics import render
from tests.unit.hms_fake import stack_outputs
from tests.unit.test_watch import NOW

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
SECTION = TEXT.partition("\n## Watch\n")[2].partition("\n## ")[0]


def families() -> set[str]:
    """Every family that a watch can write."""
    since = NOW - timedelta(days=1)
    report = Report(NOW, since, [Watched("a", State.OK, "", delivery_seconds=1.0)])
    text = render(report, Window(NOW, since), stack_outputs())
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


def test_metrics_that_are_named_are_written() -> None:
    """And the other way round: none is a secret of the code."""
    assert set(re.findall(r"recordings_watch_\w+", SECTION)) == families()


def test_alarm_rules_have_prometheus_form() -> None:
    """Groups of rules, each with a name, an expression over our families, and a summary."""
    block: Any = yaml.safe_load(re.search(r"```yaml\n(.*?)```", SECTION, re.DOTALL)[1])  # type: ignore[index]
    rules = [rule for group in block["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) >= 4
    for rule in rules:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert set(re.findall(r"recordings_watch_\w+", rule["expr"])) <= families()
        assert rule["annotations"]["summary"]


@pytest.mark.parametrize("state", State)
def test_states_that_rules_ask_for_exist(state: State) -> None:
    """As labels spell them."""
    named = {name for names in re.findall(r'state=~?"([^"]+)"', SECTION) for name in names.split("|")}
    assert named <= {one.value.replace(" ", "_") for one in State}
    assert f"| {state.value} |" in SECTION


@pytest.mark.parametrize("named", sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(test_\w+))?`", TEXT))))
def test_test_that_shows_a_fault_exists(named: tuple[str, str]) -> None:
    """In the file that the table names."""
    file, test = named
    assert f"def {test}" in (ROOT / file).read_text(encoding="utf-8")
