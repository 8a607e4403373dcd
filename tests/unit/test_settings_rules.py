"""Rules between keys: production, test stacks, external keys, ages, secrets; and properties over any input."""

from __future__ import annotations

import contextlib
import json
import traceback
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components import rules, s3_rules
from components.s3_lifecycle import StorageClass, lifecycle_rules
from components.settings import KEYS, parse_settings
from recordings.errors import ConfigurationError
from tests.unit.test_settings_values import EXTERNAL, faults, parse

CANARY = "canary-of-a-secret-value"


@pytest.mark.parametrize("environment", ["prod", "production"])
def test_production_names_its_origins(environment: str) -> None:
    """'*' is refused in production, by environment and not by the stack's name."""
    assert "recordings:corsOrigins" in faults(environment=environment)
    parse(environment=environment, corsOrigins=["https://app.example.com"])
    parse(stack="prod", environment="trial")


@pytest.mark.parametrize(
    "others",
    [
        {},
        {"forceDestroy": True, "environment": "staging"},
        {"forceDestroy": True, "environment": "prod", "corsOrigins": ["https://a.example.com"]},
        {"protect": True},
    ],
)
def test_expiry_is_for_test_stacks(others: dict[str, Any]) -> None:
    """Only a stack that may be thrown away can expire."""
    assert "recordings:expiresAt" in faults(expiresAt="2027-01-31T12:00:00Z", **others)


def test_expiry_becomes_a_tag() -> None:
    """A test stack's resources carry the time at which they may be swept."""
    settings = parse(expiresAt="2027-01-31T12:00:00Z", forceDestroy=True)
    assert settings.all_tags["recordings:expires-at"] == "2027-01-31T12:00:00Z"


def test_protect_and_force_destroy_exclude_each_other() -> None:
    """Both at once would say two things about the same bucket."""
    assert "recordings:forceDestroy = 'true': can't be true while protect" in faults(protect=True, forceDestroy=True)


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_external_key_excludes_a_user(role: str) -> None:
    """No option is ignored: with an external key, a user's name or further slots are faults."""
    assert f"remove {role}Name" in faults(**{f"{role}External": EXTERNAL, f"{role}Name": "x"})
    two = {"blue": "active", "green": "inactive"}
    assert f"set {role}Keys to {{blue: active}}" in faults(**{f"{role}External": EXTERNAL, f"{role}Keys": two})


@pytest.mark.parametrize("role", ["writer", "reader"])
def test_external_key_in_plain_text_is_refused(role: str) -> None:
    """The key must be stored encrypted; the message tells how, and that the key was exposed."""
    with pytest.raises(ConfigurationError, match="is stored in plain text") as caught:
        parse_settings({"bucketName": "acme", f"{role}External": json.dumps(EXTERNAL)}, stack="dev", region="us-east-1")
    assert EXTERNAL["secretAccessKey"] not in str(caught.value)


@pytest.mark.parametrize("key", ["bucketName", "tags", "expectedAccount"])
def test_other_key_as_a_secret_is_refused(key: str) -> None:
    """What ends in names and outputs in plain text must not pretend to be a secret; its value is not shown."""
    raw = {"bucketName": "acme", key: CANARY}
    with pytest.raises(ConfigurationError, match=f"recordings:{key}: is stored as a secret") as caught:
        parse_settings(raw, stack="dev", region="us-east-1", secret_keys=[key])
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("part", [*EXTERNAL, "other"])
@pytest.mark.parametrize("value", [CANARY, [CANARY], {"x": CANARY}, None])
def test_external_parts_are_never_shown(part: str, value: Any) -> None:
    """A secret pasted into the wrong part does not get out through the message, its form, or a traceback."""
    with pytest.raises(ConfigurationError) as caught:
        parse_settings(
            {"bucketName": "A", "writerExternal": json.dumps({**EXTERNAL, part: value})},
            stack="dev",
            region="us-east-1",
            secret_keys=["writerExternal"],
        )
    shown = "".join(traceback.format_exception(caught.value))
    assert CANARY not in shown
    assert EXTERNAL["secretAccessKey"] not in shown


def test_secret_is_not_in_the_repr() -> None:
    """A settings object can be printed."""
    assert EXTERNAL["secretAccessKey"] not in repr(parse(writerExternal=EXTERNAL))


@pytest.mark.parametrize(
    "values", [{"retentionDays": "30"}, {"storageClasses": [{"class": "GLACIER", "afterDays": 1}]}]
)
def test_ageing_needs_a_prefix(values: dict[str, Any]) -> None:
    """Over the whole bucket it would take the operator's objects too."""
    assert "needs a pathPrefix" in faults(pathPrefix="", **values)
    parse(**values)


def steps(*pairs: tuple[str, object]) -> list[dict[str, object]]:
    return [{"class": name, "afterDays": days} for name, days in pairs]


@pytest.mark.parametrize(
    ("classes", "legal"),
    [
        (steps(("STANDARD_IA", 29)), "30 days before STANDARD_IA"),
        (steps(("ONEZONE_IA", 0)), "30 days before ONEZONE_IA"),
        (steps(("GLACIER", 0), ("STANDARD_IA", 200)), "only down the list"),
        (steps(("GLACIER", 0), ("GLACIER", 200)), "only down the list"),
        (steps(("ONEZONE_IA", 30), ("GLACIER_IR", 60)), "never from ONEZONE_IA to GLACIER_IR"),
        (steps(("STANDARD_IA", 30), ("GLACIER", 59)), "GLACIER after 60 days"),
        (steps(("GLACIER_IR", 10), ("GLACIER", 99)), "GLACIER after 100 days"),
        (steps(("INTELLIGENT_TIERING", 5), ("GLACIER", 5)), "GLACIER after 6 days"),
        (steps(("REDUCED", 5)), "'STANDARD_IA', 'INTELLIGENT_TIERING'"),
        (steps(("GLACIER", "soon")), "whole number of days"),
        ([{"class": "GLACIER"}], "afterDays: is missing"),
        ([{"class": "GLACIER", "afterDays": 1, "tier": 2}], "no such part"),
    ],
)
def test_transitions_that_s3_refuses(classes: list[dict[str, object]], legal: str) -> None:
    """Order and ages are checked before AWS sees them."""
    message = faults(storageClasses=classes)
    assert "recordings:storageClasses" in message
    assert legal in message


@pytest.mark.parametrize(("days", "fits"), [(0, True), (269, False), (270, True)])
def test_retention_pays_off_the_last_class(days: int, fits: bool) -> None:
    """Deleting earlier than the class's minimum time would be paid all the same."""
    values: dict[str, Any] = {"storageClasses": steps(("DEEP_ARCHIVE", 90)), "retentionDays": str(days)}
    if fits:
        assert parse(**values).retention_days == days
    else:
        assert "at least 270" in faults(**values)


_transitions = st.lists(st.tuples(st.sampled_from([c.value for c in StorageClass]), st.integers(-5, 400)), max_size=4)


@given(_transitions, st.integers(0, 900))
def test_accepted_ages_are_in_order(pairs: list[tuple[str, int]], retention: int) -> None:
    """Whatever passes goes strictly down the waterfall, no IA class before 30 days, and expires last."""
    try:
        settings = parse(storageClasses=steps(*pairs), retentionDays=str(retention))
    except ConfigurationError:
        return
    order: list[str] = list(StorageClass)
    for first, then in pairwise(settings.storage_classes):
        assert order.index(first.storage_class) < order.index(then.storage_class)
        assert first.after_days < then.after_days
    for step in settings.storage_classes:
        assert step.after_days >= (30 if step.storage_class.endswith("_IA") else 0)
        assert settings.retention_days == 0 or settings.retention_days > step.after_days


@given(st.text(max_size=40) | st.from_regex(r"[a-z./]{0,30}", fullmatch=True))
def test_accepted_prefix_is_safe(prefix: str) -> None:
    """A prefix that passes is empty or a plain folder: nothing that a URL, a policy or a file system would read."""
    try:
        rules.path_prefix(prefix)
    except ValueError:
        return
    parts = prefix.split("/")
    assert prefix == "" or (parts[-1] == "" and all(parts[:-1]) and not {".", ".."} & set(parts))
    assert not set(prefix) & set('*?${}\\"<>#%&+ ')
    assert prefix.isascii()
    assert prefix.isprintable()


@given(st.text(max_size=70) | st.from_regex(r"[a-z0-9.-]{1,64}", fullmatch=True))
def test_accepted_bucket_name_is_a_host_name(name: str) -> None:
    """A name that passes can stand in front of s3.amazonaws.com: labels as DNS has them."""
    try:
        s3_rules.bucket_name(name)
    except ValueError:
        return
    assert 3 <= len(name) <= 63
    assert all(name.split("."))
    assert name == name.lower()
    assert name[0].isalnum()
    assert name[-1].isalnum()
    assert not name.replace(".", "").isdecimal() or name.count(".") != 3


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), st.text(max_size=20) | _json.map(json.dumps)))
def test_any_input_gives_settings_or_faults(raw: dict[str, str]) -> None:
    """No configuration whatever ends in anything but settings or a ConfigurationError."""
    with contextlib.suppress(ConfigurationError):
        parse_settings(raw, stack="dev", region="us-east-1")


def test_lifecycle_of_an_ordinary_bucket() -> None:
    """Nothing that is kept expires; verify's objects go after a day, their versions and markers too."""
    found = {rule.id: rule.model_dump(exclude_defaults=True) for rule in lifecycle_rules("r/", 0, (), 30)}
    assert found == {
        "unfinished-uploads": {"id": "unfinished-uploads", "abort_uploads_days": 7},
        "old-versions": {"id": "old-versions", "expire_markers": True, "expire_old_versions_days": 30},
        "verify-objects": {
            "id": "verify-objects",
            "prefix": "r/.verify/",
            "expire_days": 1,
            "expire_old_versions_days": 1,
        },
        "verify-markers": {"id": "verify-markers", "prefix": "r/.verify/", "expire_markers": True},
    }


@given(st.sampled_from(["", "r/"]), st.integers(1, 400))
def test_lifecycle_never_mixes_days_and_markers(prefix: str, old: int) -> None:
    """S3 refuses days beside delete markers in one rule, and what is outside the prefix never expires."""
    for rule in lifecycle_rules(prefix, 30 if prefix else 0, (), old):
        assert not (rule.expire_days and rule.expire_markers)
        assert rule.prefix.startswith(prefix or ".verify/") or not (rule.expire_days or rule.transitions)
