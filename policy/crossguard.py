"""The guard rules as policies of CrossGuard, Pulumi's own policy engine, for the real CLI.

Owns translating what CrossGuard hands over, and which rules it can run: it gives no former state, so the rules that
compare with what there was are left to the report on the preview. It gives values in clear whether they are marked as
secrets or not, so the rule on that is left out too. Imports no pulumi: `policy/pack` does, with what is made here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from policy.evaluation import STANDING, check, evaluate, missing
from policy.model import Facts, Finding, Operation, Planned, Rule
from policy.plans import UNKNOWN, facts_of, kind_of, values
from policy.rules import CATALOGUE

RULES: Final = tuple(rule for rule in CATALOGUE if not rule.needs_old and rule.id != "secret-in-clear")
"""What CrossGuard can run."""
_SPECIAL: Final = "__target"
"""Under this key the policy SDK's wrappers give what they wrap, unknown values included."""

Report = Callable[[str, str | None], None]


@dataclass(frozen=True)
class Surroundings:
    """What a pack knows of the run: the stack's name, its configuration and the time (UTC)."""

    stack: str
    config: Mapping[str, str]
    now: datetime


def of_resource(rule: Rule, resource: Any, around: Surroundings, report: Report) -> None:
    """Judge one resource before it is created or changed; `resource` is CrossGuard's ResourceValidationArgs."""
    planned = _planned(resource)
    facts = _facts([planned], around)
    if rule.applies(facts):
        _tell(check(rule, planned, facts), facts, report)


def of_stack(rule: Rule, resources: Sequence[Any], around: Surroundings, report: Report) -> None:
    """Find buckets without the resource that the rule asks for; `resources` are all of the stack."""
    planned = [_planned(resource) for resource in resources]
    facts = _facts(planned, around)
    if rule.applies(facts):
        for resource in planned:
            _tell(missing(rule, resource, facts), facts, report)


def of_waivers(resources: Sequence[Any], around: Surroundings, report: Report) -> None:
    """Refuse waivers that have run out or name no rule."""
    facts = _facts([_planned(resource) for resource in resources], around)
    for finding in evaluate(facts, rules=()):
        if finding.rule.id in STANDING:
            report(text(finding), None)


def _tell(findings: Iterator[Finding], facts: Facts, report: Report) -> None:
    waived = {waiver.id for waiver in facts.waivers if not waiver.is_over(facts.now)}
    for finding in findings:
        if finding.decided and finding.rule.id not in waived:
            report(text(finding), finding.urn)


def text(finding: Finding) -> str:
    """A finding as CrossGuard shows it."""
    return f"{finding.message}. {finding.rule.reason} {finding.rule.remedy}"


def _facts(resources: Sequence[Planned], around: Surroundings) -> Facts:
    return facts_of(resources, around.config, around.now, complete=True, stack=around.stack)


def _planned(resource: Any) -> Planned:
    """From ResourceValidationArgs or PolicyResource."""
    options = resource.opts
    dependencies = getattr(resource, "property_dependencies", None) or {}
    parent = getattr(options, "parent", None) or getattr(getattr(resource, "parent", None), "urn", None) or ""
    return Planned(
        urn=resource.urn,
        kind=kind_of(resource.resource_type),
        name=resource.name,
        operation=Operation.SAME,
        inputs=values(_plain(resource.props)),
        parent=parent,
        protect=bool(options.protect),
        sources={key: [item.urn for item in found] for key, found in dependencies.items()},
    )


def _plain(value: Any) -> Any:
    """Without the SDK's wrappers, which raise where a value is not known yet."""
    if isinstance(value, Mapping):
        inner = _unwrapped(value)
        return {str(key): _plain(inner[key]) for key in inner}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in _unwrapped(value)]
    return value if isinstance(value, str | int | float | bool | None) else UNKNOWN


def _unwrapped(value: Any) -> Any:
    return value if isinstance(value, dict | list) else value[_SPECIAL]


def configuration(text_: str | None) -> dict[str, str]:
    """The stack's configuration as the CLI puts it into the environment of a pack (PULUMI_CONFIG), JSON."""
    try:
        loaded = json.loads(text_ or "{}")
    except ValueError:
        return {}
    return {key: value for key, value in loaded.items() if isinstance(value, str)} if isinstance(loaded, dict) else {}
