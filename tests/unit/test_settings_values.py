"""Every key of the configuration: what is taken, what is refused, and what a fault says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from components.s3_lifecycle import StorageClass
from components.settings import parse_settings
from components.settings_model import Settings, Slot
from recordings.errors import ConfigurationError
from recordings.outputs import KeyStatus, WriterAccess

KMS = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
EXTERNAL = {
    "principal": "arn:aws:iam::123456789012:user/writer",
    "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "secretAccessKey": "wJalrXUtnFEMI-K7MDENG-bPxRfiCYEXAMPLEKEY",
}
HEX = "64f0c0ffee0123456789abcd"
TEST_STACK = {"forceDestroy": True}


def parse(stack: str = "dev", region: str | None = "us-east-1", **values: Any) -> Settings:
    """Parse keys given as Python values, in the form in which Pulumi hands them over."""
    raw = {"bucketName": "acme-recordings", **values}
    return parse_settings(
        {key: value if isinstance(value, str) else json.dumps(value) for key, value in raw.items()},
        stack=stack,
        region=region,
        secret_keys=[key for key in raw if key.endswith("External")],
    )


def faults(**values: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(**values)
    return str(caught.value)


GOOD: list[tuple[str, Any, dict[str, Any]]] = [
    ("bucketName", "a.b-1", {}),
    ("bucketName", "a" * 63, {}),
    ("pathPrefix", "", {}),
    ("pathPrefix", "a/b-c_(1)'!./", {}),
    ("pathPrefix", "x" * 511 + "/", {}),
    ("corsOrigins", ["*"], {}),
    ("corsOrigins", ["https://a.example.com", "http://localhost:3000"], {}),
    ("corsOrigins", ["https://*.example.com", "http://127.0.0.1:8080", "http://[::1]:81"], {}),
    ("writerName", "a" * 64, {}),
    ("readerName", "x+=,.@_-", {}),
    ("writerKeys", {"green": "active"}, {"registeredKey": "green"}),
    ("writerKeys", {"blue": "active", "green": "inactive"}, {}),
    ("readerKeys", {"green": "active"}, {}),
    ("signingKey", "green", {"readerKeys": {"blue": "active", "green": "active"}}),
    ("writerExternal", EXTERNAL, {}),
    ("readerExternal", EXTERNAL, {}),
    ("permissionsBoundary", "arn:aws:iam::123456789012:policy/team/boundary", {}),
    ("permissionsBoundary", "arn:aws:iam::aws:policy/ReadOnlyAccess", {}),
    ("iamPath", "/", {}),
    ("iamPath", "/teams/video/", {}),
    ("tags", {"cost-center": "42", "Ämter": "a b"}, {}),
    ("tags", {f"k{n}": "" for n in range(47)}, {}),
    ("retentionDays", "0", {}),
    ("retentionDays", "36500", {}),
    ("oldVersionDays", "1", {}),
    ("kmsKey", KMS, {}),
    ("kmsKey", "arn:aws:kms:us-east-1:123456789012:key/mrk-" + "0" * 32, {}),
    ("accessLogBucket", "acme-logs", {}),
    ("expiresAt", "2027-01-31T12:00:00Z", TEST_STACK),
    ("environment", "Team.1", {}),
    ("templateIds", [HEX], {}),
    ("expectedAccount", "012345678901", {}),
    ("expectedRegions", ["us-east-1", "eu-central-1", "us-gov-west-1"], {}),
    ("expectedCustomer", HEX, {}),
    ("waivers", [{"id": "key-age", "reason": "until the audit is done", "expires": "2027-01-31"}], {}),
    ("waivers", [{"id": "key-age", "reason": "until the audit is done", "expires": "2027-01-31T00:00:00Z"}], {}),
]


@pytest.mark.parametrize(("key", "value", "beside"), GOOD, ids=lambda value: str(value)[:40])
def test_legal_value_is_taken(key: str, value: Any, beside: dict[str, Any]) -> None:
    """A legal value passes."""
    parse(**{key: value, **beside})


BAD: list[tuple[str, Any, str]] = [
    ("bucketName", "ab", "3 to 63"),
    ("bucketName", "a" * 64, "3 to 63"),
    ("bucketName", "Upper-case", "lower-case"),
    ("bucketName", "under_score", "lower-case"),
    ("bucketName", "-start", "begin and end"),
    ("bucketName", "end-", "begin and end"),
    ("bucketName", "a..b", "'..'"),
    ("bucketName", "192.168.5.4", "IP address"),
    ("bucketName", "999.1.1.1", "IP address"),
    ("bucketName", "xn--bucket", "xn--"),
    ("bucketName", "sthree-bucket", "sthree-"),
    ("bucketName", "bucket-s3alias", "-s3alias"),
    ("bucketName", "bucket--ol-s3", "--ol-s3"),
    ("bucketName", "bucket--x-s3", "--x-s3"),
    ("bucketName", "bucket\n", "lower-case"),
    ("pathPrefix", "/recordings/", "no leading '/'"),
    ("pathPrefix", "recordings", "end in '/'"),
    ("pathPrefix", "a/../b/", "'..'"),
    ("pathPrefix", "../", "'..'"),
    ("pathPrefix", "a//b/", "'//'"),
    ("pathPrefix", "/", "no leading '/'"),
    ("pathPrefix", "a\u0000b/", "letters, digits"),
    ("pathPrefix", "a*/", "letters, digits"),
    ("pathPrefix", "${aws:username}/", "letters, digits"),
    ("pathPrefix", "x" * 512 + "/", "512 bytes"),
    ("pathPrefix", ".recordings/a/", "operator"),
    ("corsOrigins", [], "at least one"),
    ("corsOrigins", "https://a.example.com", "list or map"),
    ("corsOrigins", ["*", "https://a.example.com"], "alone"),
    ("corsOrigins", ["https://a.example.com"] * 2, "twice"),
    ("corsOrigins", ["https://a.example.com/"], "no path"),
    ("corsOrigins", ["a.example.com"], "scheme://host"),
    ("corsOrigins", ["ftp://a.example.com"], "http or https"),
    ("corsOrigins", ["https://A.example.com"], "lower-case"),
    ("corsOrigins", ["https://*.*.example.com"], "one '*'"),
    ("corsOrigins", ["https://a.example.com:443"], "no default port"),
    ("corsOrigins", ["https://a.example.com:70000"], "scheme://host"),
    ("corsOrigins", ["https://user@a.example.com"], "scheme://host"),
    ("corsOrigins", ["https://a..example.com"], "scheme://host"),
    ("corsOrigins", ["null"], "scheme://host"),
    ("writerAccess", "admin", "'full', 'read-write' or 'upload-only'"),
    ("writerAccess", "", "'full', 'read-write' or 'upload-only'"),
    ("writerName", "a b", "1 to 64"),
    ("writerName", "a" * 65, "1 to 64"),
    ("readerName", "100MS-recording-user-dev", "differ from writerName"),
    ("writerKeys", {}, "at least one active"),
    ("writerKeys", {"blue": "inactive"}, "at least one active"),
    ("writerKeys", {"red": "active"}, "'blue' or 'green'"),
    ("writerKeys", {"blue": "on"}, "'active' or 'inactive'"),
    ("readerKeys", {"green": "inactive"}, "at least one active"),
    ("registeredKey", "green", "active slot of writerKeys: blue"),
    ("registeredKey", "red", "'blue' or 'green'"),
    ("writerExternal", {**EXTERNAL, "principal": "arn:aws:iam::123456789012:role/x"}, "IAM user"),
    ("writerExternal", {**EXTERNAL, "accessKeyId": "ASIAIOSFODNN7EXAMPLE"}, "lasting"),
    ("writerExternal", {**EXTERNAL, "secretAccessKey": ""}, "at least 16"),
    ("writerExternal", {k: v for k, v in EXTERNAL.items() if k != "principal"}, "writerExternal.principal: is missing"),
    ("writerExternal", {**EXTERNAL, "sessionToken": "x"}, "no such part"),
    ("permissionsBoundary", "boundary", "managed policy"),
    ("iamPath", "teams/", "begin and end with '/'"),
    ("iamPath", "//", "begin and end with '/'"),
    ("tags", {"aws:x": "y"}, "'aws:'"),
    ("tags", {"recordings:stack": "y"}, "this project's"),
    ("tags", {"a": "1", "A": "2"}, "upper and lower case"),
    ("tags", {"a": "x" * 257}, "256"),
    ("tags", {"a": 42}, "in quotes"),
    ("tags", {f"k{n}": "" for n in range(48)}, "at most 47"),
    ("retentionDays", "-1", "from 0 to 36500"),
    ("retentionDays", "1.5", "from 0 to 36500"),
    ("retentionDays", "36501", "from 0 to 36500"),
    ("oldVersionDays", "0", "from 1 to 36500"),
    ("kmsKey", "arn:aws:kms:us-east-1:123456789012:alias/x", "not of an alias"),
    ("kmsKey", KMS.replace("us-east-1", "eu-west-1"), "bucket's region, us-east-1"),
    ("accessLogBucket", "acme-recordings", "another bucket"),
    ("accessLogBucket", "X", "3 to 63"),
    ("forceDestroy", "yes", "true or false"),
    ("protect", "1", "true or false"),
    ("expiresAt", "2027-01-31", "UTC"),
    ("expiresAt", "2027-02-31T12:00:00Z", "UTC"),
    ("expiresAt", "2027-01-31T12:00:00Z", "forceDestroy true"),
    ("environment", "a b", "1 to 100"),
    ("templateIds", ["64F0C0FFEE0123456789ABCD"], "24 hexadecimal"),
    ("templateIds", [123], "in quotes"),
    ("templateIds", [HEX, HEX], "twice"),
    ("expectedAccount", "1234", "12 digits"),
    ("expectedRegions", ["Frankfurt"], "us-east-1"),
    ("expectedCustomer", "a b", "1 to 64"),
    ("waivers", "key-age", "{id, reason, expires}"),
    ("waivers", {"id": "key-age"}, "{id, reason, expires}"),
    ("waivers", [{"id": "key-age", "expires": "2027-01-31"}], "{id, reason, expires}"),
    ("waivers", [{"id": "key-age", "reason": "because", "expires": "2027-01-31"}], "at least 10 characters"),
    ("waivers", [{"id": "key-age", "reason": "long enough here", "expires": "2027-02-30"}], "last day"),
    ("waivers", [{"id": "key-age", "reason": "long enough here", "expires": "never"}], "last day"),
    ("waivers", [{"id": "key-age", "reason": "long enough here", "expires": "2027-01-31"}] * 2, "twice"),
    ("provider", "azure", "'s3' or 'gcs'"),
]


@pytest.mark.parametrize(("key", "value", "legal"), BAD, ids=lambda value: str(value)[:40])
def test_illegal_value_is_named(key: str, value: Any, legal: str) -> None:
    """A fault names the key and what is legal, and it is the only one."""
    message = faults(**{key: value})
    assert f"recordings:{key}" in message
    assert legal in message
    assert message.count("\n  recordings:") == 1, message


def test_value_is_shown_but_not_whole() -> None:
    """The value is quoted, and a very long one is cut."""
    assert "recordings:bucketName = 'Acme':" in faults(bucketName="Acme")
    assert len(faults(bucketName="X" * 5000)) < 1000
    assert "recordings:corsOrigins.1 = 'x':" in faults(corsOrigins=["https://a.example.com", "x"])


@pytest.mark.parametrize("region", [None, ""])
def test_region_missing_is_named(region: str | None) -> None:
    """Without aws:region the message says how to set it."""
    assert "aws:region: is not configured: `pulumi config set aws:region" in faults(region=region)


def test_region_malformed_is_named() -> None:
    """aws:region is checked too, under its own name."""
    assert "aws:region = 'Ireland': must be an AWS region" in faults(region="Ireland")


@pytest.mark.parametrize("value", ["", None])
def test_bucket_name_missing_is_named(value: str | None) -> None:
    """bucketName must be given: an empty one is the schema's default."""
    raw = {} if value is None else {"bucketName": value}
    with pytest.raises(ConfigurationError, match="recordings:bucketName: is not configured"):
        parse_settings(raw, stack="dev", region="us-east-1")


def test_all_faults_are_listed_at_once() -> None:
    """One run shows every fault, those between keys included."""
    message = faults(
        region="x", bucketName="A", pathPrefix="/a", registeredKey="green", protect=True, forceDestroy=True, bukket="b"
    )
    assert "\n  aws:region" in message
    for key in ("bucketName", "pathPrefix", "registeredKey", "bukket", "forceDestroy"):
        assert f"\n  recordings:{key}" in message


@pytest.mark.parametrize(("typo", "meant"), [("bucketname", "bucketName"), ("corsOrigin", "corsOrigins")])
def test_unknown_key_gets_a_suggestion(typo: str, meant: str) -> None:
    """A key that is none is refused with the nearest one; its value may be a secret and is not shown."""
    message = faults(**{typo: "hunter2"})
    assert f"recordings:{typo}: there is no such key; did you mean {meant}?" in message
    assert "hunter2" not in message


def test_unknown_key_unlike_any_lists_all() -> None:
    """With nothing near, all keys are listed."""
    assert "legal keys: accessLogBucket, adopt, autoclass, bucketName" in faults(zzzz="1")


def test_names_default_to_the_stacks() -> None:
    """Users, environment and tags follow the stack's name."""
    settings = parse(stack="pr-7")
    assert (settings.writer_name, settings.reader_name) == ("100ms-recording-user-pr-7", "100ms-recording-reader-pr-7")
    assert settings.environment == "pr-7"
    assert settings.all_tags == {"recordings:stack": "pr-7", "recordings:environment": "pr-7"}


def test_stack_name_too_long_for_a_user_is_named() -> None:
    """A stack name that IAM could not take in a user's name is reported under that key."""
    assert "recordings:writerName = '100ms-recording-user-" in faults(stack="s" * 60)


def test_values_arrive_typed() -> None:
    """Text becomes what the components work with, and can't be changed."""
    settings = parse(
        writerAccess="upload-only",
        writerKeys={"blue": "inactive", "green": "active"},
        registeredKey="green",
        storageClasses=[{"class": "GLACIER_IR", "afterDays": 1}],
        protect="true",
        tags={"a": "b"},
    )
    assert settings.writer_access is WriterAccess.UPLOAD_ONLY
    assert settings.writer_keys == {Slot.BLUE: KeyStatus.INACTIVE, Slot.GREEN: KeyStatus.ACTIVE}
    assert settings.storage_classes[0].storage_class is StorageClass.GLACIER_IR
    assert settings.protect is True
    with pytest.raises(TypeError):
        settings.tags["c"] = "d"  # type: ignore[index]  # that it is refused is the point
    with pytest.raises(ValueError, match="frozen"):
        settings.protect = False


@pytest.mark.parametrize(
    ("reader_keys", "registered", "expected"),
    [
        ({"blue": "active"}, "blue", "blue"),
        ({"blue": "active", "green": "active"}, "blue", "blue"),
        ({"blue": "active", "green": "active"}, "green", "green"),
        ({"blue": "active"}, "green", "blue"),
        ({"blue": "inactive", "green": "active"}, "blue", "green"),
    ],
)
def test_signing_key_follows_the_registered_one(reader_keys: dict[str, str], registered: str, expected: str) -> None:
    """The reader signs with the registered slot if it is active there, and else with the one that is."""
    both = {"blue": "active", "green": "active"}
    assert parse(readerKeys=reader_keys, registeredKey=registered, writerKeys=both).signing_slot == expected
