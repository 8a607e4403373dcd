"""The program as a whole: the shipped stacks, the schema, the guards, and that bad configuration declares nothing."""

from __future__ import annotations

import ast
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.provider.experimental.analyzer import Analyzer, PropertyType

from components.s3 import S3RecordingStorage
from components.s3_settings import S3StorageSettings
from components.settings import KEYS, parse_settings
from components.settings_model import Settings
from tests.components.deploying import ACCOUNT, ROOT, Deployment, as_text, run_main, schema, stack_config

STACKS = ("dev", "staging", "prod")
ALWAYS = {
    ("recordings:index:S3RecordingStorage", "recordings"),
    ("bucket", "recordings-bucket"),
    ("bucketPublicAccessBlock", "recordings-public-access"),
    ("bucketOwnershipControls", "recordings-ownership"),
    ("bucketServerSideEncryptionConfiguration", "recordings-encryption"),
    ("bucketPolicy", "recordings-policy"),
    ("bucketVersioning", "recordings-versioning"),
    ("bucketLifecycleConfiguration", "recordings-lifecycle"),
    ("bucketCorsConfiguration", "recordings-cors"),
    ("user", "recordings-writer"),
    ("userPolicy", "recordings-writer"),
    ("accessKey", "recordings-writer-blue"),
    ("user", "recordings-reader"),
    ("userPolicy", "recordings-reader"),
    ("accessKey", "recordings-reader-blue"),
}


@pytest.mark.parametrize("stack", STACKS)
def test_shipped_stack_declares_exactly_this(stack: str) -> None:
    """Each shipped stack works as it is; production adds the access log."""
    expected = ALWAYS | ({("bucketLogging", "recordings-access-log")} if stack == "prod" else set())
    assert set(run_main(stack_config(stack), stack=stack).resources) == expected


def shipped(stack: str) -> Settings:
    config = stack_config(stack)
    raw = {key.removeprefix("recordings:"): text for key, text in config.items() if key.startswith("recordings:")}
    return parse_settings(raw, stack=stack, region=config["aws:region"])


def test_shipped_stacks_differ_as_their_purpose() -> None:
    """dev is thrown away, staging is emptied in time, production is kept, logged, protected and named."""
    dev, staging, prod = (shipped(stack) for stack in STACKS)
    assert [s.writer_access for s in (dev, staging, prod)] == ["full", "read-write", "read-write"]
    assert [s.force_destroy for s in (dev, staging, prod)] == [True, False, False]
    assert [s.protect for s in (dev, staging, prod)] == [False, False, True]
    assert ["*" in s.cors_origins for s in (dev, staging, prod)] == [True, False, False]
    assert [s.retention_days for s in (dev, staging, prod)] == [14, 90, 0]
    assert prod.old_version_days > staging.old_version_days == dev.old_version_days
    assert prod.access_log_bucket
    assert len({s.bucket_name for s in (dev, staging, prod)}) == len(STACKS)


@pytest.mark.parametrize("stack", STACKS)
def test_shipped_comments_would_work(stack: str) -> None:
    """A line that the file offers as a comment is taken when the '#' goes."""
    offered: dict[str, Any] = {}
    for line in (ROOT / f"Pulumi.{stack}.yaml").read_text().splitlines():
        if line.strip().startswith("# recordings:"):
            offered |= yaml.safe_load(line.strip().removeprefix("# "))
    assert offered
    config = stack_config(stack) | {key: as_text(value) for key, value in offered.items()}
    assert run_main(config, stack=stack).outputs["expectedAccount"] == ACCOUNT


def test_schema_and_settings_have_the_same_keys() -> None:
    """A key that only one of the two knows could never be used."""
    assert set(schema()) == set(KEYS)


def test_schema_says_type_default_and_meaning() -> None:
    """Every key is typed, described, and has a default, or Pulumi would ask for all of them."""
    for key, entry in schema().items():
        assert {"type", "description", "default"} <= set(entry), key
        assert entry["default"] is not None, key
        assert entry["description"].endswith("."), key


def test_schema_defaults_are_those_of_the_settings() -> None:
    """Leaving a key out means the same with the schema as without it."""
    raw = {key: as_text(entry["default"]) for key, entry in schema().items()} | {"bucketName": "acme-recordings"}
    with_schema = parse_settings(raw, stack="dev", region="us-east-1")
    assert with_schema == parse_settings({"bucketName": "acme-recordings"}, stack="dev", region="us-east-1")


def test_main_is_short() -> None:
    """The program itself has at most 40 lines and a docstring."""
    text = (ROOT / "__main__.py").read_text()
    assert len(text.splitlines()) <= 40
    assert ast.get_docstring(ast.parse(text))


def refused(changes: dict[str, str]) -> tuple[str, Deployment]:
    deployment = Deployment()
    with pytest.raises(pulumi.RunError) as caught:
        run_main(stack_config("dev") | changes, into=deployment)
    return str(caught.value), deployment


def test_bad_configuration_declares_nothing() -> None:
    """All faults in one message, without a traceback; AWS is not even asked."""
    message, deployment = refused(
        {"recordings:bucketName": "A", "recordings:pathPrefix": "../", "recordings:expectedAccount": ACCOUNT}
    )
    assert "bucketName = 'A'" in message
    assert "pathPrefix = '../'" in message
    assert (deployment.resources, deployment.calls, deployment.outputs) == ({}, [], {})


def test_wrong_account_and_region_declare_nothing() -> None:
    """Both are named at once, before anything is declared."""
    message, deployment = refused(
        {"recordings:expectedAccount": "999999999999", "recordings:expectedRegions": '["eu-west-1"]'}
    )
    assert f"AWS account '{ACCOUNT}'" in message
    assert "'999999999999'" in message
    assert "aws:region = 'us-east-1': recordings:expectedRegions has eu-west-1" in message
    assert deployment.resources == {}


def test_account_is_asked_only_when_expected() -> None:
    """A stack that expects no account waits for no answer from AWS."""
    asked = ["aws:index/getCallerIdentity:getCallerIdentity"]
    assert run_main(stack_config("dev")).calls == []
    assert run_main(stack_config("dev") | {"recordings:expectedAccount": ACCOUNT}).calls == asked


def test_plain_external_key_is_refused_by_the_program() -> None:
    """What is secret is asked of Pulumi: an external key stored in plain text stops the program."""
    external = '{"principal": "p", "accessKeyId": "a", "secretAccessKey": "in-plain-text-here"}'
    message, deployment = refused({"recordings:writerExternal": external})
    assert "writerExternal: is stored in plain text" in message
    assert "in-plain-text-here" not in message
    assert deployment.resources == {}


def test_component_analyzer_takes_the_component() -> None:
    """Pulumi can make a schema of the component, so that other languages and projects can use it."""
    result = Analyzer("recordings").analyze([S3RecordingStorage])
    component = result["component_definitions"]["S3RecordingStorage"]
    assert component.inputs["corsOrigins"].type is PropertyType.ARRAY
    assert component.inputs["writerAccess"].ref == "#/types/recordings:index:WriterAccess"
    assert {name for name, entry in component.inputs.items() if not entry.optional} == {"region", "bucketName"}
    assert all(entry.description for entry in (*component.inputs.values(), *component.outputs.values()))
    assert set(component.inputs_mapping.values()) == set(S3StorageSettings.model_fields)
    assert {"writerSecretAccessKey", "readerKeys"} <= set(component.outputs)
