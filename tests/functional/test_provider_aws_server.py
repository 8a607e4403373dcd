"""The executable `pulumi-resource-aws`, spoken to over gRPC as a real CLI does."""

from __future__ import annotations

import importlib.metadata
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.providers import wire
from sandbox.servers import Sandbox
from sandbox.values import UNKNOWN, Properties

Stub = provider_pb2_grpc.ResourceProviderStub
ROOT = Path(__file__).resolve().parents[2]
EXECUTABLE = ROOT / "sandbox" / "bin" / "pulumi-resource-aws"
BUCKET_URN = "urn:pulumi:dev::p::some:index:Store$aws:s3/bucket:Bucket::store-bucket"
USER_URN = "urn:pulumi:dev::p::aws:iam/user:User::user"
KEY_URN = "urn:pulumi:dev::p::aws:iam/accessKey:AccessKey::key"


def start(env: dict[str, str], folder: Path, executable: Path = EXECUTABLE) -> subprocess.Popen[str]:
    """The plugin as a CLI starts it: engine address as its argument, the Pulumi project as its working directory."""
    return subprocess.Popen(
        [str(executable), "127.0.0.1:1"],
        cwd=folder,
        env={**os.environ, **env, "SANDBOX_PYTHON": sys.executable},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def end(plugin: subprocess.Popen[str]) -> None:
    """End it as a CLI does, and read what is left of its pipes."""
    plugin.kill()
    plugin.communicate(timeout=60)


@pytest.fixture(scope="module")
def plugin(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stub]:
    """A client of the running, configured executable; a module of the project's own must not disturb it."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "sandbox.py").write_text("raise SystemExit('shadowed')")
    process = start(sandbox.env, folder)
    assert process.stdout is not None
    port = process.stdout.readline().strip()
    assert port.isdigit(), process.communicate(timeout=60)[1]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = Stub(channel)
        args = wire.struct({"region": "us-east-1", "version": "7.51.1"})
        answer = stub.Configure(provider_pb2.ConfigureRequest(args=args, acceptSecrets=True))
        assert answer.supportsPreview
        yield stub
    end(process)


def made(plugin: Stub, urn: str, inputs: Properties) -> provider_pb2.CreateResponse:
    response: provider_pb2.CreateResponse = plugin.Create(
        provider_pb2.CreateRequest(urn=urn, properties=wire.struct(inputs))
    )
    return response


def gone(plugin: Stub, urn: str, id_: str, inputs: Properties) -> None:
    struct = wire.struct(inputs)
    plugin.Delete(provider_pb2.DeleteRequest(urn=urn, id=id_, properties=struct, old_inputs=struct))


def test_plugin_tells_version_and_schema(plugin: Stub) -> None:
    """The version is the SDK's, so that the CLI takes the plugin for the one it looks for."""
    version = importlib.metadata.version("pulumi_aws")
    assert plugin.GetPluginInfo(Empty()).version == version
    schema = json.loads(plugin.GetSchema(provider_pb2.GetSchemaRequest()).schema)
    assert schema == {"name": "aws", "version": version}
    assert not plugin.Handshake(provider_pb2.ProviderHandshakeRequest()).accept_secrets
    assert plugin.Cancel(Empty()) == Empty()


def test_resource_below_a_component_goes_through_its_life(plugin: Stub) -> None:
    """Check, preview, create, read, diff, update and delete, with the type out of the chain in the URN."""
    name = f"b-{uuid4().hex[:12]}"
    news = wire.struct({"bucket": name, "tags": {"env": "a"}})
    checked = plugin.Check(provider_pb2.CheckRequest(urn=BUCKET_URN, news=news))
    assert not checked.failures
    preview = provider_pb2.CreateRequest(urn=BUCKET_URN, properties=checked.inputs, preview=True)
    assert wire.properties(plugin.Create(preview).properties)["arn"] is UNKNOWN
    created = plugin.Create(provider_pb2.CreateRequest(urn=BUCKET_URN, properties=checked.inputs))
    assert created.id == name
    read = plugin.Read(
        provider_pb2.ReadRequest(urn=BUCKET_URN, id=name, inputs=checked.inputs, properties=created.properties)
    )
    assert (read.id, read.inputs, read.properties) == (name, checked.inputs, created.properties)
    change = wire.struct({"bucket": name, "tags": {"env": "b"}})
    old: Any = {"urn": BUCKET_URN, "id": name, "olds": created.properties, "old_inputs": checked.inputs}
    diff = plugin.Diff(provider_pb2.DiffRequest(**old, news=change))
    assert diff.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert {path: kind.kind for path, kind in diff.detailedDiff.items()} == {
        "tags.env": provider_pb2.PropertyDiff.UPDATE
    }
    updated = plugin.Update(provider_pb2.UpdateRequest(**old, news=change))
    assert wire.properties(updated.properties)["tags"] == {"env": "b"}
    gone(plugin, BUCKET_URN, name, {"bucket": name})
    assert plugin.Read(provider_pb2.ReadRequest(urn=BUCKET_URN, id=name)).id == ""


def test_unchanged_inputs_differ_in_nothing(plugin: Stub) -> None:
    """The answer says so, rather than leaving the engine to compare."""
    inputs = wire.struct({"name": "u", "tags": {}})
    request = provider_pb2.DiffRequest(urn=USER_URN, id="u", old_inputs=wire.struct({"name": "u"}), news=inputs)
    assert plugin.Diff(request).changes == provider_pb2.DiffResponse.DIFF_NONE


def test_replacement_is_told_with_its_order(plugin: Stub) -> None:
    """A user of the same name on another path: replaced, the original first."""
    old, new = wire.struct({"name": "u"}), wire.struct({"name": "u", "path": "/x/"})
    diff = plugin.Diff(provider_pb2.DiffRequest(urn=USER_URN, id="u", old_inputs=old, news=new))
    assert list(diff.replaces) == ["path"]
    assert diff.deleteBeforeReplace
    assert diff.detailedDiff["path"].kind == provider_pb2.PropertyDiff.ADD_REPLACE


def test_secret_output_is_marked(plugin: Stub) -> None:
    """The engine gets the access key's secret as a secret, whatever the SDK says."""
    name = f"u-{uuid4().hex[:12]}"
    made(plugin, USER_URN, {"name": name})
    key = made(plugin, KEY_URN, {"user": name})
    sent = MessageToDict(key.properties)
    assert set(sent["secret"]) == {"4dabf18193072939515e22adb298388d", "value"}
    assert sent["user"] == name
    gone(plugin, KEY_URN, key.id, {"user": name})
    gone(plugin, USER_URN, name, {"name": name})


def test_failures_and_refusals_reach_the_engine(plugin: Stub) -> None:
    """Check tells failures as such; an error of the cloud is a status with our message and no traceback."""
    checked = plugin.Check(provider_pb2.CheckRequest(urn=BUCKET_URN, news=wire.struct({"bukcet": "x"})))
    assert [failure.property for failure in checked.failures] == ["bukcet"]
    with pytest.raises(grpc.RpcError) as caught:
        made(plugin, KEY_URN, {"user": "nobody-at-all"})
    error: Any = caught.value
    assert error.code() == grpc.StatusCode.UNKNOWN
    assert "nobody-at-all" in error.details()
    assert "Traceback" not in error.details()


def test_partly_made_resource_reaches_the_engine(plugin: Stub) -> None:
    """The status carries id, inputs and outputs, so that the engine can write them into its state."""
    name = f"b-{uuid4().hex[:12]}"
    with pytest.raises(grpc.RpcError) as caught:
        made(plugin, BUCKET_URN, {"bucket": name, "tags": {f"k{number}": "v" for number in range(51)}})
    error: Any = caught.value
    metadata = dict(error.trailing_metadata())
    status = status_pb2.Status.FromString(metadata["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert detail.id == name
    assert wire.properties(detail.inputs) == {"bucket": name}
    assert detail.reasons
    gone(plugin, BUCKET_URN, name, {"bucket": name})


def test_function_is_called(plugin: Stub) -> None:
    """Invoke answers with the function's result."""
    answer = plugin.Invoke(provider_pb2.InvokeRequest(tok="aws:index/getRegion:getRegion"))
    assert wire.properties(getattr(answer, "return"))["region"] == "us-east-1"


def test_provider_configuration_is_compared(plugin: Stub) -> None:
    """A change of region is an update of the provider, the same region is none."""
    east, west = wire.struct({"region": "us-east-1"}), wire.struct({"region": "us-west-2"})
    assert plugin.CheckConfig(provider_pb2.CheckRequest(news=east)).inputs == east
    assert list(plugin.DiffConfig(provider_pb2.DiffRequest(old_inputs=east, news=west)).diffs) == ["region"]
    assert not plugin.DiffConfig(provider_pb2.DiffRequest(old_inputs=east, news=east)).diffs


def test_endpoint_off_the_loopback_interface_is_refused(sandbox: Sandbox, tmp_path: Path) -> None:
    """A real CLI with the stand-in on its PATH and a real cloud in its environment reaches nothing."""
    process = start({**sandbox.env, "AWS_ENDPOINT_URL": "https://s3.amazonaws.com"}, tmp_path)
    assert process.stdout is not None
    with grpc.insecure_channel(f"127.0.0.1:{process.stdout.readline().strip()}") as channel:
        stub = Stub(channel)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Configure(provider_pb2.ConfigureRequest(args=wire.struct({"region": "us-east-1"})))
    end(process)
    error: Any = caught.value
    assert "AWS_ENDPOINT_URL is 'https://s3.amazonaws.com'" in error.details()


def test_executable_can_be_reached_through_a_link(sandbox: Sandbox, tmp_path: Path) -> None:
    """It finds the project around itself, not around the link."""
    link = tmp_path / "bin" / "pulumi-resource-aws"
    link.parent.mkdir()
    link.symlink_to(EXECUTABLE)
    process = start(sandbox.env, tmp_path, link)
    assert process.stdout is not None
    assert process.stdout.readline().strip().isdigit()
    end(process)


def test_executable_ends_with_its_parent(sandbox: Sandbox, tmp_path: Path) -> None:
    """A CLI that was killed leaves no plugin behind."""
    script = (
        "import os, subprocess, sys\n"
        f"plugin = subprocess.Popen([{str(EXECUTABLE)!r}, 'x'], stdout=subprocess.PIPE, text=True)\n"
        "plugin.stdout.readline()\n"
        "print(plugin.pid, flush=True)\n"
        "os.kill(os.getpid(), 9)\n"
    )
    env = {**os.environ, **sandbox.env, "SANDBOX_PYTHON": sys.executable}
    read, write = os.pipe()
    # The plugin inherits this pipe and nobody else keeps it: its end is the end of the file.
    parent = subprocess.run(
        [sys.executable, "-c", script], env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=write, timeout=120
    )
    os.close(write)
    assert parent.returncode == -9
    with os.fdopen(read) as stderr:
        ended = bool(select.select([stderr], [], [], 60)[0])
        if not ended:
            os.kill(int(parent.stdout), signal.SIGKILL)
        assert ended, "the plugin still ran"
        assert stderr.read() == ""


def test_unknown_package_is_refused_at_the_start(tmp_path: Path) -> None:
    """An executable by another name says which packages there are."""
    done = subprocess.run(
        [sys.executable, "-m", "sandbox.providers.server", "azure"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    assert done.returncode == 1
    assert "'azure'; legal: " in done.stderr
