"""`S3RecordingStorage` under Pulumi's mocks: each configuration key's effect on what is declared."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from components.s3_settings import S3Settings
from recordings.outputs import StackOutputs, WriterAccess
from recordings.policies import reader_policy, writer_policy
from sandbox.providers.schema import check_properties
from tests.components.deploying import ACCOUNT, SECRET, Deployment, as_text, run_main, stack_config

KMS = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
BOUNDARY = "arn:aws:iam::123456789012:policy/boundary"
EXTERNAL = {
    "principal": "arn:aws:iam::210987654321:user/theirs",
    "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "secretAccessKey": "their-secret-access-key",
}
BOTH_KEYS = {"blue": "active", "green": "inactive"}
BUCKET = "acme-recordings"


def deployed(**values: Any) -> Deployment:
    """The program with the schema's defaults, a bucket name and `values`."""
    config = stack_config("dev") | {"recordings:forceDestroy": "false", "recordings:retentionDays": "0"}
    given = {"bucketName": BUCKET, **values}
    return run_main(
        config | {f"recordings:{key}": as_text(value) for key, value in given.items()},
        secret_keys=tuple(f"recordings:{key}" for key in values if key.endswith("External")),
    )


def rule(deployment: Deployment, rule_id: str) -> dict[str, Any]:
    rules = deployment.inputs("bucketLifecycleConfiguration")["rules"]
    found = [entry for entry in rules if entry["id"] == rule_id]
    assert len(found) == 1, rules
    return dict(found[0])


def policy(deployment: Deployment, name: str) -> Any:
    return json.loads(deployment.inputs("userPolicy", name)["policy"])


Check = Callable[[Deployment], object]
EFFECTS: list[tuple[str, Any, Check, object]] = [
    ("provider", "s3", lambda d: d.outputs["storageProvider"], "s3"),
    ("bucketName", "other", lambda d: d.inputs("bucket")["bucket"], "other"),
    (
        "pathPrefix",
        "a/b/",
        lambda d: policy(d, "recordings-writer")["Statement"][0]["Resource"],
        f"arn:aws:s3:::{BUCKET}/a/b/*",
    ),
    ("pathPrefix", "a/", lambda d: rule(d, "verify-objects")["filter"]["prefix"], "a/.verify/"),
    (
        "corsOrigins",
        ["https://a.example.com"],
        lambda d: d.inputs("bucketCorsConfiguration")["corsRules"][0]["allowedOrigins"],
        ["https://a.example.com"],
    ),
    (
        "writerAccess",
        "upload-only",
        lambda d: policy(d, "recordings-writer"),
        writer_policy(BUCKET, "us-east-1", "recordings/", WriterAccess.UPLOAD_ONLY),
    ),
    ("writerName", "w", lambda d: d.inputs("user", "recordings-writer")["name"], "w"),
    ("readerName", "r", lambda d: d.inputs("user", "recordings-reader")["name"], "r"),
    ("writerKeys", BOTH_KEYS, lambda d: d.inputs("accessKey", "recordings-writer-green")["status"], "Inactive"),
    ("readerKeys", BOTH_KEYS, lambda d: d.inputs("accessKey", "recordings-reader-green")["status"], "Inactive"),
    ("readerKeys", {"green": "active"}, lambda d: d.outputs["readerAccessKeyId"], "id-of-recordings-reader-green"),
    ("permissionsBoundary", BOUNDARY, lambda d: d.inputs("user", "recordings-writer")["permissionsBoundary"], BOUNDARY),
    ("permissionsBoundary", BOUNDARY, lambda d: d.inputs("user", "recordings-reader")["permissionsBoundary"], BOUNDARY),
    ("iamPath", "/video/", lambda d: d.inputs("user", "recordings-writer")["path"], "/video/"),
    ("tags", {"team": "video"}, lambda d: d.inputs("bucket")["tags"]["team"], "video"),
    ("tags", {"team": "video"}, lambda d: d.inputs("user", "recordings-reader")["tags"]["team"], "video"),
    ("retentionDays", 30, lambda d: rule(d, "recordings")["expiration"], {"days": 30}),
    ("retentionDays", 30, lambda d: rule(d, "recordings")["filter"], {"prefix": "recordings/"}),
    (
        "storageClasses",
        [{"class": "STANDARD_IA", "afterDays": 30}, {"class": "GLACIER", "afterDays": 90}],
        lambda d: rule(d, "recordings")["transitions"],
        [{"days": 30, "storageClass": "STANDARD_IA"}, {"days": 90, "storageClass": "GLACIER"}],
    ),
    ("oldVersionDays", 7, lambda d: rule(d, "old-versions")["noncurrentVersionExpiration"], {"noncurrentDays": 7}),
    (
        "kmsKey",
        KMS,
        lambda d: d.inputs("bucketServerSideEncryptionConfiguration")["rules"],
        [
            {
                "applyServerSideEncryptionByDefault": {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": KMS},
                "bucketKeyEnabled": True,
            }
        ],
    ),
    (
        "kmsKey",
        KMS,
        lambda d: policy(d, "recordings-reader"),
        reader_policy(BUCKET, "us-east-1", "recordings/", KMS),
    ),
    (
        "accessLogBucket",
        "acme-logs",
        lambda d: d.inputs("bucketLogging"),
        {"bucket": BUCKET, "targetBucket": "acme-logs", "targetPrefix": f"{BUCKET}/"},
    ),
    ("forceDestroy", True, lambda d: d.inputs("bucket")["forceDestroy"], True),
    ("forceDestroy", True, lambda d: d.inputs("user", "recordings-writer")["forceDestroy"], True),
    ("protect", True, lambda d: [r.name for r in d.resources.values() if r.protect], ["recordings-bucket"]),
    ("environment", "qa", lambda d: d.inputs("bucket")["tags"]["recordings:environment"], "qa"),
    ("kmsKey", KMS, lambda d: d.outputs["kmsKey"], KMS),
    ("accessLogBucket", "acme-logs", lambda d: d.outputs["accessLogBucket"], "acme-logs"),
    ("templateIds", ["6" * 24], lambda d: d.outputs["templateIds"], ["6" * 24]),
    ("expectedAccount", ACCOUNT, lambda d: d.outputs["expectedAccount"], ACCOUNT),
    ("expectedRegions", ["us-east-1"], lambda d: d.outputs["expectedRegions"], ["us-east-1"]),
    ("expectedCustomer", "6" * 24, lambda d: d.outputs["expectedCustomer"], "6" * 24),
    ("writerExternal", EXTERNAL, lambda d: d.names("user"), {"recordings-reader"}),
    ("writerExternal", EXTERNAL, lambda d: d.names("accessKey"), {"recordings-reader-blue"}),
    ("readerExternal", EXTERNAL, lambda d: d.names("userPolicy"), {"recordings-writer"}),
    ("writerPolicyName", "w", lambda d: d.inputs("userPolicy", "recordings-writer")["name"], "w"),
    ("readerPolicyName", "r", lambda d: d.inputs("userPolicy", "recordings-reader")["name"], "r"),
]
ELSEWHERE = {
    *("stack", "region", "endpointUrl", "registeredKey", "signingKey"),
    *("expiresAt", "formerBuckets", "adopt", "waivers"),
}
"""Each has a test of its own: here, in test_adoption, test_handover, test_guard_rules or test_settings_rules."""


@pytest.mark.parametrize(("key", "value", "look", "expected"), EFFECTS, ids=[effect[0] for effect in EFFECTS])
def test_key_has_its_effect(key: str, value: Any, look: Check, expected: object) -> None:
    """Each configuration key reaches the resource that it is about, and would not be so without it."""
    assert look(deployed(**{key: value})) == expected


def test_every_key_has_an_effect_that_is_tested() -> None:
    """A key that is added is tested or fails here."""
    keys = {str(field.alias) for field in S3Settings.model_fields.values()}
    assert keys - {key for key, *_ in EFFECTS} == ELSEWHERE


def test_default_stack_has_every_guard() -> None:
    """With nothing but a name the bucket is private, encrypted, versioned, owner-enforced and TLS-only."""
    deployment = deployed()
    block = deployment.inputs("bucketPublicAccessBlock")
    assert [
        block[f] for f in ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
    ] == [True] * 4
    assert deployment.inputs("bucketOwnershipControls")["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    assert deployment.inputs("bucketServerSideEncryptionConfiguration")["rules"] == [
        {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}
    ]
    assert deployment.inputs("bucketVersioning")["versioningConfiguration"] == {"status": "Enabled"}
    denied = json.loads(deployment.inputs("bucketPolicy")["policy"])["Statement"]
    assert [s["Sid"] for s in denied] == ["DenyPlainHttp", "DenyOldTls"]


def test_default_cors_lets_players_seek() -> None:
    """GET and HEAD from anywhere, with the headers that a player needs to ask for a range and read the answer."""
    assert deployed().inputs("bucketCorsConfiguration")["corsRules"] == [
        {
            "allowedOrigins": ["*"],
            "allowedMethods": ["GET", "HEAD"],
            "allowedHeaders": ["*"],
            "exposeHeaders": ["Content-Range", "Accept-Ranges", "Content-Length", "ETag"],
            "maxAgeSeconds": 3600,
        }
    ]


def test_default_lifecycle_keeps_recordings() -> None:
    """By default no rule touches a current object outside of `.verify/`; rules all have status and filter."""
    rules = deployed().inputs("bucketLifecycleConfiguration")["rules"]
    assert [(r["id"], r["status"], r["filter"]) for r in rules] == [
        ("unfinished-uploads", "Enabled", {"prefix": ""}),
        ("old-versions", "Enabled", {"prefix": ""}),
        ("verify-objects", "Enabled", {"prefix": "recordings/.verify/"}),
        ("verify-markers", "Enabled", {"prefix": "recordings/.verify/"}),
    ]
    assert [r["id"] for r in rules if "days" in r.get("expiration", {}) or "transitions" in r] == ["verify-objects"]
    assert rules[0]["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}
    assert rules[1]["noncurrentVersionExpiration"] == {"noncurrentDays": 30}
    assert rules[2]["noncurrentVersionExpiration"] == {"noncurrentDays": 1}
    assert rules[3]["expiration"] == {"expiredObjectDeleteMarker": True}


def test_slots_make_keys() -> None:
    """A slot is a key of its own name, an absent slot is none, and the outputs show the registered one."""
    both = {"blue": "active", "green": "active"}
    deployment = deployed(writerKeys=both, readerKeys={"green": "active"}, registeredKey="green")
    assert deployment.names("accessKey") == {
        "recordings-writer-blue",
        "recordings-writer-green",
        "recordings-reader-green",
    }
    assert deployment.outputs["writerAccessKeyId"] == "id-of-recordings-writer-green"
    assert deployment.outputs["writerSecretAccessKey"] == SECRET + "recordings-writer-green"
    assert deployment.outputs["readerAccessKeyId"] == "id-of-recordings-reader-green"
    assert set(deployment.outputs["writerKeys"]) == {"blue", "green"}


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_external_key_is_passed_on(role: str) -> None:
    """An external key fills the same outputs, and its owner is told what to allow it."""
    deployment = deployed(**{f"{role}External": EXTERNAL})
    outputs = StackOutputs.from_mapping(deployment.outputs)
    key = {"writer": outputs.writer_keys, "reader": outputs.reader_keys}[role]["blue"]
    assert (key.id, key.secret.get_secret_value()) == (EXTERNAL["accessKeyId"], EXTERNAL["secretAccessKey"])
    assert deployment.outputs[f"{role}Principal"] == EXTERNAL["principal"]
    told = json.loads(deployment.outputs[f"{role}Policy"])
    place = (BUCKET, "us-east-1", "recordings/")
    assert told == (writer_policy(*place, WriterAccess.FULL) if role == "writer" else reader_policy(*place))


@pytest.mark.parametrize("values", [{}, {"writerExternal": EXTERNAL}, {"readerExternal": EXTERNAL}])
def test_secrets_are_marked(values: dict[str, Any]) -> None:
    """Exactly the outputs that hold a secret are secret; an id is none. No input of a resource holds one."""
    deployment = deployed(**values)
    secret = {"writerSecretAccessKey", "readerSecretAccessKey", "writerKeys", "readerKeys"}
    assert deployment.secrets == secret
    plain = json.dumps({key: value for key, value in deployment.outputs.items() if key not in secret})
    declared = json.dumps([resource.inputs for resource in deployment.resources.values()])
    for text in (plain, declared):
        assert SECRET not in text
        assert EXTERNAL["secretAccessKey"] not in text


def test_outputs_are_the_contract() -> None:
    """What is exported is what the library reads, and only what is configured is there."""
    outputs = StackOutputs.from_mapping(deployed().outputs)
    assert outputs.bucket_name == BUCKET
    assert outputs.registered_key == "blue"
    assert outputs.writer_principal == f"arn:aws:iam::{ACCOUNT}:user/100ms-recording-user-dev"
    assert outputs.endpoint_url is None
    absent = {"endpointUrl", "expectedAccount", "expectedRegions", "expectedCustomer", "expiresAt", "writerPolicy"}
    assert not absent & set(deployed().outputs)


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_endpoint_comes_from_the_environment(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the sandbox the outputs say where S3 is; the more particular variable wins."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://127.0.0.1:1")
    monkeypatch.setenv(variable, "https://127.0.0.1:2")
    assert deployed().outputs["endpointUrl"] == "https://127.0.0.1:2"


def test_children_belong_to_the_component_and_wait() -> None:
    """Everything is a child of the component; policy waits for the block, ageing for versions, keys for rights."""
    deployment = deployed(accessLogBucket="acme-logs")
    component = deployment.resources.pop(("recordings:index:S3RecordingStorage", "recordings"))
    assert component.type == "recordings:index:S3RecordingStorage"
    for resource in deployment.resources.values():
        assert resource.parent.endswith("recordings:index:S3RecordingStorage::recordings")
    after = {key: resource.after for key, resource in deployment.resources.items()}
    assert "BucketPublicAccessBlock recordings-public-access" in after["bucketPolicy", "recordings-policy"]
    assert "BucketVersioning recordings-versioning" in after["bucketLifecycleConfiguration", "recordings-lifecycle"]
    for role in ("writer", "reader"):
        assert after["accessKey", f"recordings-{role}-blue"] == {
            f"User recordings-{role}",
            f"UserPolicy recordings-{role}",
        }
    assert all("Bucket recordings-bucket" in a for (type_, _), a in after.items() if type_.startswith("bucket") and a)


def test_inputs_fit_the_sdk() -> None:
    """Every input of every resource, with every option on, is one that pulumi_aws has, of its type."""
    deployment = deployed(
        kmsKey=KMS,
        accessLogBucket="acme-logs",
        permissionsBoundary=BOUNDARY,
        iamPath="/video/",
        retentionDays=400,
        storageClasses=[{"class": "GLACIER", "afterDays": 1}],
        forceDestroy=True,
        expiresAt="2027-01-31T12:00:00Z",
    )
    declared = [resource for resource in deployment.resources.values() if resource.type.startswith("aws:")]
    for resource in declared:
        assert check_properties(args_class(resource.type), resource.inputs)[1] == [], resource
    assert len(declared) == 15


def args_class(type_: str) -> type:
    """The class of pulumi_aws that holds the inputs of a resource type."""
    place, name = type_.removeprefix("aws:").split(":")
    package, camel = place.split("/")
    file = "".join(f"_{c.lower()}" if c.isupper() else c for c in camel)
    module = importlib.import_module(f"pulumi_aws.{package}.{file}")
    found = getattr(module, f"{name}InitArgs", None) or getattr(module, f"{name}Args")
    assert isinstance(found, type)
    return found


def test_component_takes_no_bad_arguments() -> None:
    """Used without the settings, the component checks its arguments itself, before it declares anything."""
    from components.s3 import S3RecordingStorage
    from recordings.errors import ConfigurationError
    from tests.components.deploying import deploy

    deployment = Deployment()
    with pytest.raises(ConfigurationError, match="S3RecordingStorage cannot be used") as caught:
        deploy(
            lambda: vars(S3RecordingStorage("x", {"region": "us-east-1", "bucket_name": "A", "writer_name": "w"})),
            into=deployment,
        )
    assert "bucketName = 'A'" in str(caught.value)
    assert "give readerName" in str(caught.value)
    assert deployment.resources == {}
