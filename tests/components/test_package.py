"""The Pulumi package: what it says that its components take and give, and that what is secret stays so on the wire."""

from __future__ import annotations

import base64
import re
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any, cast

import grpc
import pytest
import yaml
from pydantic.alias_generators import to_camel

from components.gcs_args import GcsRecordingStorageArgs
from components.gcs_settings import GcsStorageSettings
from components.s3_args import S3RecordingStorageArgs
from components.s3_settings import S3StorageSettings
from components.settings_model import StorageSettings
from package.__main__ import VERSION
from recordings.outputs import StackOutputs
from sandbox.values import UNKNOWN, Secret, Value
from tests.components import package_stand
from tests.components.package_stand import ISSUED, ROOT, Engine, ForgetfulMonitor, Package

ARGS = {"S3RecordingStorage": S3RecordingStorageArgs, "GcsRecordingStorage": GcsRecordingStorageArgs}
MODELS: dict[str, type[StorageSettings]] = {
    "S3RecordingStorage": S3StorageSettings,
    "GcsRecordingStorage": GcsStorageSettings,
}
THEIRS = "a-secret-that-somebody-else-issued"
INPUTS: dict[str, dict[str, Value]] = {
    "S3RecordingStorage": {
        "region": "us-east-1",
        "bucketName": "acme-recordings",
        "writerName": "writer",
        "writerAccess": "read-write",
        "writerKeys": {"blue": "active", "green": "inactive"},
        "readerExternal": {
            "principal": "arn:aws:iam::123456789012:user/theirs",
            "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
            "secretAccessKey": Secret(THEIRS),
        },
        "storageClasses": [{"storageClass": "STANDARD_IA", "afterDays": 30}],
        "retentionDays": 90,
        "formerBuckets": [{"bucketName": "acme-old", "region": "eu-west-1"}],
        "tags": {"CostCentre": "video"},
    },
    "GcsRecordingStorage": {
        "region": "europe-west1",
        "bucketName": "acme-recordings",
        "writerName": "writer-one",
        "readerExternal": {
            "principal": "theirs@acme.iam.gserviceaccount.com",
            "accessKeyId": "GOOG1EXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLEEXAMPLE",
            "secretAccessKey": Secret(THEIRS),
        },
        "retentionDays": 90,
    },
}
_NEEDED = {field.alias for field in StackOutputs.model_fields.values() if field.is_required()}
SECRETS = {"writerSecretAccessKey", "readerSecretAccessKey", "writerKeys", "readerKeys"}


@pytest.fixture(scope="module")
def package() -> Iterator[Package]:
    with package_stand.running() as running:
        yield running


@pytest.fixture(scope="module")
def schema(package: Package) -> dict[str, Any]:
    return package.schema()


def test_schema_has_both_components_under_one_name_and_version(schema: dict[str, Any]) -> None:
    """Their types are those of stacks deployed from Python, so that a program in another language takes one over."""
    assert schema["resources"].keys() == {f"recordings:index:{name}" for name in ARGS}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (schema["name"], schema["version"], VERSION) == ("recordings", project["version"], project["version"])


@pytest.mark.parametrize("component", ARGS)
def test_schema_has_every_setting_as_input(component: str, schema: dict[str, Any]) -> None:
    """Named as in the configuration; needed is only what has no default."""
    resource = schema["resources"][f"recordings:index:{component}"]
    settings = MODELS[component].model_fields.values()
    assert resource["inputProperties"].keys() == {field.alias for field in settings}
    assert resource["inputProperties"].keys() == {to_camel(key) for key in ARGS[component].__annotations__}
    assert {*resource["requiredInputs"]} == {field.alias for field in settings if field.is_required()}
    assert resource["properties"].keys() >= SECRETS | {"bucketName", "region", "writerPrincipal", "readerPrincipal"}


def _properties(schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, each in [*schema["resources"].items(), *schema["types"].items()]:
        yield name, each
        for group in ("inputProperties", "properties"):
            yield from ((f"{name}.{key}", value) for key, value in each.get(group, {}).items())


def test_schema_describes_and_types_everything(schema: dict[str, Any]) -> None:
    """Whoever types in an editor is told in a sentence, and stopped at a wrong type; nothing is of any type."""
    for name, each in _properties(schema):
        assert re.fullmatch(r"[A-Z{].*\.", each.get("description", ""), re.DOTALL), name
        reference = each.get("$ref")
        if reference:
            assert reference.removeprefix("#/types/") in schema["types"], name
        elif name not in schema["resources"]:
            assert each["type"] in {"string", "integer", "boolean", "array", "object"}, name
    for name, each in _properties(schema):
        for part in ("items", "additionalProperties"):
            inner = each.get(part, {}).get("$ref", "").removeprefix("#/types/")
            assert not schema["types"].get(inner, {}).get("enum"), f"{name}: the component host loses its values"


@pytest.mark.parametrize("component", ARGS)
def test_secrets_are_secret_in_outputs_and_state(component: str, package: Package) -> None:
    """Issued keys and those that somebody else made: marked for the program, sealed in the state, in no message."""
    engine = Engine()
    outputs = package.construct(engine, component, INPUTS[component])
    assert {name for name, value in outputs.items() if isinstance(value, Secret)} == SECRETS
    keys = outputs["writerKeys"].value["blue"], outputs["readerKeys"].value["blue"]
    assert keys[0]["secret"] == outputs["writerSecretAccessKey"].value == ISSUED + keys[0]["id"]
    assert keys[1]["secret"] == outputs["readerSecretAccessKey"].value == THEIRS
    for text in (engine.state(), *engine.seen.messages):
        for canary in (ISSUED, THEIRS):
            assert canary not in text
            assert base64.b64encode(canary.encode()).decode().rstrip("=")[:-1] not in text


@pytest.mark.parametrize("component", ARGS)
def test_secrets_are_secret_where_nobody_else_marks_them(component: str, package: Package) -> None:
    """Neither the SDK, nor the provider, nor a program that gives the key of another as plain text."""
    external = {**cast("dict[str, Value]", INPUTS[component]["readerExternal"]), "secretAccessKey": THEIRS}
    engine = Engine(monitor=ForgetfulMonitor)
    outputs = package.construct(engine, component, {**INPUTS[component], "readerExternal": external})
    assert {name for name, value in outputs.items() if isinstance(value, Secret)} == SECRETS
    registered = next(step.resource.outputs for step in engine.seen.steps if step.resource.type.endswith(component))
    assert {name for name, value in registered.items() if isinstance(value, Secret)} == SECRETS


def test_inputs_arrive_as_they_were_given(package: Package) -> None:
    """Lists, maps, whole numbers and choices reach the component through Pulumi's protocol, which has no such types."""
    engine = Engine()
    package.construct(engine, "S3RecordingStorage", INPUTS["S3RecordingStorage"])
    declared = {step.resource.name: step.resource.inputs for step in engine.seen.steps}
    assert declared["recordings-bucket"]["tags"] == {"CostCentre": "video"}
    assert declared["recordings-writer-green"]["status"] == "Inactive"
    rules = {rule["id"]: rule for rule in declared["recordings-lifecycle"]["rules"]}
    moved = next(rule for rule in rules.values() if "transitions" in rule)
    assert moved["transitions"] == [{"days": 30, "storageClass": "STANDARD_IA"}]
    assert "arn:aws:s3:::acme-recordings/" in declared["recordings-writer"]["policy"]


def test_json_key_is_secret(package: Package) -> None:
    """The service account's own key, where one is asked for, is as secret as the others."""
    inputs = {**INPUTS["GcsRecordingStorage"], "readerName": "reader-one", "serviceAccountKey": True}
    del inputs["readerExternal"]
    engine = Engine()
    outputs = package.construct(engine, "GcsRecordingStorage", inputs)
    assert outputs["serviceAccountKey"].value.startswith(ISSUED)
    assert ISSUED not in engine.state()


@pytest.mark.parametrize("component", ARGS)
def test_preview_knows_what_is_given_and_nothing_more(component: str, package: Package) -> None:
    """In a preview of another language's program keys are unknown, the bucket's name is not."""
    outputs = package.construct(Engine(dry_run=True), component, INPUTS[component])
    assert outputs["bucketName"] == "acme-recordings"
    assert outputs["writerSecretAccessKey"] is UNKNOWN
    assert outputs["readerSecretAccessKey"] == Secret(THEIRS)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"retentionDays": 1.5}, "must be a whole number"),
        ({"writerKeys": {"blue": "on"}}, "must be 'active' or 'inactive'"),
        ({"bucketName": "No"}, "must be 3 to 63"),
        ({"bucketName": UNKNOWN}, "bucketName: must be known before the deployment"),
        ({"corsOrigins": Secret(["https://a.example"])}, "corsOrigins: must be known before the deployment"),
    ],
)
def test_unusable_input_is_refused_before_anything_is_declared(
    fault: dict[str, Value], told: str, package: Package
) -> None:
    """As in the configuration: every rule holds in every language, and the message says what is legal."""
    engine = Engine()
    with pytest.raises(grpc.RpcError, match=told):
        package.construct(engine, "S3RecordingStorage", {**INPUTS["S3RecordingStorage"], **fault})
    assert [step.resource.type for step in engine.seen.steps] == ["pulumi:pulumi:Stack"]


def test_requirements_of_the_package_are_the_locked_ones() -> None:
    """Pulumi installs them for whoever uses the package: the versions with which it was tested."""
    wanted = {line for line in (ROOT / "package" / "requirements.txt").read_text().splitlines() if "==" in line}
    locked = {line.removesuffix(" \\") for line in (ROOT / "requirements.lock").read_text().splitlines()}
    assert {line.partition("==")[0] for line in wanted} == {"pulumi", "pulumi-aws", "pulumi-gcp", "pydantic"}
    assert wanted <= locked
    manifest = yaml.safe_load((ROOT / "package" / "PulumiPlugin.yaml").read_text())
    assert manifest["runtime"]["name"] == "python"


def _example(language: str) -> str:
    """The example of docs/package.md in one language."""
    found = re.search(rf"```{language}\n(.*?)```", (ROOT / "docs" / "package.md").read_text(), re.DOTALL)
    assert found
    return found[1]


def test_yaml_example_fits_schema_and_contract(schema: dict[str, Any]) -> None:
    """Every input and output that it names exists, and `recordings` finds in its outputs what it cannot do without."""
    program = yaml.safe_load(_example("yaml"))
    component = schema["resources"]["recordings:index:S3RecordingStorage"]
    given = program["resources"]["recordings"]["properties"]
    assert {*component["requiredInputs"]} <= given.keys() <= component["inputProperties"].keys()
    used = {value.split(".")[1][:-1] for value in program["outputs"].values() if "${recordings." in value}
    assert SECRETS <= used <= component["properties"].keys()
    assert _NEEDED <= program["outputs"].keys() <= {field.alias for field in StackOutputs.model_fields.values()}


@pytest.mark.parametrize(("language", "exported"), [("typescript", r"\b(\w+)\b"), ("go", r'Export\("(\w+)"')])
def test_other_examples_export_the_same(language: str, exported: str, schema: dict[str, Any]) -> None:
    """One contract, whatever language it is written in."""
    text = _example(language)
    assert {*yaml.safe_load(_example("yaml"))["outputs"]} <= {*re.findall(exported, text)}
    inputs = schema["resources"]["recordings:index:S3RecordingStorage"]["inputProperties"].keys()
    given = {name[0].lower() + name[1:] for name in re.findall(r"^\s+(\w+):\s", text, re.MULTILINE)}
    assert {"region", "bucketName"} < given <= inputs
