"""What the SDK talks to: the resource monitor and the engine, as objects in this process.

Owns protobuf in and out and nothing else. The SDK calls from several threads at once. After a first failure every
call is turned away, as a real engine that has shut down turns them away, so that the program ends.
Source: https://github.com/pulumi/pulumi/blob/master/proto/pulumi/resource.proto
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NoReturn, TypeVar

import pulumi
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, resource_pb2

from sandbox.engine import requests
from sandbox.engine.deployment import Deployment
from sandbox.engine.errors import EngineError, UnsupportedError
from sandbox.engine.steps import Sink
from sandbox.engine.values import unwrap
from sandbox.engine.wire import from_struct, to_struct
from sandbox.providers.base import ProviderError
from sandbox.values import Properties

_T = TypeVar("_T")
_READ_OUTPUTS: Final = "pulumi:pulumi:readStackOutputs"

# the last three are announced so that their use reaches us and is refused with a clear message
_FEATURES = (
    resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACE_WITH,
    resource_pb2.RESOURCE_MONITOR_FEATURE_REPLACEMENT_TRIGGER,
)


class Monitor:
    """Stands in for the gRPC stub of `pulumirpc.ResourceMonitor`."""

    def __init__(self, deployment: Deployment, deployed: Properties) -> None:
        """Take the run, and the stack's outputs as last deployed."""
        self._deployment = deployment
        self._deployed = deployed
        self.failure: Exception | None = None

    def GetDeploymentInfo(self, _: empty_pb2.Empty) -> resource_pb2.DeploymentInfo:  # noqa: N802
        """Say which parts of the protocol are understood."""
        return resource_pb2.DeploymentInfo(supportedFeatures=_FEATURES)

    def RegisterResource(self, request: resource_pb2.RegisterResourceRequest) -> resource_pb2.RegisterResourceResponse:  # noqa: N802
        """Bring one resource to where the program wants it."""
        resource = self._guarded(lambda: self._deployment.register(requests.parse(request)))
        outputs = resource.outputs if resource.custom else {}
        return resource_pb2.RegisterResourceResponse(urn=resource.urn, id=resource.id, object=to_struct(outputs))

    def RegisterResourceOutputs(self, request: resource_pb2.RegisterResourceOutputsRequest) -> empty_pb2.Empty:  # noqa: N802
        """Take the outputs of a component or of the stack."""
        self._guarded(lambda: self._deployment.set_outputs(request.urn, from_struct(request.outputs)))
        return empty_pb2.Empty()

    def Invoke(self, request: resource_pb2.ResourceInvokeRequest) -> resource_pb2.ResourceInvokeResponse:  # noqa: N802
        """Call a function of a provider."""

        def call() -> resource_pb2.ResourceInvokeResponse:
            requests.check_invoke(request)
            package = request.tok.split(":", 1)[0]
            if package == "pulumi":
                result = self._own_outputs(request.tok, from_struct(request.args))
            else:
                reference = request.provider or self._deployment.default_provider(package, request.version)
                provider = self._deployment.runner.providers.get(reference)
                result = provider.invoke(request.tok, unwrap(from_struct(request.args)))
            response = resource_pb2.ResourceInvokeResponse()
            getattr(response, "return").CopyFrom(to_struct(result))
            return response

        return self._guarded(call)

    def ReadResource(self, request: resource_pb2.ReadResourceRequest) -> resource_pb2.ReadResourceResponse:  # noqa: N802
        """Look up a resource that somebody else owns."""
        if request.type == "pulumi:pulumi:StackReference":
            self._guarded(lambda: self._unsupported("StackReference"))
        resource = self._guarded(lambda: self._deployment.read(requests.parse_read(request)))
        return resource_pb2.ReadResourceResponse(urn=resource.urn, properties=to_struct(resource.outputs))

    def Call(self, request: resource_pb2.ResourceCallRequest) -> resource_pb2.ResourceInvokeResponse:  # noqa: N802
        """Refuse a method call on a resource."""
        return self._guarded(lambda: self._unsupported(f"method {request.tok}"))

    def RegisterPackage(self, request: resource_pb2.RegisterPackageRequest) -> resource_pb2.RegisterPackageResponse:  # noqa: N802
        """Refuse a parameterised package."""
        return self._guarded(lambda: self._unsupported(f"parameterised package {request.name}"))

    def SignalAndWaitForShutdown(self, _: empty_pb2.Empty) -> empty_pb2.Empty:  # noqa: N802
        """Nothing to wait for: registrations are answered when they are done."""
        return empty_pb2.Empty()

    def _own_outputs(self, function: str, arguments: Properties) -> Properties:
        """Answer what is deployed of this very stack: the only function of Pulumi's own that this engine has."""
        own = f"organization/{self._deployment.project}/{self._deployment.stack}"
        if function != _READ_OUTPUTS or arguments != {"name": own}:
            self._unsupported(f"function {function} of {arguments.get('name', 'nothing')}")
        secret = sorted(name for name, value in self._deployed.items() if value != unwrap(value))
        return {"name": own, "outputs": self._deployed, "secretOutputNames": secret}

    def _unsupported(self, what: str) -> NoReturn:
        raise UnsupportedError(f"{what} is not supported by this engine")

    def _guarded(self, act: Callable[[], _T]) -> _T:
        if self.failure is not None:
            raise pulumi.RunError("the run has failed already")
        try:
            return act()
        except (EngineError, ProviderError) as error:
            self.failure = self.failure or error
            raise pulumi.RunError(str(error)) from None


class EngineLog:
    """Stands in for the gRPC stub of `pulumirpc.Engine`: takes the program's messages.

    Those about no resource are about the stack, whose URN is `root`. An error that is only logged fails no run.
    """

    def __init__(self, sink: Sink, root: str) -> None:
        self._sink = sink
        self._root = root

    def Log(self, request: engine_pb2.LogRequest) -> empty_pb2.Empty:  # noqa: N802
        """Show a message, unless it is for debugging."""
        if request.severity != engine_pb2.DEBUG:
            severity = engine_pb2.LogSeverity.Name(request.severity).lower()
            self._sink.diagnostic(severity, request.urn or self._root, request.message)
        return empty_pb2.Empty()

    def RequirePulumiVersion(  # noqa: N802
        self, request: engine_pb2.RequirePulumiVersionRequest
    ) -> engine_pb2.RequirePulumiVersionResponse:
        """Refuse: this engine has no Pulumi version of its own to compare with."""
        raise pulumi.RunError(f"pulumi version {request.pulumi_version_range!r} cannot be required of this engine")
