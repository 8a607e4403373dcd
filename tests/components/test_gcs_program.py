"""The program as a whole on Google Cloud Storage: the shipped stack, the guards, and what is only AWS'."""

from __future__ import annotations

from typing import Any

import pulumi
import pytest
import yaml
from pulumi.provider.experimental.analyzer import Analyzer, PropertyType

from components.gcs import GcsRecordingStorage
from components.gcs_settings import GcsStorageSettings
from components.s3 import S3RecordingStorage
from components.settings import parse_settings
from tests.components.deploying import PROJECT, ROOT, Deployment, as_text, run_main, schema, stack_config

STACK = "dev-gcs"
ASKED = ["gcp:organizations/getClientConfig:getClientConfig"]


def run(changes: dict[str, str] | None = None, **options: Any) -> Deployment:
    return run_main(stack_config(STACK) | (changes or {}), stack=STACK, **options)


def test_shipped_stack_declares_exactly_this() -> None:
    """It works as it is, and nothing of AWS is in it."""
    assert set(run().resources) == {
        ("recordings:index:GcsRecordingStorage", "recordings"),
        ("bucket", "recordings-bucket"),
        ("account", "recordings-writer"),
        ("bucketIAMMember", "recordings-writer-objectAdmin"),
        ("hmacKey", "recordings-writer-blue"),
        ("account", "recordings-reader"),
        ("bucketIAMMember", "recordings-reader-objectViewer"),
        ("hmacKey", "recordings-reader-blue"),
    }


def test_shipped_comments_would_work() -> None:
    """A line that the file offers as a comment is taken when the '#' goes."""
    offered: dict[str, Any] = {}
    for line in (ROOT / f"Pulumi.{STACK}.yaml").read_text().splitlines():
        if line.strip().startswith(("# recordings:", "# gcp:")):
            offered |= yaml.safe_load(line.strip().removeprefix("# "))
    assert offered["gcp:project"] == PROJECT
    outputs = run({key: as_text(value) for key, value in offered.items()}).outputs
    assert outputs["expectedAccount"] == PROJECT
    assert len(outputs["templateIds"]) == 1


def test_schema_defaults_are_those_of_the_settings() -> None:
    """Leaving a key out means the same with the schema as without it, keys of AWS included."""
    given = {"bucketName": "acme-recordings", "provider": "gcs"}
    raw = {key: as_text(entry["default"]) for key, entry in schema().items()} | given
    without = parse_settings(given, stack="dev", region="us")
    assert parse_settings(raw, stack="dev", region="us") == without


def refused(changes: dict[str, str]) -> tuple[str, Deployment]:
    deployment = Deployment()
    with pytest.raises(pulumi.RunError) as caught:
        run(changes, into=deployment)
    return str(caught.value), deployment


def test_bad_configuration_declares_nothing() -> None:
    """All faults in one message, without a traceback; Google is not even asked."""
    message, deployment = refused(
        {"recordings:bucketName": "my-google-bucket", "gcp:region": "Frankfurt!", "recordings:expectedAccount": PROJECT}
    )
    assert "bucketName = 'my-google-bucket'" in message
    assert "gcp:region = 'Frankfurt!'" in message
    assert (deployment.resources, deployment.calls, deployment.outputs) == ({}, [], {})


def test_region_is_that_of_google() -> None:
    """aws:region stands for nothing here."""
    config = stack_config(STACK)
    del config["gcp:region"]
    with pytest.raises(pulumi.RunError, match="gcp:region: is not configured: `pulumi config set gcp:region"):
        run_main(config | {"aws:region": "us-east-1"}, stack=STACK)


def test_wrong_project_and_location_declare_nothing() -> None:
    """Both are named at once, before anything is declared."""
    message, deployment = refused(
        {"recordings:expectedAccount": "another-project", "recordings:expectedRegions": '["us"]'}
    )
    assert f"made in Google project '{PROJECT}'" in message
    assert "'another-project'; set gcp:project" in message
    assert "gcp:region = 'europe-west1': recordings:expectedRegions has us" in message
    assert deployment.resources == {}


def test_project_is_asked_only_when_expected() -> None:
    """A stack that expects no project waits for no answer."""
    assert run().calls == []
    assert run({"recordings:expectedAccount": PROJECT}).calls == ASKED


def test_component_analyzer_takes_both_components() -> None:
    """Pulumi can make one schema of them; no type of one is taken for one of the other."""
    result = Analyzer("recordings").analyze([GcsRecordingStorage, S3RecordingStorage])
    component = result["component_definitions"]["GcsRecordingStorage"]
    assert component.inputs["corsOrigins"].type is PropertyType.ARRAY
    assert component.inputs["autoclass"].ref == "#/types/recordings:index:GcsAutoclass"
    assert {name for name, entry in component.inputs.items() if not entry.optional} == {"region", "bucketName"}
    assert all(entry.description for entry in (*component.inputs.values(), *component.outputs.values()))
    assert set(component.inputs_mapping.values()) == set(GcsStorageSettings.model_fields)
    assert {"writerSecretAccessKey", "readerKeys", "serviceAccountKey"} <= set(component.outputs)
    assert {"GcsStorageClass", "StorageClass"} <= set(result["type_definitions"])
