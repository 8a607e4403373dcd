"""The CrossGuard pack: `pulumi preview --policy-pack policy/pack`, for `up` as well, or `pulumi policy publish`.

Owns registering the policies; what they judge is in `policy.crossguard`. The CLI runs this file in a virtual
environment of the pack's own (`requirements.txt`), and shows nothing of the configuration that it hands over.
"""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the CLI starts it in its own folder

from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy, StackValidationPolicy

from policy import crossguard
from policy.model import Rule


def around() -> crossguard.Surroundings:
    """Stack and configuration, which the CLI puts into the environment."""
    config = crossguard.configuration(os.environ.get("PULUMI_CONFIG"))
    return crossguard.Surroundings(os.environ.get("PULUMI_STACK", ""), config, datetime.now(UTC))


def on_resource(rule: Rule, args: Any, report: crossguard.Report) -> None:
    """Judge one resource."""
    crossguard.of_resource(rule, args, around(), report)


def on_stack(rule: Rule, args: Any, report: crossguard.Report) -> None:
    """Look for what is missing."""
    crossguard.of_stack(rule, args.resources, around(), report)


def on_waivers(args: Any, report: crossguard.Report) -> None:
    """Look at the waivers."""
    crossguard.of_waivers(args.resources, around(), report)


def policies() -> Sequence[Any]:
    """A policy for each rule, one more for each guard that can be missing, and one for the waivers."""
    found = []
    for rule in crossguard.RULES:
        common = {"description": rule.reason, "enforcement_level": EnforcementLevel(rule.severity.value)}
        found.append(
            ResourceValidationPolicy(
                name=rule.id, validate=partial(on_resource, rule), remediation_steps=rule.remedy, **common
            )
        )
        if rule.guards:
            name = f"{rule.id}-missing"
            found.append(StackValidationPolicy(name=name, validate=partial(on_stack, rule), **common))
    described = "A waiver holds until its last day, and names a rule."
    waivers = {"description": described, "enforcement_level": EnforcementLevel.MANDATORY, "validate": on_waivers}
    return [*found, StackValidationPolicy(name="waivers", **waivers)]


PolicyPack(name="recordings-guard-rules", policies=policies())
