"""S3 Lifecycle as the gateway knows it: what is refused, what is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.servers.aws.lifecycle import (
    LifecycleError,
    Rule,
    Transition,
    Version,
    check_rules,
    due,
    due_actions,
    parse_rules,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))


def document(*rules: str) -> bytes:
    inner = "".join(f"<Rule>{rule}</Rule>" for rule in rules)
    space = "http://s3.amazonaws.com/doc/2006-03-01/"
    return f'<LifecycleConfiguration xmlns="{space}">{inner}</LifecycleConfiguration>'.encode()


ENABLED = "<Status>Enabled</Status><Filter><Prefix>in/</Prefix></Filter>"


def refusal(*rules: str) -> str:
    with pytest.raises(LifecycleError) as caught:
        check_rules(parse_rules(document(*rules)))
    return caught.value.code


def transition(days: int, name: str) -> str:
    return f"<Transition><Days>{days}</Days><StorageClass>{name}</StorageClass></Transition>"


def old_transition(days: int, name: str) -> str:
    inner = f"<NoncurrentDays>{days}</NoncurrentDays><StorageClass>{name}</StorageClass>"
    return f"<NoncurrentVersionTransition>{inner}</NoncurrentVersionTransition>"


EXPIRE = "<Expiration><Days>{}</Days></Expiration>"
MARKER = "<ExpiredObjectDeleteMarker>{}</ExpiredObjectDeleteMarker>"


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        (transition(29, "STANDARD_IA"), "InvalidArgument"),
        (transition(29, "ONEZONE_IA"), "InvalidArgument"),
        (old_transition(29, "STANDARD_IA"), "InvalidArgument"),
        (transition(30, "STANDARD_IA") + transition(59, "GLACIER"), "InvalidArgument"),
        (transition(30, "GLACIER") + EXPIRE.format(30), "InvalidArgument"),
        (f"<Expiration><Days>1</Days>{MARKER.format('true')}</Expiration>", "MalformedXML"),
        (f"<Expiration><Days>1</Days>{MARKER.format('false')}</Expiration>", "MalformedXML"),
        (f"<Expiration><Date>2026-01-01T00:00:00Z</Date>{MARKER.format('true')}</Expiration>", "MalformedXML"),
        (EXPIRE.format("many"), "MalformedXML"),
        ("", "InvalidRequest"),
    ],
)
def test_rule_that_s3_refuses_is_refused(rule: str, code: str) -> None:
    """With S3's error code."""
    assert refusal(ENABLED + rule) == code


def test_configuration_without_rules_or_with_twins_is_refused() -> None:
    """At least one rule, and ids that differ; anything that is no XML is malformed."""
    assert refusal() == "MalformedXML"
    named = f"<ID>a</ID>{ENABLED}{EXPIRE.format(1)}"
    assert refusal(named, named) == "InvalidArgument"
    with pytest.raises(LifecycleError):
        parse_rules(b"<Lifecycle")


def test_tags_go_with_neither_markers_nor_uploads() -> None:
    """Both are refused with tags in the filter."""
    tagged = "<Status>Enabled</Status><Filter><Tag><Key>a</Key><Value>b</Value></Tag></Filter>"
    upload = (
        "<AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation></AbortIncompleteMultipartUpload>"
    )
    assert refusal(tagged + upload) == "InvalidRequest"
    assert refusal(tagged + f"<Expiration>{MARKER.format('true')}</Expiration>") == "InvalidRequest"


def test_what_the_component_declares_is_accepted() -> None:
    """Every action that a careful configuration has, in one."""
    scope = "<And><Prefix>in/</Prefix><ObjectSizeGreaterThan>9</ObjectSizeGreaterThan></And>"
    both = f"<Status>Enabled</Status><Filter>{scope}</Filter>"
    old = "<NoncurrentVersionExpiration><NoncurrentDays>30</NoncurrentDays></NoncurrentVersionExpiration>"
    rules = parse_rules(
        document(
            both + transition(30, "STANDARD_IA") + transition(90, "GLACIER") + EXPIRE.format(365) + old,
            ENABLED + f"<Expiration>{MARKER.format('true')}</Expiration>",
        )
    )
    check_rules(rules)
    assert (rules[0].prefix, rules[0].larger, rules[0].days, rules[0].noncurrent_days) == ("in/", 9, 365, 30)
    assert rules[0].transitions == (Transition(30, "STANDARD_IA"), Transition(90, "GLACIER"))
    assert rules[1].expired_marker


@given(MOMENTS, st.integers(0, 3650))
def test_action_falls_due_at_the_first_midnight_after_its_days(since: datetime, days: int) -> None:
    """Never early, never more than a day late."""
    moment = due(since, days)
    assert (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0)
    assert timedelta() <= moment - (since + timedelta(days=days)) < timedelta(days=1)


def version(name: str, age: float, *, latest: bool = False, marker: bool = False) -> Version:
    return Version("in/a", name, NOON - timedelta(days=age), size=10, latest=latest, marker=marker)


def kinds(rule: Rule, *versions: Version, versioned: bool = True) -> list[tuple[str, str]]:
    return [(a.kind, a.version.version_id) for a in due_actions(rule, versions, NOON, versioned=versioned)]


def test_current_version_expires_into_a_marker_and_without_versions_for_good() -> None:
    """What a delete would do."""
    rule = Rule("r", True, days=1)
    assert kinds(rule, version("1", 3, latest=True)) == [("expire", "1")]
    assert kinds(rule, version("1", 3, latest=True), versioned=False) == [("remove", "1")]
    assert kinds(rule, version("1", 0.1, latest=True)) == []


def test_old_versions_age_from_the_moment_they_became_old() -> None:
    """That is when the version after them was made; the newest of them can be kept by number."""
    versions = (version("3", 1, latest=True), version("2", 9), version("1", 20))
    assert kinds(Rule("r", True, noncurrent_days=5), *versions) == [("remove", "1")]
    assert kinds(Rule("r", True, noncurrent_days=0), *versions) == [("remove", "2"), ("remove", "1")]
    assert kinds(Rule("r", True, noncurrent_days=0, newer_noncurrent=1), *versions) == [("remove", "1")]


def test_marker_goes_when_it_stands_alone() -> None:
    """By its own action, or with the days of an expiration; not while versions hide behind it."""
    alone = version("m", 3, latest=True, marker=True)
    assert kinds(Rule("r", True, expired_marker=True), alone) == [("remove", "m")]
    assert kinds(Rule("r", True, days=1), alone) == [("remove", "m")]
    assert kinds(Rule("r", True, days=30), alone) == []
    assert kinds(Rule("r", True, expired_marker=True), alone, version("1", 9)) == []


def test_disabled_rules_and_other_prefixes_do_nothing() -> None:
    """Size limits count as well."""
    old = version("1", 9, latest=True)
    assert kinds(Rule("r", False, days=1), old) == []
    assert kinds(Rule("r", True, prefix="out/", days=1), old) == []
    assert kinds(Rule("r", True, larger=10, days=1), old) == []
    assert kinds(Rule("r", True, smaller=11, days=1), old) == [("expire", "1")]


def test_transition_takes_the_coldest_class_that_is_due_once() -> None:
    """Not the same one twice."""
    rule = Rule("r", True, transitions=(Transition(1, "STANDARD_IA"), Transition(5, "GLACIER")))
    (action,) = due_actions(rule, [version("1", 9, latest=True)], NOON, versioned=True)
    assert action.storage_class == "GLACIER"
    done = Version("in/a", "1", NOON - timedelta(days=9), size=10, storage_class="GLACIER")
    assert due_actions(rule, [done], NOON, versioned=True) == []
