"""Run the rules over a plan: which are broken, which cannot be judged yet, and which are waived.

Owns what is the same for every rule: a guard that is missing, waivers, the order of findings. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from policy.model import Facts, Finding, NotKnownError, Operation, Planned, Rule, Severity, peek
from policy.rules import CATALOGUE
from recordings.waivers import Waiver

_NEW: Final = frozenset({Operation.CREATE, Operation.REPLACE})

WAIVER_OVER: Final = Rule(
    "waiver-expired",
    Severity.MANDATORY,
    "A waiver holds for a time, so that somebody looks again.",
    "Repair what was waived and remove the waiver from recordings:waivers, or give it a new day and reason.",
    {},
)
WAIVER_UNKNOWN: Final = Rule(
    "waiver-unknown",
    Severity.MANDATORY,
    "A waiver that names no rule lets nothing off: somebody believes otherwise.",
    "Correct the id in recordings:waivers; docs/policy.md lists them.",
    {},
)
RULES: Final = (*CATALOGUE, WAIVER_OVER, WAIVER_UNKNOWN)
"""Every rule that a finding can have, those on waivers among them."""
STANDING: Final = frozenset({WAIVER_OVER.id, WAIVER_UNKNOWN.id})
"""What cannot be waived itself."""


def evaluate(facts: Facts, rules: Sequence[Rule] = CATALOGUE) -> list[Finding]:
    """Every finding on the resources of `facts`: what stops first, then in the catalogue's order, then by URN."""
    found = list(_waivers(facts))
    valid = {waiver.id: waiver for waiver in facts.waivers if not waiver.is_over(facts.now)}
    for rule in rules:
        if rule.applies(facts):
            for resource in facts.resources:
                found += [finding.under(valid.get(rule.id)) for finding in judge(rule, resource, facts)]
    places = {rule.id: place for place, rule in enumerate(RULES)}
    return sorted(
        found,
        key=lambda item: (not item.stops, item.rule.severity is Severity.ADVISORY, places[item.rule.id], item.urn),
    )


def refused(resource: Planned, facts: Facts) -> Iterator[Finding]:
    """What stops one resource by itself, whatever else the plan has: asked before each step of an update."""
    waived = {waiver.id for waiver in facts.waivers if not waiver.is_over(facts.now)}
    for rule in CATALOGUE:
        if rule.id not in waived and rule.applies(facts) and (rule.on_loss or resource.remains):
            yield from (finding for finding in check(rule, resource, facts) if finding.stops)


def judge(rule: Rule, resource: Planned, facts: Facts) -> Iterator[Finding]:
    """What one rule finds in one resource."""
    if rule.on_loss or resource.remains:
        yield from check(rule, resource, facts)
    yield from missing(rule, resource, facts)


def check(rule: Rule, resource: Planned, facts: Facts) -> Iterator[Finding]:
    """What the rule's own check says of the resource."""
    checked = rule.checks.get(resource.kind)
    if checked is None:
        return

    def undecided(why: str) -> Finding:
        return Finding(rule, resource.urn, resource.name, why, decided=False)

    try:
        for message in checked(resource, facts):
            yield Finding(rule, resource.urn, resource.name, message)
    except NotKnownError as error:
        yield undecided(f"{error} is not known before the deployment")
    except (TypeError, ValueError, AttributeError, RecursionError):
        # what a provider would refuse (a number of days that is none): no rule can say what it would do
        yield undecided("its properties have no form that can be judged")


def missing(rule: Rule, resource: Planned, facts: Facts) -> Iterator[Finding]:
    """What a bucket lacks: a guard that goes while the bucket stays, or that nobody declared."""
    for bucket_kind, guard_kind in rule.guards.items():
        guards = _family(resource, facts, guard_kind)
        if resource.kind == guard_kind and resource.operation is Operation.DELETE:
            buckets = _family(resource, facts, bucket_kind)
            stays = not buckets or any(item.remains for item in buckets)
            moved = any(item.remains and _of_one_bucket(item, resource) for item in guards)
            if stays and not moved:
                yield Finding(rule, resource.urn, resource.name, "it would be deleted, and the bucket stays without it")
        is_shown = resource.kind == bucket_kind and resource.remains
        whole = facts.complete or resource.operation in _NEW
        if is_shown and whole and not any(_of_one_bucket(item, resource) for item in guards):
            yield Finding(rule, resource.urn, resource.name, f"the bucket has no {guard_kind.rpartition(':')[2]}")


def _family(resource: Planned, facts: Facts, kind: str) -> list[Planned]:
    return [item for item in facts.resources if item.kind == kind and item.parent == resource.parent]


def _of_one_bucket(guard: Planned, other: Planned) -> bool:
    """Whether a guard is for the bucket `other`, or for that of the guard `other`, as far as the plan shows it."""
    named, names = peek(guard.inputs, "bucket"), {peek(side, "bucket") for side in (other.inputs, other.old_inputs)}
    return named in names or not isinstance(named, str) or not any(isinstance(name, str) for name in names)


def _waivers(facts: Facts) -> Iterator[Finding]:
    known = {rule.id for rule in CATALOGUE}
    for waiver in facts.waivers:
        if waiver.id not in known:
            yield _on_stack(WAIVER_UNKNOWN, waiver, facts, f"no rule is called {waiver.id}")
        elif waiver.is_over(facts.now):
            yield _on_stack(WAIVER_OVER, waiver, facts, f"the waiver of {waiver.id} ended with {waiver.expires}")


def _on_stack(rule: Rule, waiver: Waiver, facts: Facts, message: str) -> Finding:
    root = next((item for item in facts.resources if item.kind == "pulumi:pulumi:Stack"), None)
    return Finding(rule, root.urn if root else "", facts.stack, message)
