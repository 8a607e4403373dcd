"""What the stand-in for AWS refuses before any call: endpoints that are not ours, and what AWS would refuse."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st

from sandbox.providers.aws import AwsProvider
from sandbox.providers.aws.cloud import Cloud, CloudError, loopback_endpoint
from sandbox.providers.aws.iam_key import AccessKey, smtp_password
from sandbox.providers.aws.shapes import from_api, to_api
from sandbox.providers.base import ProviderError, ResourceState
from sandbox.values import UNKNOWN, Properties

PROVIDER = AwsProvider()
LIFECYCLE = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"
DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}


def failures(type_: str, inputs: Properties) -> Mapping[str, str]:
    return {f.property: f.reason for f in PROVIDER.check(type_, "x", None, inputs).failures}


def rule(**settings: Any) -> Properties:
    return {"bucket": "bucket", "rules": [{"id": "a", "status": "Enabled", **settings}]}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:4566",
        "https://s3.amazonaws.com",
        "http://169.254.169.254",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://127.0.0.1@s3.amazonaws.com",
        "http://[::ffff:10.0.0.1]:4566",
        "ftp://127.0.0.1",
    ],
)
def test_endpoint_off_the_loopback_interface_is_refused_by_name(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration whatever leads to a real cloud."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", url)
    with pytest.raises(ProviderError, match=r"AWS_ENDPOINT_URL .*loopback"):
        PROVIDER.configure({"region": "us-east-1"})


def test_refusal_of_an_endpoint_tells_no_password() -> None:
    """User information in a URL may be secret."""
    with pytest.raises(ProviderError) as caught:
        loopback_endpoint("https://user:hunter2@example.com/?token=hunter3")
    assert "example.com" in str(caught.value)
    assert "hunter" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:4566", "http://localhost:1", "http://[::1]:4566", "http://127.8.8.8"]
)
def test_endpoint_on_the_loopback_interface_is_taken(url: str) -> None:
    """All of 127.0.0.0/8, ::1 and localhost."""
    assert loopback_endpoint(url) == url


def test_other_provider_configuration_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not supported is never ignored in silence; what the engine itself sends is."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    PROVIDER.configure({"region": "us-east-1", "version": "7.51.1", "__internal": "{}"})
    with pytest.raises(ProviderError, match=r"aws:assumeRoles is not supported.*aws:region"):
        PROVIDER.configure({"region": "us-east-1", "assumeRoles": "[]"})


@pytest.mark.parametrize(
    ("absent", "named"), [("AWS_REGION", "aws:region"), ("AWS_SECRET_ACCESS_KEY", "AWS_SECRET_ACCESS_KEY")]
)
def test_missing_region_or_credentials_are_named(absent: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No profile and no metadata service stands in for what is not given."""
    for name in ("AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    monkeypatch.delenv(absent)
    with pytest.raises(ProviderError, match=named):
        AwsProvider().configure({})


def test_calls_before_configuration_are_refused() -> None:
    """There is no default endpoint to fall back to."""
    with pytest.raises(ProviderError, match="not configured"):
        AwsProvider().read("aws:s3/bucket:Bucket", "b", None, None)


def test_refusal_of_the_cloud_is_told_with_code_and_next_act() -> None:
    """Thing, code, the cloud's words, and what to do."""
    answer: Any = {"Error": {"Code": "BucketNotEmpty", "Message": "The bucket is not empty."}}
    told = r"^deleting bucket 'b': BucketNotEmpty: The bucket.*forceDestroy"
    with pytest.raises(CloudError, match=told), Cloud().asking("deleting bucket 'b'"):
        raise ClientError(answer, "DeleteBucket")


def test_unreachable_cloud_is_told_without_the_url_of_the_request() -> None:
    """The request's URL may be signed."""
    with pytest.raises(CloudError, match="sandbox running") as caught, Cloud().asking("reading bucket 'b'"):
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1/b?X-Amz-Signature=abc")
    assert "X-Amz" not in str(caught.value)


@pytest.mark.parametrize("name", ["ab", "Bucket", "-bucket", "bucket.", "a..b", "a_b", "a" * 64])
def test_impossible_bucket_name_is_refused(name: str) -> None:
    """S3's naming rules."""
    assert repr(name) in failures("aws:s3/bucket:Bucket", {"bucket": name})["bucket"]


@pytest.mark.parametrize(
    "setting", ["acl", "versioning", "corsRules", "lifecycleRules", "policy", "website", "bucketPrefix"]
)
def test_setting_with_a_resource_of_its_own_is_refused_in_the_bucket(setting: str) -> None:
    """What the stand-in would not do is an error by name."""
    value: Any = {"corsRules": [], "lifecycleRules": [], "versioning": {}}.get(setting, "private")
    assert "not supported" in failures("aws:s3/bucket:Bucket", {"bucket": "bucket", setting: value})[setting]


@pytest.mark.parametrize("path", ["x", "/x", "x/", "/a b/", ""])
def test_impossible_user_path_is_refused(path: str) -> None:
    """IAM's form of a path."""
    assert "no path" in failures("aws:iam/user:User", {"name": "u", "path": path})["path"]


@pytest.mark.parametrize(
    ("type_", "inputs", "path"),
    [
        ("aws:iam/user:User", {"name": "a b"}, "name"),
        ("aws:iam/user:User", {"name": "u" * 65}, "name"),
        ("aws:iam/accessKey:AccessKey", {"user": "u", "status": "active"}, "status"),
        ("aws:iam/accessKey:AccessKey", {"user": "u", "pgpKey": "k"}, "pgpKey"),
        ("aws:iam/userPolicy:UserPolicy", {"user": "u", "policy": "{"}, "policy"),
        ("aws:iam/userPolicy:UserPolicy", {"user": "u", "policy": "[]"}, "policy"),
        ("aws:s3/bucketPolicy:BucketPolicy", {"bucket": "b", "policy": "{}"}, "policy"),
        (
            "aws:s3/bucketCorsConfiguration:BucketCorsConfiguration",
            {"bucket": "b", "corsRules": [{"allowedMethods": ["OPTIONS"], "allowedOrigins": ["*"]}]},
            "corsRules[0].allowedMethods[0]",
        ),
        (
            "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
            {"bucket": "b", "rule": {"objectOwnership": "Mine"}},
            "rule.objectOwnership",
        ),
        (VERSIONING, {"bucket": "b", "versioningConfiguration": {"status": "On"}}, "versioningConfiguration.status"),
        (
            VERSIONING,
            {"bucket": "b", "versioningConfiguration": {"status": "Enabled", "mfaDelete": "Enabled"}},
            "versioningConfiguration.mfaDelete",
        ),
        (
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            {
                "bucket": "b",
                "rules": [{"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256", "kmsMasterKeyId": "k"}}],
            },
            "rules[0].applyServerSideEncryptionByDefault.kmsMasterKeyId",
        ),
        (
            "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
            {"bucket": "b", "rules": [{"blockedEncryptionTypes": ["SSE-C"]}]},
            "rules[0].blockedEncryptionTypes",
        ),
        (
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            {"bucket": "b", "skipDestroy": "yes"},
            "skipDestroy",
        ),
        (
            VERSIONING,
            {"bucket": "b", "versioningConfiguration": {"status": "Enabled"}, "expectedBucketOwner": "1"},
            "expectedBucketOwner",
        ),
        (LIFECYCLE, {"bucket": "b", "rules": []}, "rules"),
        (LIFECYCLE, rule(), "rules[0]"),
        (LIFECYCLE, {"bucket": "b", "rules": [rule(expiration={"days": 1})["rules"][0]] * 2}, "rules"),
        (LIFECYCLE, rule(status="On", expiration={"days": 1}), "rules[0].status"),
        (LIFECYCLE, rule(expiration={"days": 0}), "rules[0].expiration.days"),
        (LIFECYCLE, rule(expiration={"days": 1, "expiredObjectDeleteMarker": True}), "rules[0].expiration"),
        (LIFECYCLE, rule(expiration={"days": 1, "date": "2030-01-01T00:00:00Z"}), "rules[0].expiration"),
        (
            LIFECYCLE,
            rule(expiration={"expiredObjectDeleteMarker": True}, filter={"tag": {"key": "a", "value": "b"}}),
            "rules[0].expiration.expiredObjectDeleteMarker",
        ),
        (LIFECYCLE, rule(expiration={"days": 1}, filter={"prefix": "a"}, prefix="a"), "rules[0].prefix"),
        (LIFECYCLE, rule(transitions=[{"days": 29, "storageClass": "STANDARD_IA"}]), "rules[0].transitions[0].days"),
        (LIFECYCLE, rule(transitions=[{"days": 1, "storageClass": "ICE"}]), "rules[0].transitions[0].storageClass"),
        (
            LIFECYCLE,
            rule(transitions=[{"days": 60, "storageClass": "STANDARD_IA"}], expiration={"days": 60}),
            "rules[0].transitions[0]",
        ),
        (
            LIFECYCLE,
            rule(noncurrentVersionTransitions=[{"noncurrentDays": 3, "storageClass": "ONEZONE_IA"}]),
            "rules[0].noncurrentVersionTransitions[0].noncurrentDays",
        ),
    ],
)
def test_what_aws_would_refuse_is_refused(type_: str, inputs: Properties, path: str) -> None:
    """Told under the path of the value, before anything is called."""
    assert list(failures(type_, inputs)) == [path]


def test_values_that_are_not_known_yet_are_refused_by_nothing() -> None:
    """A preview may not fail for what it does not know."""
    assert failures(LIFECYCLE, {"bucket": UNKNOWN, "rules": UNKNOWN}) == {}
    assert failures("aws:iam/userPolicy:UserPolicy", {"user": UNKNOWN, "policy": UNKNOWN, "name": UNKNOWN}) == {}
    assert failures("aws:s3/bucket:Bucket", {"bucket": UNKNOWN}) == {}
    assert failures("aws:iam/user:User", {"name": UNKNOWN, "path": UNKNOWN}) == {}
    assert failures("aws:iam/accessKey:AccessKey", {"user": UNKNOWN, "status": UNKNOWN}) == {}


def test_policy_may_be_text_or_object() -> None:
    """As the official provider takes it."""
    for policy in (json.dumps(DOCUMENT), DOCUMENT):
        assert failures("aws:iam/userPolicy:UserPolicy", {"user": "u", "policy": policy}) == {}


def test_versioning_once_on_cannot_be_disabled() -> None:
    """As the official provider refuses it; suspending is legal, and so is another bucket."""
    old = ResourceState("b", {"bucket": "b", "versioningConfiguration": {"status": "Enabled"}}, {})

    def change(bucket: str, status: str) -> bool:
        new = {"bucket": bucket, "versioningConfiguration": {"status": status}}
        return bool(PROVIDER.diff(VERSIONING, old, new, []).changed)

    assert change("b", "Suspended")
    assert change("c", "Disabled")
    with pytest.raises(ProviderError, match="'Disabled'; legal: Enabled, Suspended"):
        change("b", "Disabled")


def test_smtp_password_is_the_documented_derivation() -> None:
    """Version byte 4, then HMAC-SHA256 over the documented chain: 33 bytes in base64; region and secret matter."""
    password = smtp_password("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1")
    assert (len(password), password[0]) == (44, "B")
    assert password != smtp_password("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-west-2")
    assert password != smtp_password("another", "us-east-1")


NAMES = st.from_regex(r"[a-z][A-Za-z]{2,8}", fullmatch=True).filter(lambda name: name != "tags")
SETTINGS = st.recursive(
    st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
)


@given(st.dictionaries(NAMES, SETTINGS, max_size=3), st.dictionaries(st.text(), st.text(), max_size=3))
def test_spelling_of_the_api_goes_both_ways(settings: Properties, tags: dict[str, str]) -> None:
    """Nothing is lost between Pulumi's names and the API's; tags are a list there and a map here."""
    whole = {**settings, "tags": tags, "id": "x", "sseAlgorithm": "AES256", "kmsMasterKeyId": "k"}
    spelt = to_api(whole)
    assert {"ID", "SSEAlgorithm", "KMSMasterKeyID", "Tags"} <= set(spelt)
    assert from_api(spelt) == whole


@pytest.mark.parametrize(
    ("used", "left"), [(None, ["AKIAOLD"]), (datetime(2026, 1, 3, tzinfo=UTC), ["AKIAOLD", "AKIANEW"])]
)
def test_key_that_was_ever_used_is_never_taken_for_lost(used: datetime | None, left: list[str]) -> None:
    """Only the newest unknown key can be what an interrupted create left, and nobody can have used that."""
    held = {"AKIAOLD": datetime(2026, 1, 1, tzinfo=UTC), "AKIANEW": datetime(2026, 1, 2, tzinfo=UTC)}

    def list_access_keys(UserName: str) -> Any:  # noqa: N803  # the API's own name, here and below
        return {"AccessKeyMetadata": [{"AccessKeyId": id_, "CreateDate": date} for id_, date in held.items()]}

    def get_access_key_last_used(AccessKeyId: str) -> Any:  # noqa: N803
        return {"AccessKeyLastUsed": {"LastUsedDate": used} if used else {}}

    def delete_access_key(UserName: str, AccessKeyId: str) -> None:  # noqa: N803
        del held[AccessKeyId]

    iam = SimpleNamespace(
        list_access_keys=list_access_keys,
        get_access_key_last_used=get_access_key_last_used,
        delete_access_key=delete_access_key,
    )
    cloud: Any = SimpleNamespace(iam=iam, asking=Cloud().asking)
    assert AccessKey(cloud).find({"user": "u"}, []) is None
    assert list(held) == left
