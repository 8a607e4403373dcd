"""The package as its own process, as Pulumi runs it, between a test and the embedded engine over gRPC.

The engine's monitor is served as a real CLI serves its own; the cloud behind it is in memory and gives secrets.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import grpc
from pulumi.runtime import rpc
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2, provider_pb2_grpc, resource_pb2, resource_pb2_grpc

from sandbox.engine import urns
from sandbox.engine.config import Config
from sandbox.engine.deployment import Deployment
from sandbox.engine.goal import Goal
from sandbox.engine.journal import Journal
from sandbox.engine.monitor import EngineLog, Monitor
from sandbox.engine.registry import Registry
from sandbox.engine.secrets import SecretsManager
from sandbox.engine.state import Checkpoint
from sandbox.engine.steps import Runner
from sandbox.engine.values import SIGNATURE
from sandbox.engine.wire import from_struct, to_struct
from sandbox.values import Properties, Secret, Value
from tests.unit.engine_kit import Seen
from tests.unit.memory_cloud import Cloud, MemoryProvider

ROOT = Path(__file__).parents[2]
STACK, PROJECT = "dev", "video"
ISSUED = "issued-secret-of-"


class IssuingProvider(MemoryProvider):
    """Makes whatever is asked for, of either provider, and issues secrets that are not marked as such."""

    def _id(self, type_: str, inputs: Properties) -> str:
        return f"{type_.rsplit(':', 1)[1]}-{next(self.cloud.numbers)}"

    def _outputs(self, type_: str, id_: str, inputs: Properties) -> Properties:
        secret = ISSUED + id_
        issued: dict[str, Properties] = {
            "AccessKey": {"secret": secret},
            "HmacKey": {"secret": secret, "accessId": id_},
            "Key": {"privateKey": base64.b64encode(secret.encode()).decode()},
        }
        made = {"arn": f"arn:{id_}", "email": f"{id_}@example.com"}
        return {**inputs, **made, **issued.get(type_.rsplit(":", 1)[1], {})}

    def secret_outputs(self, type_: str) -> Sequence[str]:
        return ()


class _Served:
    """A gRPC servicer over the object of the moment, whose methods take the request alone."""

    target: object = None

    def __getattr__(self, name: str) -> Any:
        return lambda request, context: getattr(self.target, name)(request)


class ForgetfulMonitor(Monitor):
    """Marks no output as secret by itself, as Pulumi's mocks and some versions of its SDK do not."""

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> resource_pb2.RegisterResourceResponse:  # noqa: N802
        del request.additionalSecretOutputs[:]
        return super().RegisterResource(request)


@dataclass
class Engine:
    """One run of the embedded engine, with the stack already registered."""

    dry_run: bool = False
    monitor: type[Monitor] = Monitor
    seen: Seen = field(default_factory=Seen)

    def __post_init__(self) -> None:
        runner = Runner(
            Journal(Checkpoint(STACK), None),
            Registry(lambda package: IssuingProvider(Cloud(), package), {}),
            self.seen,
            self.dry_run,
            {},
        )
        self.deployment = Deployment(STACK, PROJECT, runner, Config({"aws:region": "us-east-1", "gcp:project": "p-1"}))
        self.root = self.deployment.register(Goal(urns.ROOT_TYPE, f"{PROJECT}-{STACK}", custom=False)).urn

    def state(self) -> str:
        """The state as it would be written, secrets sealed."""
        manager = SecretsManager(b"k" * 32, "")
        return json.dumps(self.deployment.runner.journal.checkpoint().to_json(manager))


@dataclass(frozen=True)
class Package:
    """The package's process, and what it finds at the engine's address."""

    provider: provider_pb2_grpc.ResourceProviderStub
    address: str
    monitor: _Served
    log: _Served

    def schema(self) -> dict[str, Any]:
        """The schema that it serves."""
        served: dict[str, Any] = json.loads(self.provider.GetSchema(provider_pb2.GetSchemaRequest()).schema)
        return served

    def construct(self, engine: Engine, component: str, inputs: dict[str, Value]) -> Properties:
        """Declare a component, as a program in another language has it done; gives its outputs. Raises RpcError."""
        self.monitor.target = engine.monitor(engine.deployment, {})
        self.log.target = EngineLog(engine.seen, engine.root)
        request = provider_pb2.ConstructRequest(
            project=PROJECT,
            stack=STACK,
            dryRun=engine.dry_run,
            parallel=16,
            monitorEndpoint=self.address,
            type=f"recordings:index:{component}",
            name="recordings",
            parent=engine.root,
            inputs=to_struct({name: _sent(value) for name, value in inputs.items()}),
        )
        return from_struct(self.provider.Construct(request, timeout=60).state)


def _sent(value: Value) -> Value:
    """As an engine sends it to a component: a secret as an output value, wherever it lies."""
    if isinstance(value, Secret):
        return {SIGNATURE: rpc._special_output_value_sig, "value": value.value, "secret": True}
    return {name: _sent(part) for name, part in value.items()} if isinstance(value, Mapping) else value


@contextmanager
def running() -> Iterator[Package]:
    """Start the package and end it."""
    monitor, log, server = _Served(), _Served(), grpc.server(ThreadPoolExecutor(32))
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(cast(Any, monitor), server)
    engine_pb2_grpc.add_EngineServicer_to_server(cast(Any, log), server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    command = [sys.executable, str(ROOT / "package"), address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            with grpc.insecure_channel(f"127.0.0.1:{int(process.stdout.readline())}") as channel:
                yield Package(provider_pb2_grpc.ResourceProviderStub(channel), address, monitor, log)
        finally:
            process.terminate()
            server.stop(None).wait()
