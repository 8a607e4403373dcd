"""What the doctor makes of gathered facts: pure judgements, no service."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.doctor import assets, clock, cors, keys, objects, rooms, templates
from recordings.doctor.assets import AssetFacts
from recordings.doctor.findings import LIKELY, SHOWN, Finding, Look, Severity, in_order, look, shown
from recordings.doctor.keys import IssuedKey, Role
from recordings.errors import AccessDeniedError, CredentialsError, RecordingsError, UsageError
from recordings.hms_models import RecordingAsset, Room, Template
from recordings.outputs import KeySlot, StackOutputs
from recordings.paths import Home
from recordings.reconcile import Findings, Gap
from recordings.verification.checks import NotRun
from tests.unit.hms_fake import stack_outputs

NOW = datetime(2026, 8, 20, 12, tzinfo=UTC)
OUTPUTS = stack_outputs()
SELECT = "--stack dev"


def of(findings: Sequence[Finding], severity: Severity) -> list[str]:
    """The ids of this severity."""
    return [finding.id for finding in findings if finding.severity is severity]


def slot(id_: str, status: str = "active") -> KeySlot:
    return KeySlot.model_validate({"id": id_, "secret": "s", "status": status})


def issued(id_: str, days: int = 1, used: int | None = None, active: bool = True) -> IssuedKey:
    last = None if used is None else NOW - timedelta(days=used)
    return IssuedKey(id_, active, NOW - timedelta(days=days), last)


@given(st.lists(st.builds(Finding, st.sampled_from(LIKELY), st.just("t"), st.sampled_from(Severity), st.just("s"))))
def test_worst_and_likeliest_come_first(findings: list[Finding]) -> None:
    """The table loses nothing, and is in order of severity, then of likelihood."""
    ordered = in_order(findings)
    ranks = [(list(Severity).index(one.severity), LIKELY.index(one.id)) for one in ordered]
    assert ranks == sorted(ranks)
    assert sorted(map(repr, ordered)) == sorted(map(repr, findings))


@pytest.mark.parametrize("error", [NotRun("no login", "log in"), AccessDeniedError("denied"), CredentialsError("none")])
def test_what_cannot_be_looked_at_is_not_checked(error: Exception) -> None:
    """It never passes by absence, and says why."""

    def fail() -> list[Finding]:
        raise error

    (found,) = look(Look("guard", "guards", fail))
    assert (found.severity, found.seen) == (Severity.NOT_CHECKED, str(error))
    assert found.repair


def test_many_things_are_counted_not_listed() -> None:
    """The table stays readable."""
    assert shown(["x"] * 3) == ("x", "x", "x")
    assert len(shown([str(n) for n in range(1000)])) == SHOWN + 1
    assert shown([str(n) for n in range(1000)])[-1] == "and 980 more"


ROLE = Role("writer", {"blue": slot("B")}, "B", "arn:aws:iam::1:user/w")


@pytest.mark.parametrize(
    ("role", "there", "expected"),
    [
        (ROLE, [issued("B", 60, used=1)], {Severity.FINE: ["key-age"]}),
        (ROLE, [issued("B", 61, used=1)], {Severity.WARNING: ["key-age"]}),
        (ROLE, [issued("B", 50)], {Severity.WARNING: ["key-age"]}),
        (ROLE, [issued("B", 50, used=45)], {Severity.FINE: ["key-age"]}),
        (ROLE, [issued("B", 50, used=46)], {Severity.WARNING: ["key-age"]}),
        (ROLE, [replace(issued("B", 50), use_is_known=False)], {Severity.FINE: ["key-age"]}),
        (ROLE, [issued("B", active=False)], {Severity.FAULT: ["key"], Severity.FINE: ["key-age"]}),
        (ROLE, [], {Severity.FAULT: ["key"]}),
        (ROLE, [issued("B"), issued("S")], {Severity.WARNING: ["key-age"], Severity.FINE: ["key-age", "key-age"]}),
        (
            replace(ROLE, slots={"blue": slot("B"), "green": slot("G")}),
            [issued("B"), issued("G")],
            {Severity.WARNING: ["key-age"], Severity.FINE: ["key-age", "key-age"]},
        ),
        (
            replace(ROLE, slots={"blue": slot("B"), "green": slot("G", "inactive")}),
            [issued("B")],
            {Severity.WARNING: ["key"], Severity.FINE: ["key-age"]},
        ),
    ],
)
def test_key_is_judged_by_state_age_and_use(
    role: Role, there: list[IssuedKey], expected: dict[Severity, list[str]]
) -> None:
    """60 days of age, 45 without use, other states than declared, keys of nobody, two at once."""
    found = list(keys.judge(role, there, NOW, SELECT))
    assert {severity: of(found, severity) for severity in Severity if of(found, severity)} == expected


def test_old_key_of_the_reader_names_its_own_rotation() -> None:
    """The command can be copied as it is."""
    (found,) = keys.judge(replace(ROLE, name="reader"), [issued("B", 61, used=1)], NOW, SELECT)
    assert found.repair == "recordings rotate --stack dev --reader"


def upload(**changes: Any) -> dict[str, Any]:
    """Settings of a template as this stack registers them, but for `changes`."""
    own: dict[str, Any] = {
        "type": "s3",
        "location": OUTPUTS.bucket_name,
        "prefix": OUTPUTS.path_prefix.rstrip("/"),
        "options": {"region": OUTPUTS.region},
        "credentials": {
            "key": OUTPUTS.writer_access_key_id,
            "secret": OUTPUTS.writer_secret_access_key.get_secret_value(),
        },
    }
    return {"recording": {"upload": {**own, **changes}}}


@pytest.mark.parametrize(
    ("settings", "seen"),
    [
        (upload(), None),
        ({"recording": None}, "15 days"),
        (upload(location="other"), "s3://other"),
        (upload(type="gs"), "gs://"),
        (upload(prefix="other"), "prefix is 'other'"),
        (upload(options={"region": "us-west-1"}), "region is 'us-west-1'"),
        (upload(options={}), "ap-south-1"),
        (upload(credentials={"key": "AKIAOLD", "secret": "x"}), "AKIAOLD (none of this stack)"),
        (upload(credentials={"key": OUTPUTS.writer_access_key_id, "secret": "wrong-secret"}), "credentials.secret"),
    ],
)
def test_template_is_told_by_what_differs(settings: dict[str, Any], seen: str | None) -> None:
    """Bucket, prefix, region and key id with both values; a secret with none."""
    found = templates.judge_upload("t1", settings, OUTPUTS, SELECT)
    assert (found.severity is Severity.FINE) == (seen is None)
    assert seen is None or seen in found.seen
    assert seen is None or found.repair == "recordings register --stack dev --template t1"
    assert "wrong-secret" not in repr(found)


HLS = {"hlsDestinations": {"h": {"recording": {"hlsVod": True}}}}


@pytest.mark.parametrize(
    ("destinations", "configurations", "expected"),
    [
        ({}, [], [Severity.WARNING]),
        ({}, [{"compositeRecording": {"browserComposite": {"width": 1}, "customComposite": {}}}], [Severity.FINE]),
        ({}, [{"compositeRecording": {"customComposite": {}}, "trackRecording": {}}], [Severity.WARNING]),
        ({}, [{"trackRecording": {"enabled": True}}], [Severity.FINE]),
        (HLS, [], [Severity.FINE, Severity.WARNING]),
    ],
)
def test_recording_modes_are_read_as_100ms_answers(
    destinations: Any, configurations: Any, expected: list[Severity]
) -> None:
    """What is false is left out of its answers; an HLS destination records too, and may not be playable."""
    template = Template(id="t", destinations=destinations)
    assert [found.severity for found in templates.judge_modes(template, configurations)] == expected


def room(id_: str, **fields: Any) -> Room:
    return Room.model_validate({"id": id_, "recording_source_template": True, **fields})


def own(location: str, **fields: Any) -> dict[str, Any]:
    info = {"enabled": True, "upload_info": {"type": "s3", "location": location, **fields}}
    return {"recording_source_template": False, "recording_info": info}


def test_rooms_of_their_own_are_told_apart() -> None:
    """Elsewhere, here with a key of its own, at 100ms; disabled ones too; a webhook shows its host alone."""
    listed = [
        room("plain"),
        room("there", enabled=False, **own("other", prefix="p")),
        room("here", **own(OUTPUTS.bucket_name, credentials={"key": "AKIAOLD", "secret": "hidden"})),
        room("hms", recording_source_template=False, recording_info={"enabled": False}),
        room("hook", webhook={"url": "https://example.com/secret-path?token=hidden", "headers": {"k": "hidden"}}),
    ]
    facts = rooms.gather(listed, OUTPUTS)
    found = [*rooms.judge_storage(facts, SELECT), *rooms.judge_webhooks(facts, SELECT)]
    assert of(found, Severity.FAULT) == ["room-storage"]
    assert of(found, Severity.WARNING) == ["room-storage", "room-webhook"]
    elsewhere, here, hooks = found
    assert elsewhere.things == ("there (disabled): s3://other/p", "hms: 100ms' own storage, 15 days")
    assert here.things == (f"here: s3://{OUTPUTS.bucket_name}/, key AKIAOLD",)
    assert hooks.things == ("hook: https://example.com",)
    assert "hidden" not in repr(found)
    assert facts.storages == {("s3", "other"), ("s3", OUTPUTS.bucket_name)}


def asset(id_: str, age: timedelta, path: str = "s3://own/x.mp4", **fields: Any) -> RecordingAsset:
    made = {"type": "room-composite", "status": "completed", "size": 1000, "created_at": NOW - age, **fields}
    return RecordingAsset.model_validate({"id": id_, "path": path, **made})


def walked(*listed: RecordingAsset, since: timedelta = timedelta(days=7)) -> AssetFacts:
    facts = AssetFacts(Home.of(OUTPUTS), NOW - since, NOW)
    for one in listed:
        facts.note(one)
    return facts


def test_recording_at_100ms_is_named_with_the_day_on_which_it_is_lost() -> None:
    """Fifteen days after it was made, soonest first; what lies in a known storage or is gone is left out."""
    day = timedelta(days=1)
    ours = f"s3://{OUTPUTS.bucket_name}/{OUTPUTS.path_prefix}beam/r/20260801/Rec-r-1.mp4"
    facts = walked(
        asset("young", day),
        asset("old", 14 * day),
        asset("gone", 15 * day),
        asset("ours", day, ours),
        asset("known", day, "s3://theirs/x.mp4"),
        asset("failed", day, status="failed"),
        asset("odd", day, "no path"),
    )
    left = [kept for kept in facts.kept if kept.place != ("s3", "theirs")]
    (found,) = assets.judge_kept(left, NOW, SELECT)
    assert found.severity is Severity.FAULT, "one of them is lost within three days"
    assert [thing[:15] for thing in found.things] == ["2026-08-21: old", "2026-09-03: you"]
    assert found.repair == "recordings backfill --stack dev"
    (later,) = assets.judge_kept(walked(asset("young", day)).kept, NOW, SELECT)
    assert later.severity is Severity.WARNING
    (none,) = assets.judge_kept(walked(asset("ours", day, ours)).kept, NOW, SELECT)
    assert none.severity is Severity.FINE


def test_failures_are_grouped_by_reason_and_worse_while_they_go_on() -> None:
    """By job, then session; not told where 100ms says nothing; a newer success means that it may be over."""
    hour = timedelta(hours=1)
    failed = [
        asset("a", 5 * hour, status="failed", job_id="j1"),
        asset("b", 4 * hour, status="failed", session_id="s2"),
        asset("c", 3 * hour, status="failed"),
        asset("d", timedelta(days=8), status="failed"),
    ]
    told = {"j1": "UPLOAD_ERROR", "s2": "UPLOAD_ERROR"}
    found = list(assets.judge_failures(walked(*failed), told, "repair"))
    assert [(one.severity, one.seen.partition(":")[0], len(one.things)) for one in found] == [
        (Severity.FAULT, "2 failed", 2),
        (Severity.FAULT, "1 failed", 1),
    ]
    assert "key, region" in found[0].seen
    over = list(assets.judge_failures(walked(*failed, asset("e", hour)), told, "repair"))
    assert {one.severity for one in over} == {Severity.WARNING}
    assert [one.severity for one in assets.judge_failures(walked(failed[3]), {}, "r")] == [Severity.FINE]


@given(skew=st.integers(-4000, 4000), wait=st.floats(0, 60))
def test_clock_is_judged_to_the_second(skew: int, wait: float) -> None:
    """However long the answer took and whatever the header rounds off, a right clock is never blamed."""
    before = NOW + timedelta(seconds=skew)
    after = before + timedelta(seconds=wait)
    theirs = (NOW + timedelta(seconds=wait / 2)).replace(microsecond=0)
    date = theirs.strftime("%a, %d %b %Y %H:%M:%S GMT")
    found = clock.judge("the bucket", before, after, date)
    if abs(skew) <= 30:
        assert found.severity is Severity.FINE
    if abs(skew) > 30 + wait + 1:
        assert found.severity is (Severity.FAULT if abs(skew) > 300 + wait + 1 else found.severity)
        assert found.severity is not Severity.FINE
        assert ("ahead" if skew > 0 else "behind") in found.seen


def test_clock_that_is_not_told_is_not_checked() -> None:
    """A proxy may drop the header."""
    with pytest.raises(NotRun, match="named no time"):
        clock.judge("100ms", NOW, NOW, None)


@pytest.mark.parametrize(
    "text", ["", "app.example.com", "https://app.example.com/", "ftp://a", "https://a:x", "https://A"]
)
def test_origin_that_no_browser_sends_is_refused(text: str) -> None:
    """With its legal form."""
    with pytest.raises(UsageError, match="legal is scheme://host"):
        cors.check_origin(text)


@pytest.mark.parametrize(
    ("page", "declared"),
    [
        ("https://a.example", True),
        ("https://x.b.example", True),
        ("https://b.example", False),
        ("http://a.example", False),
    ],
)
def test_wildcard_in_an_origin_counts(page: str, declared: bool) -> None:
    """`*` stands for text inside, not for nothing around it."""
    assert cors.check_origin(page) == page
    assert cors.declares(("https://a.example", "https://*.b.example"), page) is declared


def test_gaps_become_findings() -> None:
    """Each with its command; rows only where a database was asked."""
    gaps = Findings()
    for gap in Gap:
        gaps.add(gap, gap.value)
    found = list(objects.judge(gaps, SELECT, with_rows=True))
    assert {one.id: one.severity for one in found} == {
        "object-missing": Severity.FAULT,
        "object-unknown": Severity.WARNING,
        "row-missing": Severity.WARNING,
    }
    assert found[0].things == ("no object", "row alone")
    assert len(list(objects.judge(gaps, SELECT, with_rows=False))) == 2
    assert {one.severity for one in objects.judge(Findings(), SELECT, with_rows=True)} == {Severity.FINE}


def test_retention_is_that_of_the_strictest_rule_over_the_prefix() -> None:
    """A rule for `.verify/` says nothing about recordings."""
    rules = [("", None), ("recordings/", 30), ("", 90), ("recordings/.verify/", 1)]
    assert objects.keeps_days(rules, "recordings/") == 30
    assert objects.keeps_days(rules[:1], "recordings/") is None


def test_absent_operator_refuses_everything() -> None:
    """As a login that is not there."""
    from recordings.doctor.patient import Absent

    store: Any = Absent("b", "not installed")
    assert store.bucket == "b"
    for act in (store.guards, lambda: store.head("k"), lambda: store.list_versions("k")):
        with pytest.raises(RecordingsError, match="not installed"):
            act()


def test_outputs_are_enough_to_know_the_keys() -> None:
    """Also of a stack that exports no slots."""
    writer, reader = keys.roles(StackOutputs.model_validate({**OUTPUTS.model_dump(by_alias=True), "readerKeys": {}}))
    assert [role.live for role in (writer, reader)] == ["AKIAOURS", "AKIAREADER"]
    assert [key.id for key in reader.slots.values()] == ["AKIAREADER"]
