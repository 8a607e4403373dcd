"""A stand-in provider as the plugin of a real CLI: `pulumirpc.ResourceProvider` over gRPC.

Owns translation alone: request → provider call → response, ProviderError → gRPC status. It is the servicer underneath
`pulumi.provider` and not the ready-made `pulumi.provider.experimental.Provider`, which gives `diff` no old inputs and
a type that is the whole parent chain. Secrets arrive unwrapped (`acceptSecrets` is false) and the engine marks what
came of a secret; outputs that are always secret are marked here.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.providers import load, wire
from sandbox.providers.base import IDENTITY, DiffKind, DiffResult, Provider, ProviderError, ResourceState
from sandbox.values import UNKNOWN, Properties

_KINDS: Final = {
    DiffKind.ADD: provider_pb2.PropertyDiff.ADD,
    DiffKind.ADD_REPLACE: provider_pb2.PropertyDiff.ADD_REPLACE,
    DiffKind.DELETE: provider_pb2.PropertyDiff.DELETE,
    DiffKind.DELETE_REPLACE: provider_pb2.PropertyDiff.DELETE_REPLACE,
    DiffKind.UPDATE: provider_pb2.PropertyDiff.UPDATE,
    DiffKind.UPDATE_REPLACE: provider_pb2.PropertyDiff.UPDATE_REPLACE,
}
_MAX_MESSAGE: Final = 400 * 1024 * 1024
"""Bytes; the engine's own limit."""


@dataclass
class _InitFailed(grpc.Status):
    """A refusal that tells the engine what exists all the same (`ErrorResourceInitFailed`)."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, bytes], ...]


class Servicer(provider_pb2_grpc.ResourceProviderServicer):
    """One provider, served."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def Handshake(  # noqa: N802  # the protocol's names, here and below
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Say what is understood: neither secrets nor resource references."""
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=False, accept_resources=False)

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> Empty:  # noqa: N802
        """Nothing is said to the engine unasked, so its address is not kept."""
        return Empty()

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:  # noqa: N802
        """The version: that of the installed SDK package."""
        return plugin_pb2.PluginInfo(version=self._provider.version)

    def GetSchema(  # noqa: N802
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        """Name and version; programs have the full schema in their SDK package."""
        schema = {"name": self._provider.package, "version": self._provider.version}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def CheckConfig(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Configuration as it came: Configure refuses what cannot be used."""
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Whatever does not make it look at other resources is taken in place."""
        old, new = wire.properties(request.old_inputs), wire.properties(request.news)
        changed = sorted(key for key in {**old, **new} if old.get(key) != new.get(key))
        return _diff_response(DiffResult(changed, [key for key in changed if key in IDENTITY]))

    def Configure(  # noqa: N802
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Take the provider's configuration."""
        given = wire.properties(request.args)
        with _told(context):
            self._provider.configure({key: str(value) for key, value in given.items() if value is not UNKNOWN})
        return provider_pb2.ConfigureResponse(acceptSecrets=False, supportsPreview=True, acceptResources=False)

    def Check(  # noqa: N802
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Validate inputs."""
        type_, name = wire.urn_type(request.urn), wire.urn_name(request.urn)
        with _told(context):
            old = wire.properties(request.olds) or None
            result = self._provider.check(type_, name, old, wire.properties(request.news))
            failures = [provider_pb2.CheckFailure(property=f.property, reason=f.reason) for f in result.failures]
            return provider_pb2.CheckResponse(inputs=wire.struct(result.inputs), failures=failures)

    def Diff(  # noqa: N802
        self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext
    ) -> provider_pb2.DiffResponse:
        """Compare old inputs with new ones."""
        state = ResourceState(request.id, wire.properties(request.old_inputs), wire.properties(request.olds))
        with _told(context):
            new = wire.properties(request.news)
            result = self._provider.diff(wire.urn_type(request.urn), state, new, list(request.ignoreChanges))
            return _diff_response(result)

    def Create(  # noqa: N802
        self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CreateResponse:
        """Create, or preview it."""
        type_ = wire.urn_type(request.urn)
        with self._told_of(type_, context):
            inputs = wire.properties(request.properties)
            state = self._provider.create(type_, inputs, preview=request.preview)
            return provider_pb2.CreateResponse(id=state.id, properties=self._outputs(type_, state.outputs))

    def Read(  # noqa: N802
        self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ReadResponse:
        """What the cloud has; an empty answer says that it has none."""
        type_ = wire.urn_type(request.urn)
        with _told(context):
            inputs = wire.properties(request.inputs) or None
            outputs = wire.properties(request.properties) or None
            state = self._provider.read(type_, request.id, inputs, outputs)
            if state is None:
                return provider_pb2.ReadResponse()
            return provider_pb2.ReadResponse(
                id=state.id, inputs=wire.struct(state.inputs), properties=self._outputs(type_, state.outputs)
            )

    def Update(  # noqa: N802
        self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext
    ) -> provider_pb2.UpdateResponse:
        """Change in place, or preview it."""
        type_ = wire.urn_type(request.urn)
        old = ResourceState(request.id, wire.properties(request.old_inputs), wire.properties(request.olds))
        with self._told_of(type_, context):
            state = self._provider.update(type_, old, wire.properties(request.news), preview=request.preview)
            return provider_pb2.UpdateResponse(properties=self._outputs(type_, state.outputs))

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> Empty:  # noqa: N802
        """Delete."""
        outputs = wire.properties(request.properties)
        state = ResourceState(request.id, wire.properties(request.old_inputs) or outputs, outputs)
        with _told(context):
            self._provider.delete(wire.urn_type(request.urn), state)
        return Empty()

    def Invoke(  # noqa: N802
        self, request: provider_pb2.InvokeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.InvokeResponse:
        """Call a function."""
        with _told(context):
            answer = self._provider.invoke(request.tok, wire.properties(request.args))
            response = provider_pb2.InvokeResponse()
            getattr(response, "return").CopyFrom(wire.struct(answer))
            return response

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:  # noqa: N802
        """Calls under way are short and end by themselves: nothing to do."""
        return Empty()

    def _outputs(self, type_: str, outputs: Properties) -> Struct:
        return wire.struct(outputs, secret=self._provider.secret_outputs(type_))

    def _told_of(self, type_: str, context: grpc.ServicerContext) -> AbstractContextManager[None]:
        """As `_told`; a resource that exists in spite of the error goes along."""
        return _told(context, lambda state: self._outputs(type_, state.outputs))


@contextmanager
def _told(context: grpc.ServicerContext, outputs: Callable[[ResourceState], Struct] | None = None) -> Iterator[None]:
    """A refusal as gRPC status. Of a fault of ours only type and place are told: its text may quote a secret."""
    try:
        yield
    except ProviderError as error:
        if error.partial is not None and outputs is not None:
            context.abort_with_status(_init_failed(str(error), error.partial, outputs(error.partial)))
        context.abort(grpc.StatusCode.UNKNOWN, str(error))
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{os.path.basename(place.filename)}:{place.lineno}"
        context.abort(grpc.StatusCode.INTERNAL, f"{type(error).__name__} in the stand-in provider at {where}")


def _init_failed(message: str, state: ResourceState, outputs: Struct) -> _InitFailed:
    detail = provider_pb2.ErrorResourceInitFailed(
        id=state.id, inputs=wire.struct(state.inputs), properties=outputs, reasons=[message]
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message)
    status.details.add().Pack(detail)
    metadata = (("grpc-status-details-bin", status.SerializeToString()),)
    return _InitFailed(grpc.StatusCode.UNKNOWN, message, metadata)


def _diff_response(result: DiffResult) -> provider_pb2.DiffResponse:
    response = provider_pb2.DiffResponse
    return response(
        changes=response.DIFF_SOME if result.changed else response.DIFF_NONE,
        diffs=result.changed,
        replaces=result.replaces,
        deleteBeforeReplace=result.delete_before_replace,
        hasDetailedDiff=bool(result.detailed),
        detailedDiff={
            path: provider_pb2.PropertyDiff(kind=_KINDS[kind], inputDiff=of_inputs)
            for path, (kind, of_inputs) in result.detailed.items()
        },
    )


def serve(provider: Provider, say: Callable[[str], None]) -> grpc.Server:
    """Start serving on a free port of the loopback interface, and say the port."""
    options = [("grpc.max_receive_message_length", _MAX_MESSAGE), ("grpc.max_send_message_length", _MAX_MESSAGE)]
    server = grpc.server(ThreadPoolExecutor(max_workers=16), options=options)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(Servicer(provider), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    say(str(port))
    return server


def _end_with(parent: int, server: grpc.Server) -> None:
    """Stop when the CLI is gone, even if it was killed and could not say so."""
    while os.getppid() == parent:
        time.sleep(1)
    server.stop(grace=None)


def main() -> None:
    """`python -m sandbox.providers.server PACKAGE [ENGINE]`: print the port, serve until the CLI ends."""
    parent = os.getppid()  # before anything that takes time: the CLI may be killed at any moment
    if len(sys.argv) < 2:
        sys.exit("usage: python -m sandbox.providers.server PACKAGE")
    try:
        provider = load(sys.argv[1])
    except ProviderError as error:
        sys.exit(str(error))
    server = serve(provider, lambda port: print(port, flush=True))
    threading.Thread(target=_end_with, args=(parent, server), daemon=True).start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
