"""What the stand-in for Google refuses before any call: addresses that are not ours, and what Google would refuse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.providers.base import ProviderError, ResourceState
from sandbox.providers.gcp import GcpProvider
from sandbox.providers.gcp.bucket_shape import inputs_of, resource
from sandbox.providers.gcp.cloud import _refusal
from sandbox.values import UNKNOWN, Properties

PROVIDER = GcpProvider()
BUCKET = "gcp:storage/bucket:Bucket"
MEMBER = "gcp:storage/bucketIAMMember:BucketIAMMember"
ACCOUNT = "gcp:serviceaccount/account:Account"
HMAC = "gcp:storage/hmacKey:HmacKey"
JSON_KEY = "gcp:serviceaccount/key:Key"
URL = "https://127.0.0.1:1"
ENDPOINTS = ("GOOGLE_STORAGE_CUSTOM_ENDPOINT", "GOOGLE_IAM_CUSTOM_ENDPOINT", "GOOGLE_RESOURCE_MANAGER_CUSTOM_ENDPOINT")
PROJECTS = ("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")


def failures(type_: str, inputs: Properties) -> Mapping[str, str]:
    return {f.property: f.reason for f in PROVIDER.check(type_, "x", None, inputs).failures}


def credentials(folder: Path, **changes: Any) -> str:
    key = {"client_email": "e", "private_key": "k", "private_key_id": "i", "token_uri": f"{URL}/token", **changes}
    path = folder / "key.json"
    path.write_text(json.dumps({name: value for name, value in key.items() if value is not None}))
    return str(path)


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment in which configuring succeeds."""
    for name in ENDPOINTS:
        monkeypatch.setenv(name, f"{URL}/")
    for name in PROJECTS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GOOGLE_PROJECT", "project")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", credentials(tmp_path))
    return monkeypatch


@pytest.mark.parametrize("variable", ENDPOINTS)
@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://storage.googleapis.com/storage/v1/",
        "http://169.254.169.254/",
        "http://127.0.0.1@storage.googleapis.com",
    ],
)
def test_endpoint_off_the_loopback_interface_is_refused_by_name(
    variable: str, url: str, environment: pytest.MonkeyPatch
) -> None:
    """No configuration whatever leads to a real cloud."""
    environment.setenv(variable, url)
    with pytest.raises(ProviderError, match=rf"{variable} .*loopback"):
        GcpProvider().configure({})


@pytest.mark.parametrize("uri", ["https://oauth2.googleapis.com/token", ""])
def test_token_is_never_asked_of_google(uri: str, environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A real key in the environment sends nothing to Google either."""
    environment.setenv("GOOGLE_APPLICATION_CREDENTIALS", credentials(tmp_path, token_uri=uri))
    with pytest.raises(ProviderError, match=r"token_uri in GOOGLE_APPLICATION_CREDENTIALS .*loopback"):
        GcpProvider().configure({})


@pytest.mark.parametrize(("content", "told"), [("{", "JSONDecodeError"), ("[]", "TypeError"), ("{}", "KeyError")])
def test_credentials_that_are_none_are_named(
    content: str, told: str, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The file is named, its content is not shown."""
    (tmp_path / "bad.json").write_text(content)
    environment.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "bad.json"))
    with pytest.raises(ProviderError, match=rf"bad\.json.*{told}.*sandbox env"):
        GcpProvider().configure({})


@pytest.mark.parametrize(
    ("absent", "named"),
    [("GOOGLE_PROJECT", "gcp:project"), ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_APPLICATION_CREDENTIALS")],
)
def test_missing_project_or_credentials_are_named(absent: str, named: str, environment: pytest.MonkeyPatch) -> None:
    """Nothing stands in for what is not given."""
    environment.delenv(absent)
    with pytest.raises(ProviderError, match=f"{named} is not set"):
        GcpProvider().configure({})


@pytest.mark.parametrize("variable", PROJECTS)
def test_project_comes_from_where_the_official_provider_looks(variable: str, environment: pytest.MonkeyPatch) -> None:
    """Configuration first, then the four variables."""
    environment.delenv("GOOGLE_PROJECT")
    environment.setenv(variable, "from-the-environment")
    provider = GcpProvider()
    provider.configure({"version": "9.37.1", "__internal": "{}"})
    assert provider.cloud.project == "from-the-environment"
    provider.configure({"project": "configured"})
    assert provider.cloud.project == "configured"


def test_other_provider_configuration_is_refused_by_name(environment: pytest.MonkeyPatch) -> None:
    """What is not supported is never ignored in silence."""
    with pytest.raises(ProviderError, match=r"gcp:impersonateServiceAccount is not supported.*gcp:project"):
        GcpProvider().configure({"impersonateServiceAccount": "x"})


def test_calls_before_configuration_are_refused() -> None:
    """There is no default endpoint to fall back to."""
    with pytest.raises(ProviderError, match="not configured"):
        GcpProvider().read(BUCKET, "b", None, None)


def test_private_key_that_is_none_is_told_without_it(environment: pytest.MonkeyPatch) -> None:
    """The fault shows before the first request, and nothing of the key in it."""
    provider = GcpProvider()
    provider.configure({})
    with pytest.raises(ProviderError, match="private key in GOOGLE_APPLICATION_CREDENTIALS cannot be used"):
        provider.read(BUCKET, "b", None, None)


def rule(action: Any = None, **condition: Any) -> Properties:
    rules = [{"action": action or {"type": "Delete"}, "condition": condition}]
    return {"name": "bucket", "location": "EU", "lifecycleRules": rules}


def bucket(**inputs: Any) -> Properties:
    return {"name": "bucket", "location": "EU", **inputs}


CLASS = {"type": "SetStorageClass", "storageClass": "NEARLINE"}
REFUSED: list[tuple[str, Properties, str]] = [
    (BUCKET, {"name": "Bucket", "location": "EU"}, "name"),
    (BUCKET, {"name": "goog-x", "location": "EU"}, "name"),
    (BUCKET, {"name": "a-google-b", "location": "EU"}, "name"),
    (BUCKET, {"name": "bucket"}, "location"),
    (BUCKET, bucket(colour="red"), "colour"),
    (BUCKET, bucket(versioning=True), "versioning"),
    (BUCKET, bucket(website={"mainPageSuffix": "x"}), "website"),
    (BUCKET, bucket(retentionPolicy={"retentionPeriod": "1"}), "retentionPolicy"),
    (BUCKET, bucket(deletionPolicy="PREVENT"), "deletionPolicy"),
    (BUCKET, bucket(labels={"A": "x"}), "labels"),
    (BUCKET, bucket(storageClass="COLD"), "storageClass"),
    (BUCKET, bucket(publicAccessPrevention="on"), "publicAccessPrevention"),
    (BUCKET, bucket(softDeletePolicy={"retentionDurationSeconds": 3600}), "softDeletePolicy.retentionDurationSeconds"),
    (BUCKET, bucket(autoclass={"enabled": True, "terminalStorageClass": "COLDLINE"}), "autoclass.terminalStorageClass"),
    (BUCKET, bucket(autoclass={"enabled": True}, storageClass="NEARLINE"), "storageClass"),
    (BUCKET, {**rule(CLASS, age=1), "autoclass": {"enabled": True}}, "lifecycleRules[0].action.type"),
    (BUCKET, rule({"type": "Remove"}, age=1), "lifecycleRules[0].action.type"),
    (BUCKET, rule({"type": "SetStorageClass"}, age=1), "lifecycleRules[0].action.storageClass"),
    (BUCKET, rule({"type": "Delete", "storageClass": "NEARLINE"}, age=1), "lifecycleRules[0].action.storageClass"),
    (BUCKET, rule(age=1, withState="DEAD"), "lifecycleRules[0].condition.withState"),
    (BUCKET, rule(sizeAboveBytes=1, age=1), "lifecycleRules[0].condition.sizeAboveBytes"),
    (BUCKET, rule(), "lifecycleRules[0].condition"),
    (BUCKET, rule({"type": "AbortIncompleteMultipartUpload"}, age=7, withState="LIVE"), "lifecycleRules[0].condition"),
    (BUCKET, rule({"type": "AbortIncompleteMultipartUpload"}, numNewerVersions=1), "lifecycleRules[0].condition"),
    (MEMBER, {"bucket": "b", "role": "objectViewer", "member": "user:a@b.c"}, "role"),
    (MEMBER, {"bucket": "b", "role": "roles/x", "member": "a@b.c"}, "member"),
    (MEMBER, {"bucket": "b", "role": "roles/x", "member": "deleted:serviceAccount:a@b.c?uid=1"}, "member"),
    (MEMBER, {"bucket": "b", "role": "roles/x", "member": "user:a@b.c", "condition": {"title": "t"}},
     "condition.expression"),
    (ACCOUNT, {"accountId": "short"}, "accountId"),
    (ACCOUNT, {"accountId": "100ms-recording"}, "accountId"),
    (ACCOUNT, {"accountId": "a" * 31}, "accountId"),
    (ACCOUNT, {"accountId": "account", "displayName": "x" * 101}, "displayName"),
    (ACCOUNT, {"accountId": "account", "description": "ü" * 129}, "description"),
    (ACCOUNT, {"accountId": "account", "disabled": True}, "disabled"),
    (ACCOUNT, {"accountId": "account", "createIgnoreAlreadyExists": True}, "createIgnoreAlreadyExists"),
    (HMAC, {"serviceAccountEmail": "e", "state": "Inactive"}, "state"),
    (HMAC, {}, "serviceAccountEmail"),
    (JSON_KEY, {"serviceAccountId": "e", "privateKeyType": "TYPE_PKCS12_FILE"}, "privateKeyType"),
    (JSON_KEY, {"serviceAccountId": "e", "publicKeyData": "x"}, "publicKeyData"),
]  # fmt: skip


@pytest.mark.parametrize(("type_", "inputs", "path"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_google_would_refuse_is_refused(type_: str, inputs: Properties, path: str) -> None:
    """Told under the path of the value, before anything is called."""
    assert list(failures(type_, inputs)) == [path]


def test_values_that_are_not_known_yet_are_refused_by_nothing() -> None:
    """A preview may not fail for what it does not know."""
    unknown_rule = {"action": {"type": UNKNOWN}, "condition": {"age": UNKNOWN, "withState": UNKNOWN}}
    settings = dict.fromkeys(("labels", "cors", "autoclass", "storageClass", "softDeletePolicy"), UNKNOWN)
    assert failures(BUCKET, {"name": UNKNOWN, "location": UNKNOWN, "lifecycleRules": [unknown_rule], **settings}) == {}
    assert failures(MEMBER, {"bucket": UNKNOWN, "role": UNKNOWN, "member": UNKNOWN, "condition": UNKNOWN}) == {}
    assert failures(ACCOUNT, {"accountId": UNKNOWN, "displayName": UNKNOWN}) == {}
    assert failures(HMAC, {"serviceAccountEmail": UNKNOWN, "state": UNKNOWN}) == {}


@pytest.mark.parametrize(("type_", "changed"), [
    (BUCKET, "name"), (BUCKET, "location"), (BUCKET, "project"),
    (ACCOUNT, "accountId"), (HMAC, "serviceAccountEmail"), (MEMBER, "role"), (MEMBER, "condition"),
])  # fmt: skip
def test_what_cannot_change_in_place_is_replaced(type_: str, changed: str) -> None:
    """As officially."""
    old = ResourceState("id", {changed: "old"}, {})
    diff = PROVIDER.diff(type_, old, {changed: "new"}, [])
    assert list(diff.replaces) == [changed]


def test_location_is_the_same_in_small_letters() -> None:
    """Google shows it in capitals; that alone replaces no bucket."""
    old = ResourceState("b", {"name": "b", "location": "EUROPE-WEST1"}, {})
    assert not PROVIDER.diff(BUCKET, old, {"name": "b", "location": "europe-west1"}, []).changed


def test_refusal_is_told_in_each_of_googles_forms() -> None:
    """The storage API's, IAM's with what was violated, OAuth's, and none at all; each with the next act."""

    def told(status: int, body: object) -> str:
        return str(_refusal("doing it", status, body if isinstance(body, bytes) else json.dumps(body).encode()))

    assert told(409, {"error": {"message": "The bucket you tried to delete is not empty."}}) == (
        "doing it: 409 The bucket you tried to delete is not empty. "
        "Empty the bucket, or set forceDestroy and deploy once before it is deleted."
    )
    violation = {"violations": [{"type": "constraints/iam.disableServiceAccountKeyCreation"}]}
    forbidden = told(400, {"error": {"message": "Not allowed.", "details": [violation]}})
    assert "400 Not allowed (constraints/iam.disableServiceAccountKeyCreation). An organisation policy" in forbidden
    assert "invalid_grant. Run it as the operator" in told(400, {"error": "invalid_grant", "error_description": "x"})
    assert told(502, b"<html>") == "doing it: HTTP 502."


_words = st.text("abc", min_size=1, max_size=4)
_conditions = st.fixed_dictionaries(
    {"withState": st.sampled_from(["LIVE", "ARCHIVED", "ANY"])},
    optional={
        "age": st.integers(1, 400),
        "daysSinceNoncurrentTime": st.integers(1, 400),
        "numNewerVersions": st.integers(1, 9),
        "createdBefore": st.just("2027-01-31"),
        "matchesPrefixes": st.lists(_words, min_size=1, max_size=3),
        "matchesStorageClasses": st.lists(st.sampled_from(["NEARLINE", "ARCHIVE"]), min_size=1, max_size=2),
    },
)
_cors = st.fixed_dictionaries(
    {"origins": st.lists(_words, min_size=1, max_size=3), "methods": st.just(["GET"])},
    optional={"responseHeaders": st.lists(_words, min_size=1), "maxAgeSeconds": st.integers(1, 9)},
)
_settings = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.dictionaries(_words, _words),
        "cors": st.lists(_cors, max_size=2),
        "lifecycleRules": st.lists(
            st.fixed_dictionaries({"action": st.just(CLASS), "condition": _conditions}), max_size=3
        ),
        "uniformBucketLevelAccess": st.booleans(),
        "publicAccessPrevention": st.sampled_from(["inherited", "enforced"]),
        "versioning": st.fixed_dictionaries({"enabled": st.booleans()}),
        "softDeletePolicy": st.fixed_dictionaries({"retentionDurationSeconds": st.integers(604_800, 7_776_000)}),
        "autoclass": st.just({"enabled": True, "terminalStorageClass": "ARCHIVE"}),
        "encryption": st.just({"defaultKmsKeyName": "k"}),
        "logging": st.just({"logBucket": "l", "logObjectPrefix": "p"}),
    },
)


@given(_settings)
def test_spelling_of_the_api_goes_both_ways(settings: Properties) -> None:
    """Nothing is lost between Pulumi's names and the API's."""
    api = {key: value for key, value in resource(settings).items() if value is not None}
    back = inputs_of({**api, "name": "b", "location": "EU"})
    assert {name: back[name] for name in settings} == settings
