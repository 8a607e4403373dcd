"""The guard rules as a CrossGuard pack: what the real CLI can ask of them, and the CLI itself where there is one."""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from policy import crossguard
from policy.plans import UNKNOWN
from tests.components.misconfigurations import PLANTS
from tests.components.planning import PROD_GCS, STACKS, Change, Preview, deployed

ROOT = Path(__file__).parents[2]
POSSIBLE = [plant for plant in PLANTS if plant[0] in {rule.id for rule in crossguard.RULES}]


class Wrapped(Mapping[str, Any]):
    """As the policy SDK wraps properties: to look at an unknown one raises."""

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Any:
        if key == "__target":
            return self._values
        if self._values[key] == UNKNOWN:
            raise AssertionError("the pack must not look at unknown values through the wrapper")
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def wrapped(value: Any) -> Any:
    return Wrapped({key: wrapped(item) for key, item in value.items()}) if isinstance(value, dict) else value


def resource(step: dict[str, Any]) -> SimpleNamespace:
    state = step["newState"]
    sources = {
        key: [SimpleNamespace(urn=urn) for urn in urns] for key, urns in state.get("propertyDependencies", {}).items()
    }
    return SimpleNamespace(
        resource_type=state["urn"].split("::")[2].rsplit("$", 1)[-1],
        urn=state["urn"],
        name=state["urn"].rsplit("::", 1)[-1],
        props=wrapped(state.get("inputs", {})),
        opts=SimpleNamespace(protect=state.get("protect", False), parent=state.get("parent")),
        property_dependencies=sources,
    )


class Sdk(ModuleType):
    """Stands in for the policy SDK, which asks for another protobuf than this project: keeps what is registered."""

    def __init__(self) -> None:
        super().__init__("pulumi_policy")
        self.policies: list[Any] = []
        self.ResourceValidationPolicy = lambda **given: SimpleNamespace(of="resource", **given)
        self.StackValidationPolicy = lambda **given: SimpleNamespace(of="stack", **given)
        self.EnforcementLevel = type("Level", (str,), {"MANDATORY": "mandatory"})

    def PolicyPack(self, name: str, policies: list[Any]) -> None:  # noqa: N802  # the SDK's
        self.policies = policies


@pytest.fixture(scope="module")
def sdk() -> Sdk:
    made = Sdk()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pulumi_policy", made)
        patch.setattr(sys, "path", [*sys.path])
        runpy.run_path(str(ROOT / "policy" / "pack"))
    return made


def reported(sdk: Sdk, plan: Preview, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the policies that report something; each message names no secret and says what to do."""
    monkeypatch.setenv("PULUMI_STACK", plan.facts().stack)
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps(plan.config))
    resources = [resource(step) for step in plan.steps if "newState" in step]
    found: set[str] = set()
    for policy in sdk.policies:
        said: list[str] = []
        arguments = resources if policy.of == "resource" else [SimpleNamespace(resources=resources)]
        for args in arguments:
            policy.validate(args, lambda message, urn=None, said=said: said.append(message))
        if said:
            found.add(policy.name)
    return found


@pytest.mark.parametrize("stack", [*STACKS, PROD_GCS])
def test_shipped_stacks_pass_the_pack(stack: str, sdk: Sdk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pack has nothing to say of what is shipped."""
    assert reported(sdk, deployed(stack), monkeypatch) == set()


@pytest.mark.parametrize(
    ("rule", "stack", "change"),
    POSSIBLE,
    ids=[f"{number}-{rule}-{stack}" for number, (rule, stack, _) in enumerate(POSSIBLE)],
)
def test_pack_catches_what_needs_no_former_state(
    rule: str, stack: str, change: Change, sdk: Sdk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each planted misconfiguration is reported by its rule, or by the rule on what is missing, and no other."""
    plan = deployed(stack)
    change(plan)
    found = reported(sdk, plan, monkeypatch)
    assert found in ({rule}, {f"{rule}-missing"})


def test_pack_has_every_rule_that_needs_no_former_state(sdk: Sdk) -> None:
    """Mandatory stays mandatory, and what compares with the past is left to the report."""
    levels = {policy.name: policy.enforcement_level for policy in sdk.policies}
    assert {rule.id: rule.severity.value for rule in crossguard.RULES}.items() <= levels.items()
    assert {"public-access-block-missing", "waivers"} <= set(levels)
    assert not {"bucket-loss", "expires-sooner", "key-age"} & set(levels)


def test_pack_leaves_unknown_values_alone(sdk: Sdk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the preview cannot know is no violation; it is judged when it is known, before the resource is made."""
    plan = deployed("prod")
    plan.set("BucketPublicAccessBlock", "public-access", "blockPublicPolicy", UNKNOWN)
    plan.set("BucketPolicy", "policy", "policy", UNKNOWN)
    assert reported(sdk, plan, monkeypatch) == set()


def test_pack_obeys_waivers_and_refuses_old_ones(sdk: Sdk, monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere: let off until the day, then both are reported."""
    plan = deployed("prod")
    plan.set("BucketCorsConfiguration", "cors", "corsRules.0.allowedOrigins.0", "*")
    waiver = {"id": "cors-any-origin", "reason": "agreed with security", "expires": "2999-01-01"}
    plan.config["recordings:waivers"] = json.dumps([waiver])
    assert reported(sdk, plan, monkeypatch) == set()
    plan.config["recordings:waivers"] = json.dumps([waiver | {"expires": "2020-01-01"}])
    assert reported(sdk, plan, monkeypatch) == {"cors-any-origin", "waivers"}
