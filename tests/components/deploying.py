"""Run the Pulumi program, or a part of it, under Pulumi's mocks, and keep what it declared.

Mocks are process-global: every run has a context of its own, so that nothing of it is left for the next one.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import contextvars
import json
import runpy
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import yaml
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockCallArgs, MockMonitor, MockResourceArgs, Mocks, set_mocks
from pulumi.runtime.settings import get_root_resource
from pulumi.runtime.stack import Stack, run_pulumi_func

from components import handover

ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"
PROJECT = "acme-video-dev"
SECRET = "issued-secret-of-"
JSON_KEY = '{"type": "service_account", "private_key": "issued-secret-of-the-reader"}'


@dataclass(frozen=True)
class Declared:
    """One registered resource: what the program sent to the engine."""

    type: str
    name: str
    inputs: dict[str, Any]
    parent: str
    protect: bool
    after: frozenset[str]
    """What it waits for, as `BucketPolicy recordings-policy`."""
    import_id: str = ""
    """What it is taken over from, if it is."""
    urn: str = ""
    sources: dict[str, list[str]] = field(default_factory=dict)
    """The URNs that each input came from."""


@dataclass
class Deployment:
    """What a run declared (by logical type and name), exported, and asked of the provider."""

    resources: dict[tuple[str, str], Declared] = field(default_factory=dict)
    outputs: dict[str, Any] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    """The stack's outputs as the engine has them when the run begins."""

    def inputs(self, type_: str, name: str = "") -> dict[str, Any]:
        """Inputs of the one resource of a short type (`bucketPolicy`), or of the one with this name."""
        found = [r for (t, n), r in self.resources.items() if t == type_ and name in (n, "")]
        assert len(found) == 1, f"{type_} {name}: {found}"
        return found[0].inputs

    def names(self, type_: str) -> set[str]:
        return {name for declared, name in self.resources if declared == type_}


class _Cloud(Mocks):
    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def new_resource(self, args: MockResourceArgs) -> tuple[str, dict[str, Any]]:
        given = args.inputs
        state = {**given, "arn": f"arn:aws:iam::{ACCOUNT}:user/{given.get('name', args.name)}"}
        if args.typ.endswith((":AccessKey", ":HmacKey")):
            state |= {"secret": SECRET + args.name, "accessId": f"id-of-{args.name}"}
        if args.typ == "gcp:serviceaccount/account:Account":
            email = f"{given['accountId']}@{PROJECT}.iam.gserviceaccount.com"
            name = f"projects/{PROJECT}/serviceAccounts/{email}"
            state |= {"email": email, "member": f"serviceAccount:{email}", "name": name}
        if args.typ == "gcp:serviceaccount/key:Key":
            state["privateKey"] = base64.b64encode(JSON_KEY.encode()).decode()
        return f"id-of-{args.name}", state

    def call(self, args: MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        if args.token == handover.FUNCTION:  # the engine's own: no cloud is asked
            return {**args.args, "outputs": self._deployment.before}, []
        self._deployment.calls.append(args.token)
        if args.token == "gcp:organizations/getClientConfig:getClientConfig":
            return {
                "project": PROJECT,
                "accessToken": "ya29",
                "region": "",
                "zone": "",
                "id": "",
                "defaultLabels": {},
            }, []
        return {"accountId": ACCOUNT, "arn": f"arn:aws:iam::{ACCOUNT}:user/op", "userId": "op", "id": ACCOUNT}, []


class _Monitor(MockMonitor):
    """Keeps the options of each resource as well, which mocks are not shown."""

    def __init__(self, deployment: Deployment) -> None:
        super().__init__(_Cloud(deployment))
        self._deployment = deployment

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  # the engine's name
        if request.type != "pulumi:pulumi:Stack":
            short = request.type.split(":")[-1] if request.custom else request.type
            key = (short[0].lower() + short[1:], request.name)
            assert key not in self._deployment.resources, f"declared twice: {key}"
            self._deployment.resources[key] = Declared(
                request.type,
                request.name,
                rpc.deserialize_properties(request.object),
                request.parent,
                request.protect,
                frozenset(urn.rsplit(":", 3)[-3] + " " + urn.rsplit("::", 1)[-1] for urn in request.dependencies),
                request.importId,
                self.make_urn(request.parent, request.type, request.name),
                {name: list(item.urns) for name, item in request.propertyDependencies.items()},
            )
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]  # the SDK's


def deploy(
    program: Callable[[], Mapping[str, Any] | None], config: Mapping[str, str] | None = None, **options: Any
) -> Deployment:
    """Run `program` under mocks; what it gives back counts as exported. `options`: stack, secret_keys, into."""
    return contextvars.copy_context().run(_deploy, program, config or {}, **options)


def run_main(config: Mapping[str, str], **options: Any) -> Deployment:
    """Run `__main__.py` with the configuration as the engine hands it over: full keys, text or JSON."""

    def program() -> None:
        runpy.run_path(str(ROOT / "__main__.py"))

    return deploy(program, config, **options)


def _deploy(
    program: Callable[[], Mapping[str, Any] | None],
    config: Mapping[str, str],
    *,
    stack: str = "dev",
    secret_keys: tuple[str, ...] = (),
    into: Deployment | None = None,
) -> Deployment:
    deployment = into or Deployment()

    async def run() -> None:
        pulumi.runtime.set_all_config(dict(config), list(secret_keys))
        set_mocks(_Cloud(deployment), "recordings", stack, False, monitor=_Monitor(deployment))
        root = get_root_resource()
        assert isinstance(root, Stack)

        def main() -> None:
            for name, value in (program() or {}).items():
                pulumi.export(name, value)

        await run_pulumi_func(main)
        for name, value in root.outputs.items():
            output = pulumi.Output.from_input(value)
            deployment.outputs[name] = await output.future()
            if await output.is_secret():
                deployment.secrets.add(name)

    with _event_loop() as loop:
        loop.run_until_complete(run())
    return deployment


@contextlib.contextmanager
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop whose worker threads have loops too; the SDK would make those itself and never close them."""
    loops: list[asyncio.AbstractEventLoop] = []

    def give_loop() -> None:
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])

    try:
        with asyncio.Runner() as runner, ThreadPoolExecutor(8, initializer=give_loop) as workers:
            runner.get_loop().set_default_executor(workers)
            yield runner.get_loop()
    finally:
        for loop in loops:
            loop.close()


def schema() -> dict[str, dict[str, Any]]:
    """The `config:` block of Pulumi.yaml."""
    loaded: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    return loaded


def stack_config(stack: str) -> dict[str, str]:
    """The configuration of a shipped stack, merged with the schema's defaults as the engine does it."""
    given = yaml.safe_load((ROOT / f"Pulumi.{stack}.yaml").read_text())["config"]
    defaults = {f"recordings:{key}": entry["default"] for key, entry in schema().items()}
    return {key: as_text(value) for key, value in {**defaults, **given}.items()}


def as_text(value: object) -> str:
    """A value of a stack's file in the form in which a program gets it."""
    return value if isinstance(value, str) else json.dumps(value)
