"""The configuration on Google Cloud Storage: what is taken, what is refused, and what only another provider knows."""

from __future__ import annotations

import contextlib
import json
import re
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import gcs_rules
from components.gcs_lifecycle import Action, GcsStorageClass, Versions, lifecycle_rules
from components.gcs_settings import GcsSettings
from components.settings import KEYS, parse_settings
from recordings.errors import ConfigurationError

KMS = "projects/acme-keys/locations/europe-west1/keyRings/ring/cryptoKeys/recordings"
EXTERNAL = {
    "principal": "writer@acme-video.iam.gserviceaccount.com",
    "accessKeyId": "GOOG1E" + "A" * 55,
    "secretAccessKey": "bGoa+V7g/yqDXvKRqq+JTFn4uQZbPiQJo4pf9RzJ",
}
HEX = "64f0c0ffee0123456789abcd"


def parse(stack: str = "dev", region: str | None = "europe-west1", **values: Any) -> GcsSettings:
    """Parse keys given as Python values, in the form in which Pulumi hands them over."""
    raw = {"provider": "gcs", "bucketName": "acme-recordings", **values}
    settings = parse_settings(
        {key: value if isinstance(value, str) else json.dumps(value) for key, value in raw.items()},
        stack=stack,
        region=region,
        secret_keys=[key for key in raw if key.endswith("External")],
    )
    assert isinstance(settings, GcsSettings)
    return settings


def faults(**values: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        parse(**values)
    return str(caught.value)


def steps(*pairs: tuple[str, object]) -> list[dict[str, object]]:
    return [{"class": name, "afterDays": days} for name, days in pairs]


GOOD: list[tuple[str, Any, dict[str, Any]]] = [
    ("bucketName", "a_b-1", {}),
    ("bucketName", "a" * 63, {}),
    ("pathPrefix", "", {}),
    ("corsOrigins", ["https://a.example.com", "http://localhost:3000"], {}),
    ("writerName", "writer", {}),
    ("writerName", "a" * 30, {}),
    ("readerName", "a-1-b2", {}),
    ("writerExternal", EXTERNAL, {}),
    ("readerExternal", {**EXTERNAL, "principal": "123-compute@developer.gserviceaccount.com"}, {}),
    ("tags", {"team": "video", "cost_center": "42-a", "empty": ""}, {}),
    ("tags", {f"k{n}": "" for n in range(61)}, {}),
    ("storageClasses", steps(("NEARLINE", 1), ("COLDLINE", 2), ("ARCHIVE", 3)), {}),
    ("storageClasses", steps(("ARCHIVE", 30)), {"retentionDays": "365"}),
    ("retentionDays", "36500", {}),
    ("autoclass", "NEARLINE", {"retentionDays": "7"}),
    ("autoclass", "ARCHIVE", {}),
    ("kmsKey", KMS, {}),
    ("kmsKey", KMS.replace("acme-keys", "example.com:keys"), {}),
    ("kmsKey", KMS.replace("europe-west1", "europe"), {"region": "EU"}),
    ("kmsKey", KMS.replace("europe-west1", "us"), {"region": "us"}),
    ("kmsKey", KMS.replace("europe-west1", "nam4"), {"region": "nam4"}),
    ("accessLogBucket", "acme-logs", {}),
    ("serviceAccountKey", "true", {}),
    ("formerBuckets", [{"bucketName": "old", "region": "US", "pathPrefix": "p/"}], {}),
    ("expectedAccount", "acme-video-dev", {}),
    ("expectedAccount", "example.com:video-dev", {}),
    ("expectedRegions", ["europe-west12", "northamerica-northeast1", "ASIA", "eur4"], {}),
    ("expectedCustomer", HEX, {}),
]


@pytest.mark.parametrize(("key", "value", "beside"), GOOD, ids=lambda value: str(value)[:40])
def test_legal_value_is_taken(key: str, value: Any, beside: dict[str, Any]) -> None:
    """A legal value passes."""
    parse(**{key: value, **beside})


BAD: list[tuple[str, Any, str]] = [
    ("bucketName", "ab", "3 to 63"),
    ("bucketName", "a" * 64, "3 to 63"),
    ("bucketName", "Upper-case", "lower-case"),
    ("bucketName", "_start", "begin and end"),
    ("bucketName", "end-", "begin and end"),
    ("bucketName", "video.example.com", "domain to be verified"),
    ("bucketName", "goog-recordings", "'goog'"),
    ("bucketName", "my-google-recordings", "'google'"),
    ("bucketName", "my-g00g1e-recordings", "looks like it"),
    ("bucketName", "bucket\n", "lower-case"),
    ("corsOrigins", ["https://*.example.com"], "no '*' within one"),
    ("corsOrigins", ["https://a.example.com/"], "no path"),
    ("writerName", "100ms-recording", "begin with a letter"),
    ("writerName", "short", "6 to 30"),
    ("writerName", "a" * 31, "6 to 30"),
    ("writerName", "ends-with-", "not end with '-'"),
    ("writerName", "Upper-case", "lower-case"),
    ("readerName", "hms-rec-dev", "differ from writerName"),
    ("writerExternal", {**EXTERNAL, "principal": "me@example.com"}, "e-mail of a service account"),
    ("writerExternal", {**EXTERNAL, "principal": "arn:aws:iam::123456789012:user/x"}, "e-mail of a service account"),
    ("writerExternal", {**EXTERNAL, "accessKeyId": "GOOGTS7C7FUP3AIRVJTE2BCD"}, "a person's key are shorter"),
    ("writerExternal", {**EXTERNAL, "accessKeyId": "AKIAIOSFODNN7EXAMPLE"}, "HMAC key"),
    ("writerExternal", {**EXTERNAL, "secretAccessKey": ""}, "at least 16"),
    ("tags", {"Team": "video"}, "lower-case"),
    ("tags", {"team": "Video"}, "lower-case"),
    ("tags", {"team": "a b"}, "lower-case"),
    ("tags", {"1st": "x"}, "beginning with a letter"),
    ("tags", {"a" * 64: "x"}, "63"),
    ("tags", {"goog-x": "y"}, "Google's"),
    ("tags", {"recordings-stack": "y"}, "this project's"),
    ("tags", {f"k{n}": "" for n in range(62)}, "at most 61"),
    ("storageClasses", steps(("STANDARD_IA", 30)), "'NEARLINE', 'COLDLINE'"),
    ("storageClasses", steps(("NEARLINE", 0)), "at least 1 day"),
    ("storageClasses", steps(("ARCHIVE", 30), ("NEARLINE", 60)), "only down the list"),
    ("storageClasses", steps(("NEARLINE", 30), ("COLDLINE", 30)), "COLDLINE after 31 days"),
    ("autoclass", "COLDLINE", "'NEARLINE' or 'ARCHIVE'"),
    ("kmsKey", "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab", "resource name"),
    ("kmsKey", f"{KMS}/cryptoKeyVersions/1", "without a version"),
    ("kmsKey", KMS.replace("europe-west1", "us-east1"), "in europe-west1"),
    ("accessLogBucket", "acme-recordings", "another bucket"),
    ("serviceAccountKey", "yes", "true or false"),
    ("formerBuckets", [{"bucketName": "acme-recordings", "region": "us"}], "lies in europe-west1"),
    ("formerBuckets", [{"bucketName": "old", "region": "us", "kmsKey": KMS}], "no right on the key"),
    ("expectedAccount", "123456789012", "not its number"),
    ("expectedRegions", ["Frankfurt"], "europe-west1"),
    ("permissionsBoundary", "arn:aws:iam::123456789012:policy/b", "means nothing where provider is gcs"),
    ("iamPath", "/video/", "means nothing where provider is gcs"),
    ("adopt", ["cors"], "can't hold cors on Google; legal: bucket, writer, reader"),
    ("adopt", ["bucket", "bucket"], "twice"),
    ("writerPolicyName", "p", "means nothing where provider is gcs"),
]


@pytest.mark.parametrize(("key", "value", "legal"), BAD, ids=lambda value: str(value)[:40])
def test_illegal_value_is_named(key: str, value: Any, legal: str) -> None:
    """A fault names the key and what is legal, and it is the only one."""
    message = faults(**{key: value})
    assert f"recordings:{key}" in message
    assert legal in message
    assert message.count("\n  recordings:") == 1, message


@pytest.mark.parametrize("key", ["autoclass", "serviceAccountKey"])
def test_key_of_google_is_refused_on_aws(key: str) -> None:
    """No option is ignored, on either provider; a schema's default is none."""
    values = {"autoclass": "NEARLINE", "serviceAccountKey": "true"}
    raw = {"bucketName": "acme", key: values[key]}
    with pytest.raises(ConfigurationError, match=f"recordings:{key}: means nothing where provider is s3"):
        parse_settings(raw, stack="dev", region="us-east-1")
    parse_settings({**raw, key: "" if key == "autoclass" else "false"}, stack="dev", region="us-east-1")


@pytest.mark.parametrize(
    ("values", "legal"),
    [
        ({"autoclass": "NEARLINE", "storageClasses": steps(("NEARLINE", 30))}, "either Autoclass or rules by age"),
        ({"serviceAccountKey": "true", "readerExternal": EXTERNAL}, "its owner's to make"),
        ({"writerExternal": EXTERNAL, "writerName": "writer"}, "no service account is made beside it"),
        ({"pathPrefix": "", "retentionDays": "30"}, "needs a pathPrefix"),
        ({"environment": "prod"}, "must name each origin in production"),
    ],
)
def test_keys_that_exclude_each_other(values: dict[str, Any], legal: str) -> None:
    """What Google or this project does not do together is refused before it is tried."""
    assert legal in faults(**values)


@pytest.mark.parametrize(("last", "days", "fits"), [("NEARLINE", 30, False), ("NEARLINE", 31, True),
                                                    ("COLDLINE", 89, False), ("COLDLINE", 90, True),
                                                    ("ARCHIVE", 364, False), ("ARCHIVE", 365, True)])  # fmt: skip
def test_retention_pays_off_the_last_class(last: str, days: int, fits: bool) -> None:
    """Google counts from an object's creation; what leaves earlier is paid all the same."""
    values: dict[str, Any] = {"storageClasses": steps((last, 30)), "retentionDays": str(days)}
    if fits:
        assert parse(**values).retention_days == days
    else:
        assert f"recordings move to {last} after 30 days" in faults(**values)


@pytest.mark.parametrize("region", [None, ""])
def test_region_missing_is_named(region: str | None) -> None:
    """Without gcp:region the message says how to set it."""
    assert "gcp:region: is not configured: `pulumi config set gcp:region" in faults(region=region)


@pytest.mark.parametrize("region", ["Frankfurt!", "eu-", "", "europe", "us1"])
def test_region_malformed_is_named(region: str) -> None:
    """gcp:region is checked too, under its own name."""
    assert "gcp:region" in faults(region=region)


def test_region_is_written_in_one_way() -> None:
    """As regions are, however it was given: 100ms and signatures get it so."""
    assert parse(region="EU").region == "eu"
    assert parse(region="US-EAST1").region == "us-east1"


def test_names_default_to_the_stacks() -> None:
    """Accounts and labels follow the stack's name."""
    settings = parse(stack="pr-7")
    assert (settings.writer_name, settings.reader_name) == ("hms-rec-pr-7", "hms-rec-reader-pr-7")
    assert settings.all_tags == {"recordings-stack": "pr-7", "recordings-environment": "pr-7"}


@pytest.mark.parametrize(("stack", "key"), [("s" * 23, "writerName"), ("s" * 16, "readerName"), ("Dev", "writerName")])
def test_stack_name_that_no_account_can_have_is_named(stack: str, key: str) -> None:
    """The fault is told under the key that mends it."""
    assert f"recordings:{key} = 'hms-rec-" in faults(stack=stack)


@given(st.text(max_size=70) | st.from_regex(r"[a-z0-9._-]{1,64}", fullmatch=True))
def test_accepted_bucket_name_is_googles(name: str) -> None:
    """A name that passes has Google's alphabet and length and none of its own words."""
    try:
        gcs_rules.bucket_name(name)
    except ValueError:
        return
    assert re.fullmatch(r"[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]", name)
    assert "google" not in name


@given(st.text(max_size=90))
def test_any_text_becomes_a_label(text: str) -> None:
    """Stack, environment and time can always be written on the bucket."""
    assert re.fullmatch(r"[a-z0-9_-]{0,63}", gcs_rules.label_value(text))


_transitions = st.lists(
    st.tuples(st.sampled_from([c.value for c in GcsStorageClass]), st.integers(-5, 400)), max_size=4
)


@given(_transitions, st.integers(0, 900))
def test_accepted_ages_are_in_order(pairs: list[tuple[str, int]], retention: int) -> None:
    """Whatever passes goes strictly down, each step later than the one before, and expires last."""
    try:
        settings = parse(storageClasses=steps(*pairs), retentionDays=str(retention))
    except ConfigurationError:
        return
    order = list(GcsStorageClass)
    classes = [GcsStorageClass(step.storage_class) for step in settings.storage_classes]
    for first, then in pairwise(classes):
        assert order.index(first) < order.index(then)
    ages = [step.after_days for step in settings.storage_classes]
    assert ages == sorted(set(ages))
    assert not ages or settings.retention_days == 0 or settings.retention_days > ages[-1]


@given(st.sampled_from(["", "r/"]), st.integers(1, 400))
def test_lifecycle_spares_what_is_no_recording(prefix: str, old: int) -> None:
    """Outside of the prefix, and of `.verify/`, only old versions and unfinished uploads ever go."""
    for rule in lifecycle_rules(prefix, 30 if prefix else 0, (), old):
        if rule.action is Action.DELETE and rule.versions is not Versions.OLD:
            assert rule.prefix.startswith(prefix or ".verify/")
        assert (rule.age_days is None) != (rule.days_since_replaced is None)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), st.text(max_size=20) | _json.map(json.dumps)))
def test_any_input_gives_settings_or_faults(raw: dict[str, str]) -> None:
    """No configuration whatever ends in anything but settings or a ConfigurationError."""
    with contextlib.suppress(ConfigurationError):
        parse_settings({**raw, "provider": "gcs"}, stack="dev", region="us")
