"""`GcsRecordingStorage` under Pulumi's mocks: each configuration key's effect on what is declared."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from recordings.outputs import StackOutputs, StorageProvider, WriterAccess
from recordings.policies_gcs import Binding, reader_bindings, writer_bindings
from sandbox.providers.schema import check_properties
from tests.components.deploying import JSON_KEY, PROJECT, SECRET, Deployment, as_text, run_main, stack_config

KMS = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"
EXTERNAL = {
    "principal": "theirs@their-project.iam.gserviceaccount.com",
    "accessKeyId": "GOOG1E" + "A" * 55,
    "secretAccessKey": "their-secret-access-key",
}
BOTH_KEYS = {"blue": "active", "green": "inactive"}
BUCKET = "acme-recordings"
WRITER = f"hms-rec-dev-gcs@{PROJECT}.iam.gserviceaccount.com"
READER = f"hms-rec-reader-dev-gcs@{PROJECT}.iam.gserviceaccount.com"


def deployed(**values: Any) -> Deployment:
    """The program with the schema's defaults, a bucket name and `values`."""
    config = stack_config("dev-gcs") | {"recordings:forceDestroy": "false", "recordings:retentionDays": "0"}
    given = {"bucketName": BUCKET, **values}
    return run_main(
        config | {f"recordings:{key}": as_text(value) for key, value in given.items()},
        stack="dev-gcs",
        secret_keys=tuple(f"recordings:{key}" for key in values if key.endswith("External")),
    )


def bucket(deployment: Deployment) -> dict[str, Any]:
    return deployment.inputs("bucket")


def rules(deployment: Deployment, type_: str) -> list[dict[str, Any]]:
    return [rule for rule in bucket(deployment)["lifecycleRules"] if rule["action"]["type"] == type_]


def condition(prefix: str, state: str, **more: Any) -> dict[str, Any]:
    return {"withState": state, **({"matchesPrefixes": [prefix]} if prefix else {}), **more}


def bound(deployment: Deployment, role: str) -> list[dict[str, Any]]:
    """What the policy of a bucket gets for the writer or the reader."""
    names = sorted(name for name in deployment.names("bucketIAMMember") if name.startswith(f"recordings-{role}"))
    return [deployment.inputs("bucketIAMMember", name) for name in names]


def granted(email: str, bindings: list[Binding], bucket_name: str = BUCKET) -> list[dict[str, Any]]:
    """The same for `email`, from the policies as data."""
    member = f"serviceAccount:{email}"
    return [
        {"bucket": bucket_name, "role": b["role"], "member": member, "condition": dict(b["condition"])}
        for b in sorted(bindings, key=lambda b: b["role"])
    ]


Check = Callable[[Deployment], object]
EFFECTS: list[tuple[str, Any, Check, object]] = [
    ("provider", "gcs", lambda d: d.outputs["storageProvider"], "gcs"),
    ("bucketName", "other", lambda d: bucket(d)["name"], "other"),
    (
        "pathPrefix",
        "a/b/",
        lambda d: bound(d, "writer"),
        granted(WRITER, writer_bindings(BUCKET, "a/b/", WriterAccess.FULL)),
    ),
    (
        "pathPrefix",
        "a/",
        lambda d: [r["condition"].get("matchesPrefixes") for r in rules(d, "Delete")][1:],
        [["a/.verify/"]] * 2,
    ),
    ("pathPrefix", "", lambda d: bound(d, "reader"), granted(READER, reader_bindings(BUCKET, ""))),
    ("corsOrigins", ["https://a.example"], lambda d: bucket(d)["cors"][0]["origins"], ["https://a.example"]),
    (
        "writerAccess",
        "read-write",
        lambda d: bound(d, "writer"),
        granted(WRITER, writer_bindings(BUCKET, "recordings/", WriterAccess.READ_WRITE)),
    ),
    (
        "writerAccess",
        "upload-only",
        lambda d: bound(d, "writer"),
        granted(WRITER, writer_bindings(BUCKET, "recordings/", WriterAccess.UPLOAD_ONLY)),
    ),
    ("writerName", "writer", lambda d: d.inputs("account", "recordings-writer")["accountId"], "writer"),
    ("readerName", "reader", lambda d: d.inputs("account", "recordings-reader")["accountId"], "reader"),
    ("writerKeys", BOTH_KEYS, lambda d: d.inputs("hmacKey", "recordings-writer-green")["state"], "INACTIVE"),
    ("readerKeys", BOTH_KEYS, lambda d: d.inputs("hmacKey", "recordings-reader-green")["state"], "INACTIVE"),
    ("readerKeys", {"green": "active"}, lambda d: d.outputs["readerAccessKeyId"], "id-of-recordings-reader-green"),
    ("tags", {"team": "video"}, lambda d: bucket(d)["labels"]["team"], "video"),
    (
        "retentionDays",
        30,
        lambda d: rules(d, "Delete")[-1]["condition"],
        condition("recordings/", "LIVE", age=30),
    ),
    (
        "storageClasses",
        [{"class": "NEARLINE", "afterDays": 30}, {"class": "ARCHIVE", "afterDays": 90}],
        lambda d: rules(d, "SetStorageClass"),
        [
            {
                "action": {"type": "SetStorageClass", "storageClass": name},
                "condition": condition("recordings/", "LIVE", age=days),
            }
            for name, days in (("NEARLINE", 30), ("ARCHIVE", 90))
        ],
    ),
    (
        "autoclass",
        "ARCHIVE",
        lambda d: bucket(d)["autoclass"],
        {"enabled": True, "terminalStorageClass": "ARCHIVE"},
    ),
    (
        "oldVersionDays",
        7,
        lambda d: rules(d, "Delete")[0]["condition"],
        condition("", "ARCHIVED", daysSinceNoncurrentTime=7),
    ),
    ("kmsKey", KMS, lambda d: bucket(d)["encryption"], {"defaultKmsKeyName": KMS}),
    (
        "accessLogBucket",
        "acme-logs",
        lambda d: bucket(d)["logging"],
        {"logBucket": "acme-logs", "logObjectPrefix": BUCKET},
    ),
    ("serviceAccountKey", True, lambda d: d.outputs["serviceAccountKey"], JSON_KEY),
    (
        "serviceAccountKey",
        True,
        lambda d: d.inputs("key")["serviceAccountId"],
        f"projects/{PROJECT}/serviceAccounts/{READER}",
    ),
    (
        "formerBuckets",
        [{"bucketName": "old", "region": "EU", "pathPrefix": "p/"}],
        lambda d: [m for m in bound(d, "reader") if m["bucket"] == "old"],
        granted(READER, reader_bindings("old", "p/"), "old"),
    ),
    (
        "formerBuckets",
        [{"bucketName": "old", "region": "EU"}],
        lambda d: d.outputs["formerBuckets"],
        [{"bucketName": "old", "region": "eu", "pathPrefix": ""}],
    ),
    ("forceDestroy", True, lambda d: bucket(d)["forceDestroy"], True),
    ("protect", True, lambda d: [r.name for r in d.resources.values() if r.protect], ["recordings-bucket"]),
    ("environment", "QA.1", lambda d: bucket(d)["labels"]["recordings-environment"], "qa-1"),
    ("kmsKey", KMS, lambda d: d.outputs["kmsKey"], KMS),
    ("accessLogBucket", "acme-logs", lambda d: d.outputs["accessLogBucket"], "acme-logs"),
    ("templateIds", ["6" * 24], lambda d: d.outputs["templateIds"], ["6" * 24]),
    ("expectedAccount", PROJECT, lambda d: d.outputs["expectedAccount"], PROJECT),
    ("expectedRegions", ["EUROPE-WEST1"], lambda d: d.outputs["expectedRegions"], ["europe-west1"]),
    ("expectedCustomer", "6" * 24, lambda d: d.outputs["expectedCustomer"], "6" * 24),
    ("writerExternal", EXTERNAL, lambda d: d.names("account"), {"recordings-reader"}),
    ("writerExternal", EXTERNAL, lambda d: d.names("hmacKey"), {"recordings-reader-blue"}),
    ("readerExternal", EXTERNAL, lambda d: d.names("hmacKey"), {"recordings-writer-blue"}),
    (
        "writerExternal",
        EXTERNAL,
        lambda d: bound(d, "writer"),
        granted(EXTERNAL["principal"], writer_bindings(BUCKET, "recordings/", WriterAccess.FULL)),
    ),
]


@pytest.mark.parametrize(("key", "value", "look", "expected"), EFFECTS, ids=[effect[0] for effect in EFFECTS])
def test_key_has_its_effect(key: str, value: Any, look: Check, expected: object) -> None:
    """Each configuration key reaches the resource that it is about, and would not be so without it."""
    assert look(deployed(**{key: value})) == expected


def test_every_key_has_an_effect_that_is_tested() -> None:
    """A key that is added is tested too; what only another provider knows, expiry and adopting are tested elsewhere."""
    from components.gcs_settings import GcsSettings

    keys = {field.alias for field in GcsSettings.model_fields.values()}
    untested = {"stack", "region", "endpointUrl", "registeredKey", "signingKey", "expiresAt", "adopt", "waivers"}
    assert keys - untested == {effect[0] for effect in EFFECTS}


def test_region_becomes_the_location() -> None:
    """Google shows locations in upper case, people and 100ms get them as regions are written."""
    deployment = run_main(stack_config("dev-gcs") | {"gcp:region": "EU"}, stack="dev-gcs")
    assert bucket(deployment)["location"] == "EU"
    assert deployment.outputs["region"] == "eu"


def test_default_stack_has_every_guard() -> None:
    """With nothing but a name the bucket is private, without ACLs, versioned, and keeps what is deleted for a while."""
    declared = bucket(deployed())
    assert declared["uniformBucketLevelAccess"] is True
    assert declared["publicAccessPrevention"] == "enforced"
    assert declared["versioning"] == {"enabled": True}
    assert declared["softDeletePolicy"] == {"retentionDurationSeconds": 604_800}
    assert not {"encryption", "logging", "autoclass"} & set(declared)


def test_default_cors_lets_players_seek() -> None:
    """GET and HEAD from anywhere; the one list of headers has what a page sends and what it reads."""
    assert bucket(deployed())["cors"] == [
        {
            "origins": ["*"],
            "methods": ["GET", "HEAD"],
            "responseHeaders": [
                "Content-Range",
                "Accept-Ranges",
                "Content-Length",
                "Content-Type",
                "ETag",
                "Range",
            ],
            "maxAgeSeconds": 3600,
        }
    ]


def test_default_lifecycle_keeps_recordings() -> None:
    """By default no rule touches a live object outside of `.verify/`."""
    delete = {"type": "Delete"}
    assert bucket(deployed())["lifecycleRules"] == [
        {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 7, "withState": "ANY"}},
        {"action": delete, "condition": condition("", "ARCHIVED", daysSinceNoncurrentTime=30)},
        {"action": delete, "condition": condition("recordings/.verify/", "LIVE", age=1)},
        {"action": delete, "condition": condition("recordings/.verify/", "ARCHIVED", daysSinceNoncurrentTime=1)},
    ]


def test_slots_make_keys() -> None:
    """A slot is a key of its own name, an absent slot is none, and the outputs show the registered one."""
    both = {"blue": "active", "green": "active"}
    deployment = deployed(writerKeys=both, readerKeys={"green": "active"}, registeredKey="green")
    assert deployment.names("hmacKey") == {
        "recordings-writer-blue",
        "recordings-writer-green",
        "recordings-reader-green",
    }
    assert deployment.outputs["writerAccessKeyId"] == "id-of-recordings-writer-green"
    assert deployment.outputs["writerSecretAccessKey"] == SECRET + "recordings-writer-green"
    assert set(deployment.outputs["writerKeys"]) == {"blue", "green"}


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_external_key_is_passed_on(role: str) -> None:
    """An external key fills the same outputs; nobody has to attach a policy, as it is the bucket's."""
    deployment = deployed(**{f"{role}External": EXTERNAL})
    outputs = StackOutputs.from_mapping(deployment.outputs)
    key = {"writer": outputs.writer_keys, "reader": outputs.reader_keys}[role]["blue"]
    assert (key.id, key.secret.get_secret_value()) == (EXTERNAL["accessKeyId"], EXTERNAL["secretAccessKey"])
    assert deployment.outputs[f"{role}Principal"] == EXTERNAL["principal"]
    assert {member["member"] for member in bound(deployment, role)} == {f"serviceAccount:{EXTERNAL['principal']}"}
    assert f"{role}Policy" not in deployment.outputs


@pytest.mark.parametrize(
    "values", [{}, {"writerExternal": EXTERNAL}, {"readerExternal": EXTERNAL}, {"serviceAccountKey": True}]
)
def test_secrets_are_marked(values: dict[str, Any]) -> None:
    """Exactly the outputs that hold a secret are secret; an id is none. No input of a resource holds one."""
    deployment = deployed(**values)
    secret = {"writerSecretAccessKey", "readerSecretAccessKey", "writerKeys", "readerKeys"}
    secret |= {"serviceAccountKey"} & set(values)
    assert deployment.secrets == secret
    plain = json.dumps({key: value for key, value in deployment.outputs.items() if key not in secret})
    declared = json.dumps([resource.inputs for resource in deployment.resources.values()])
    for text in (plain, declared):
        assert SECRET not in text
        assert EXTERNAL["secretAccessKey"] not in text


def test_outputs_are_the_contract() -> None:
    """What is exported is what the library reads, and only what is configured is there."""
    deployment = deployed()
    outputs = StackOutputs.from_mapping(deployment.outputs)
    assert outputs.storage_provider is StorageProvider.GCS
    assert (outputs.bucket_name, outputs.region, outputs.registered_key) == (BUCKET, "europe-west1", "blue")
    assert (outputs.writer_principal, outputs.reader_principal) == (WRITER, READER)
    absent = {"endpointUrl", "expectedAccount", "expectedRegions", "expiresAt", "serviceAccountKey", "formerBuckets"}
    absent |= {"kmsKey", "accessLogBucket"}
    assert not absent & set(deployment.outputs)


def test_endpoint_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the sandbox the outputs say where Cloud Storage is: the variable names the JSON API there."""
    monkeypatch.setenv("GOOGLE_STORAGE_CUSTOM_ENDPOINT", "https://127.0.0.1:2/storage/v1/")
    assert deployed().outputs["endpointUrl"] == "https://127.0.0.1:2"


def test_expiry_becomes_a_label() -> None:
    """In the alphabet of labels."""
    labels = bucket(deployed(expiresAt="2027-01-31T12:00:00Z", forceDestroy=True))["labels"]
    assert labels == {
        "recordings-stack": "dev-gcs",
        "recordings-environment": "dev-gcs",
        "recordings-expires-at": "2027-01-31t12-00-00z",
    }


def test_children_belong_to_the_component_and_wait() -> None:
    """Everything is a child of the component; keys wait for the rights, rights for bucket and account."""
    deployment = deployed(serviceAccountKey=True)
    component = deployment.resources.pop(("recordings:index:GcsRecordingStorage", "recordings"))
    assert component.type == "recordings:index:GcsRecordingStorage"
    for resource in deployment.resources.values():
        assert resource.parent.endswith("recordings:index:GcsRecordingStorage::recordings")
    after = {key: resource.after for key, resource in deployment.resources.items()}
    for role, binding in (("writer", "objectAdmin"), ("reader", "objectViewer")):
        member = f"BucketIAMMember recordings-{role}-{binding}"
        assert after["hmacKey", f"recordings-{role}-blue"] == {f"Account recordings-{role}", member}
        assert after["bucketIAMMember", f"recordings-{role}-{binding}"] == {
            "Bucket recordings-bucket",
            f"Account recordings-{role}",
        }
    assert after["key", "recordings-reader-json"] == {
        "Account recordings-reader",
        "BucketIAMMember recordings-reader-objectViewer",
    }


def test_inputs_fit_the_sdk() -> None:
    """Every input of every resource, with every option on, is one that pulumi_gcp has, of its type."""
    deployment = deployed(
        kmsKey=KMS,
        accessLogBucket="acme-logs",
        retentionDays=400,
        storageClasses=[{"class": "NEARLINE", "afterDays": 1}],
        forceDestroy=True,
        expiresAt="2027-01-31T12:00:00Z",
        serviceAccountKey=True,
        writerAccess="read-write",
        formerBuckets=[{"bucketName": "old", "region": "us"}],
    )
    declared = [resource for resource in deployment.resources.values() if resource.type.startswith("gcp:")]
    for resource in declared:
        assert check_properties(args_class(resource.type), resource.inputs)[1] == [], resource
    assert len(declared) == 10


def args_class(type_: str) -> type:
    """The class of pulumi_gcp that holds the inputs of a resource type."""
    place, name = type_.removeprefix("gcp:").split(":")
    package = place.split("/")[0]
    files = {"BucketIAMMember": "bucket_iam_member", "HmacKey": "hmac_key"}
    module = importlib.import_module(f"pulumi_gcp.{package}.{files.get(name, name.lower())}")
    found = getattr(module, f"{name}Args")
    assert isinstance(found, type)
    return found


def test_component_takes_no_bad_arguments() -> None:
    """Used without the settings, the component checks its arguments itself, before it declares anything."""
    from components.gcs import GcsRecordingStorage
    from recordings.errors import ConfigurationError
    from tests.components.deploying import deploy

    deployment = Deployment()
    with pytest.raises(ConfigurationError, match="GcsRecordingStorage cannot be used") as caught:
        deploy(
            lambda: vars(GcsRecordingStorage("x", {"region": "us", "bucket_name": "a.b", "writer_name": "100ms-x"})),
            into=deployment,
        )
    assert "bucketName = 'a.b'" in str(caught.value)
    assert "writerName = '100ms-x': must be 6 to 30" in str(caught.value)
    assert "give readerName" in str(caught.value)
    assert deployment.resources == {}
