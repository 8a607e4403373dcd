"""A project folder, a cloud in memory and a display that remembers: what the engine's unit tests share."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sandbox.engine import run
from sandbox.engine.deletion import references
from sandbox.engine.stack import Place, Stack
from sandbox.engine.state import Checkpoint, Resource
from sandbox.engine.steps import Op, Step
from sandbox.values import Properties
from tests.unit.memory_cloud import Cloud, MemoryProvider

RECORDED = Path(__file__).parents[1] / "data" / "engine"
ENVIRON = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "PULUMI_CONFIG_PASSPHRASE": "sandbox"}
# once a class was imported from its own file, as the components do, the SDK's lazy packages lack it in this process
PACKAGES = "from pulumi_aws import iam, s3\n"
CLASSES = """
from types import SimpleNamespace
from pulumi_aws.iam.access_key import AccessKey
from pulumi_aws.iam.user import User
from pulumi_aws.iam.user_policy import UserPolicy
from pulumi_aws.s3.bucket import Bucket
iam = SimpleNamespace(AccessKey=AccessKey, User=User, UserPolicy=UserPolicy)
s3 = SimpleNamespace(Bucket=Bucket)
"""
HEAD = """
import pulumi
from pulumi_aws.iam.access_key import AccessKey
from pulumi_aws.iam.user import User
from pulumi_aws.iam.user_policy import UserPolicy
from pulumi_aws.s3.bucket import Bucket
config = pulumi.Config()
"""


@dataclass
class Seen:
    """A display that remembers the steps that were done and every message."""

    changes: Counter[str] = field(default_factory=Counter)
    steps: list[Step] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    outputs: Properties = field(default_factory=dict)

    def begin(self, *, dry_run: bool) -> None: ...

    def started(self, step: Step) -> None: ...

    def finished(self, step: Step) -> None:
        self.steps.append(step)
        self.changes[step.op.value] += 1

    def failed(self, step: Step, message: str) -> None:
        self.messages.append(message)

    def diagnostic(self, severity: str, urn: str, message: str) -> None:
        self.messages.append(message)

    def end(self, outputs: Properties, former: Properties) -> None:
        self.outputs = outputs

    def diagnostics(self, failure: str = "") -> None: ...

    @property
    def done(self) -> list[tuple[str, str]]:
        """Operation and name of every step but `same`, those of default providers left out."""
        return [
            (step.op.value, step.resource.name)
            for step in self.steps
            if step.op is not Op.SAME and not step.resource.name.startswith("default")
        ]


@dataclass
class Bench:
    """A project `golden`, stack `dev`, in `folder`. `cloud` is shared by all its runs."""

    folder: Path
    cloud: Cloud = field(default_factory=Cloud)
    environ: Mapping[str, str] = field(default_factory=lambda: dict(ENVIRON))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "Pulumi.yaml").write_text("name: golden\nruntime: python\n")
        settings = self.folder / "Pulumi.dev.yaml"
        if not settings.exists():
            # the recorded salt: its key is derived once for all tests
            recorded = yaml.safe_load((RECORDED / settings.name).read_text())
            settings.write_text(yaml.safe_dump({"encryptionsalt": recorded["encryptionsalt"]}))

    def program(self, body: str) -> None:
        """Make `body`, after the usual imports, the program."""
        (self.folder / "__main__.py").write_text(HEAD + textwrap.dedent(body))

    def recorded(self) -> None:
        """Make the recorded program, with its configuration, the program."""
        text = (RECORDED / "program.py").read_text()
        assert PACKAGES in text
        (self.folder / "__main__.py").write_text(text.replace(PACKAGES, CLASSES))
        (self.folder / "Pulumi.dev.yaml").write_text((RECORDED / "Pulumi.dev.yaml").read_text())

    def configure(self, **config: Any) -> None:
        """Set configuration values of the project; None removes one."""
        file = self.folder / "Pulumi.dev.yaml"
        content = yaml.safe_load(file.read_text()) if file.exists() else {}
        values = {"aws:region": "us-east-1", **(content.get("config") or {})}
        values.update({f"golden:{key}": value for key, value in config.items()})
        content["config"] = {key: value for key, value in values.items() if value is not None}
        file.write_text(yaml.safe_dump(content))

    def place(self) -> Place:
        return Place.find(self.folder, "dev", self.folder / "state", self.environ, lambda _: MemoryProvider(self.cloud))

    def open(self) -> Stack:
        return self.place().open()

    def run(self, operation: Any, *arguments: Any) -> Seen:
        """Open the stack and run one operation of `sandbox.engine.run` on it, as the command line does."""
        where, seen = self.place(), Seen()
        with where.backend.lock(where.stack):
            stack = where.open()
            if operation is not run.preview:
                run.recover(stack, seen)
            operation(stack, seen, *arguments)
        return seen

    def preview(self) -> Seen:
        return self.run(run.preview)

    def up(self) -> Seen:
        return self.run(run.update)

    def destroy(self) -> Seen:
        return self.run(run.destroy)

    def state(self) -> Checkpoint:
        return self.open().checkpoint

    def resource(self, name: str, type_: str = "") -> Resource:
        """The one live resource of a name."""
        found = [
            item
            for item in self.state().resources
            if item.name == name and item.type.endswith(type_) and not item.delete and not item.is_provider
        ]
        assert len(found) == 1, f"{len(found)} resources {name!r}"
        return found[0]


def assert_sound(checkpoint: Checkpoint) -> None:
    """Nothing pending, nothing waiting to be deleted, and nothing before what it depends on."""
    assert checkpoint.pending == []
    before: set[str] = set()
    for resource in checkpoint.resources:
        assert references(resource) <= before, f"{resource.urn} comes before {references(resource) - before}"
        assert not resource.delete, f"{resource.urn} is still to be deleted"
        before.add(resource.urn)


def assert_same_as_cloud(checkpoint: Checkpoint, cloud: Cloud) -> None:
    """The state has every thing in the cloud, and the cloud every custom resource of the state."""
    owned = {(item.type, item.id) for item in checkpoint.resources if item.custom and not item.is_provider}
    assert owned == set(cloud.things)
