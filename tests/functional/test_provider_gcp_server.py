"""The executable `pulumi-resource-gcp`, spoken to over gRPC as a real CLI does.

What the executable does for every package is tested with that of AWS; here is what is Google's.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import provider_pb2

from sandbox.providers import wire
from sandbox.servers import Sandbox
from sandbox.values import UNKNOWN
from tests.functional.test_provider_aws_server import ROOT, Stub, end, gone, made, start

EXECUTABLE = ROOT / "sandbox" / "bin" / "pulumi-resource-gcp"
CHAIN = "urn:pulumi:dev::p::some:index:Store$"
ACCOUNT_URN = f"{CHAIN}gcp:serviceaccount/account:Account::writer"
KEY_URN = f"{CHAIN}gcp:storage/hmacKey:HmacKey::writer-blue"


@pytest.fixture(scope="module")
def plugin(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stub]:
    """A client of the running, configured executable."""
    process = start(sandbox.env, tmp_path_factory.mktemp("project"), EXECUTABLE)
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    assert port.isdigit(), process.communicate(timeout=60)[1]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = Stub(channel)
        args = wire.struct({"region": "europe-west1", "version": "9.37.1"})
        assert stub.Configure(provider_pb2.ConfigureRequest(args=args)).supportsPreview
        yield stub
    end(process)


def test_plugin_tells_version_and_schema(plugin: Stub) -> None:
    """The version is the SDK's, so that the CLI takes the plugin for the one it looks for."""
    version = importlib.metadata.version("pulumi_gcp")
    assert plugin.GetPluginInfo(Empty()).version == version
    schema = json.loads(plugin.GetSchema(provider_pb2.GetSchemaRequest()).schema)
    assert schema == {"name": "gcp", "version": version}


def test_account_and_key_go_through_their_life(plugin: Stub) -> None:
    """A preview that knows the e-mail, a key whose secret is marked, and nothing left."""
    inputs = {"accountId": f"a-{uuid4().hex[:12]}"}
    preview = provider_pb2.CreateRequest(urn=ACCOUNT_URN, properties=wire.struct(inputs), preview=True)
    planned = wire.properties(plugin.Create(preview).properties)
    account = made(plugin, ACCOUNT_URN, inputs)
    email = wire.properties(account.properties)["email"]
    assert (planned["email"], planned["uniqueId"]) == (email, UNKNOWN)
    key = made(plugin, KEY_URN, {"serviceAccountEmail": email})
    sent = MessageToDict(key.properties)
    assert set(sent["secret"]) == {"4dabf18193072939515e22adb298388d", "value"}
    assert sent["accessId"].startswith("GOOG")
    gone(plugin, KEY_URN, key.id, {"serviceAccountEmail": email})
    gone(plugin, ACCOUNT_URN, account.id, inputs)
    assert plugin.Read(provider_pb2.ReadRequest(urn=ACCOUNT_URN, id=account.id)).id == ""
    assert plugin.Read(provider_pb2.ReadRequest(urn=KEY_URN, id=key.id)).id == ""


def test_endpoint_off_the_loopback_interface_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    """A real CLI with the stand-in on its PATH and a real cloud in its environment reaches nothing."""
    url = "https://storage.googleapis.com/storage/v1/"
    process = start({**sandbox.env, "GOOGLE_STORAGE_CUSTOM_ENDPOINT": url}, tmp_path, EXECUTABLE)
    assert process.stdout is not None
    address = f"127.0.0.1:{process.stdout.readline().strip()}"
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        Stub(channel).Configure(provider_pb2.ConfigureRequest(args=wire.struct({"project": "p"})))
    end(process)
    error: Any = caught.value
    assert f"GOOGLE_STORAGE_CUSTOM_ENDPOINT is '{url}'" in error.details()
