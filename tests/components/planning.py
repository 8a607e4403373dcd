"""A preview of a shipped stack as `pulumi preview --json` prints it, and single changes to it.

The resources are those that the program declares under mocks; a test plants its one fault in the document.
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from policy.evaluation import evaluate
from policy.model import Facts, Finding
from policy.plans import gather
from tests.components.deploying import run_main, stack_config

NOW = datetime(2027, 1, 15, 12, tzinfo=UTC)
STACKS = ("dev", "dev-gcs", "staging", "prod")
PROD_GCS = "prod-gcs"
"""Production on Google, as the comment in Pulumi.dev-gcs.yaml describes it."""
Change = Callable[["Preview"], None]


@dataclass
class Preview:
    """The document, with ways to change one thing of one resource. Resources are named by type and name in short."""

    config: dict[str, str]
    steps: list[dict[str, Any]] = field(default_factory=list)
    now: datetime = NOW

    @property
    def document(self) -> dict[str, Any]:
        """What the CLI would print."""
        return {"config": self.config, "steps": self.steps, "diagnostics": [], "duration": 1, "changeSummary": {}}

    def facts(self) -> Facts:
        return gather(self.steps, self.config, self.now)

    def findings(self) -> list[Finding]:
        return evaluate(self.facts())

    def step(self, type_: str, name: str = "") -> dict[str, Any]:
        found = [s for s in self.steps if s["urn"].endswith(f":{type_}::recordings{name and '-' + name}")]
        assert len(found) == 1, (type_, name, [s["urn"] for s in self.steps])
        return found[0]

    def set(self, type_: str, name: str, path: str, value: Any) -> None:
        """Give an input of the new state another value; None removes it."""
        step = self.step(type_, name)
        if step["op"] == "same":
            step["op"] = "update"
        place: Any = step["newState"]["inputs"]
        *way, last = [int(part) if part.isdigit() else part for part in path.split(".")]
        for part in way:
            place = place[part]
        if value is None:
            del place[last]
        else:
            place[last] = value

    def policy(self, type_: str, name: str, change: Callable[[list[dict[str, Any]]], Any]) -> None:
        """Change the statements of a policy."""
        document = json.loads(self.step(type_, name)["newState"]["inputs"]["policy"])
        change(document["Statement"])
        self.set(type_, name, "policy", json.dumps(document))

    def delete(self, type_: str, name: str) -> None:
        step = self.step(type_, name)
        step["op"] = "delete"
        del step["newState"]

    def replace(self, type_: str, name: str, path: str, value: Any) -> None:
        self.set(type_, name, path, value)
        self.step(type_, name).update(op="replace", replaceReasons=[path])

    def omit(self, type_: str, name: str) -> None:
        """As if the program had never declared it."""
        self.steps.remove(self.step(type_, name))

    def add(self, type_: str, name: str, **inputs: Any) -> None:
        """Declare something beside the component's own."""
        parent = next(s for s in self.steps if s["urn"].endswith("RecordingStorage::recordings"))["urn"]
        urn = f"{parent.rpartition('::')[0]}${type_}::recordings-{name}"
        state = {"urn": urn, "custom": True, "type": type_, "inputs": inputs, "parent": parent}
        self.steps.append({"op": "create", "urn": urn, "newState": state})

    def aged(self, name: str, days: int, type_: str = "AccessKey") -> None:
        """Say that a key was made so many days ago."""
        self.step(type_, name)["oldState"]["outputs"]["createDate"] = (self.now - timedelta(days=days)).isoformat()


def fresh(stack: str) -> Preview:
    """The first preview of a stack: everything is created."""
    found = deployed(stack)
    for step in found.steps:
        step["op"] = "create"
        del step["oldState"]
    return found


def deployed(stack: str) -> Preview:
    """A preview of a stack that is deployed as its configuration says: nothing changes."""
    return copy.deepcopy(_deployed(stack))


def configuration(stack: str) -> dict[str, str]:
    if stack != PROD_GCS:
        return stack_config(stack)
    careful = {key: value for key, value in stack_config("prod").items() if not key.startswith("aws:")}
    own = {"recordings:provider": "gcs", "gcp:region": "europe-west1", "recordings:storageClasses": "[]"}
    return {**careful, **own, "recordings:expectedRegions": "[]", "recordings:environment": "prod"}


@functools.cache
def _deployed(stack: str) -> Preview:
    config = configuration(stack)
    declared = run_main(config, stack=stack)
    root = f"urn:pulumi:{stack}::recordings::pulumi:pulumi:Stack::recordings-{stack}"
    state: dict[str, Any] = {"urn": root, "custom": False, "type": "pulumi:pulumi:Stack"}
    outputs = {key: value for key, value in declared.outputs.items() if key not in declared.secrets}
    state["outputs"] = {**outputs, **dict.fromkeys(declared.secrets, "[secret]")}
    steps = [{"op": "same", "urn": root, "oldState": state, "newState": copy.deepcopy(state)}]
    for item in declared.resources.values():
        state = {
            "urn": item.urn,
            "custom": not item.type.startswith("recordings:"),
            "id": item.name,
            "type": item.type,
            "inputs": item.inputs,
            "outputs": {**item.inputs, **({"secret": "[secret]"} if item.type.endswith("Key") else {})},
            "parent": item.parent,
            "protect": item.protect,
            "propertyDependencies": item.sources,
            "created": (NOW - timedelta(days=3)).isoformat(),
        }
        steps.append({"op": "same", "urn": item.urn, "oldState": state, "newState": copy.deepcopy(state)})
    return Preview(config, steps)
