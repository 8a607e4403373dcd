"""Each guard rule catches the misconfiguration that it is for, and no other."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from policy import evaluation, plans
from policy.model import Severity
from policy.rules import CATALOGUE
from tests.components.misconfigurations import PLANTS
from tests.components.planning import NOW, PROD_GCS, STACKS, Change, Preview, deployed, fresh

UNKNOWN = plans.UNKNOWN
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("stack", [*STACKS, PROD_GCS])
@pytest.mark.parametrize("make", [fresh, deployed])
def test_shipped_stacks_break_no_rule(stack: str, make: Callable[[str], Preview]) -> None:
    """Neither the first preview nor any later one of what is shipped gives a finding, not even an open one."""
    assert make(stack).findings() == []


@pytest.mark.parametrize(
    ("rule", "stack", "change"),
    PLANTS,
    ids=[f"{rule}-{stack}-{number}" for number, (rule, stack, _) in enumerate(PLANTS)],
)
def test_planted_misconfiguration_is_caught_by_its_rule_alone(rule: str, stack: str, change: Change) -> None:
    """One change to a working stack gives findings of the one rule that is meant, and each says what and where."""
    plan = deployed(stack)
    change(plan)
    found = plan.findings()
    assert {finding.rule.id for finding in found} == {rule}, [(f.rule.id, f.message) for f in found]
    assert all(finding.decided and finding.message and finding.urn for finding in found)


def test_every_rule_is_planted() -> None:
    """A rule that no misconfiguration shows would be a rule that may never fire."""
    assert {rule.id for rule in CATALOGUE} - {rule for rule, _, _ in PLANTS} == {
        "own-key-removed",
        "protection-removed",
    }


@pytest.mark.parametrize(
    ("type_", "name", "rule"),
    [
        ("BucketPublicAccessBlock", "public-access", "public-access-block"),
        ("BucketOwnershipControls", "ownership", "acl"),
        ("BucketServerSideEncryptionConfiguration", "encryption", "encryption"),
        ("BucketPolicy", "policy", "tls-only"),
        ("BucketVersioning", "versioning", "versioning"),
        ("BucketLifecycleConfiguration", "lifecycle", "lifecycle"),
        ("BucketLogging", "access-log", "access-log"),
    ],
)
def test_guard_that_was_never_declared_is_missed(type_: str, name: str, rule: str) -> None:
    """A new bucket without one of its guards is found although there is no resource to look at."""
    plan = fresh("prod")
    plan.omit(type_, name)
    assert [finding.rule.id for finding in plan.findings()] == [rule]


def test_guard_that_the_preview_does_not_show_is_not_missed() -> None:
    """The CLI leaves out what does not change: a preview of one change says nothing of the other guards."""
    plan = deployed("prod")
    plan.set("Bucket", "bucket", "tags.a", "b")
    plan.steps = [step for step in plan.steps if step["op"] != "same" or step is plan.steps[0]]
    assert plan.findings() == []


@pytest.mark.parametrize("stack", ["prod", PROD_GCS])
def test_own_key_that_goes_is_noticed(stack: str) -> None:
    """Falling back to the provider's keys is a change that somebody should look at."""
    plan = deployed(stack)
    if stack == "prod":
        type_, name, path = "BucketServerSideEncryptionConfiguration", "encryption", "rules"
        plan.set(type_, name, path, plan.step(type_, name)["newState"]["inputs"]["rules"])
        default = {"sseAlgorithm": "aws:kms", "kmsMasterKeyId": "arn:aws:kms:us-east-1:1:key/a"}
        plan.step(type_, name)["oldState"]["inputs"]["rules"] = [{"applyServerSideEncryptionByDefault": default}]
    else:
        plan.set("Bucket", "bucket", "labels.a", "b")
        plan.step("Bucket", "bucket")["oldState"]["inputs"]["encryption"] = {"defaultKmsKeyName": "k"}
    assert [finding.rule.id for finding in plan.findings()] == ["own-key-removed"]


def test_protection_that_goes_is_noticed_outside_production() -> None:
    """Unprotecting a bucket of another environment is legal, and the first half of losing it."""
    plan = deployed("staging")
    plan.step("Bucket", "bucket")["oldState"]["protect"] = True
    assert [finding.rule.id for finding in plan.findings()] == ["protection-removed"]


def test_loss_stops_nothing_in_a_stack_that_may_be_thrown_away() -> None:
    """Where nothing is protected, the rules on losses have nothing to say."""
    plan = deployed("dev")
    plan.replace("Bucket", "bucket", "bucket", "renamed")
    plan.delete("User", "reader")
    plan.delete("AccessKey", "reader-blue")
    assert plan.findings() == []


def test_protection_is_believed_from_before_the_change() -> None:
    """A change that takes away the protection and the bucket in one step is still a loss."""
    plan = deployed("staging")
    plan.step("Bucket", "bucket")["oldState"]["protect"] = True
    plan.delete("Bucket", "bucket")
    assert "bucket-loss" in {finding.rule.id for finding in plan.findings() if finding.stops}


def test_inactive_key_may_go_and_a_replaced_user_is_said_once() -> None:
    """What nothing uses may be deleted; the keys of a user that goes are not counted again."""
    plan = deployed("prod")
    for state in ("oldState", "newState"):
        plan.step("AccessKey", "reader-blue")[state]["inputs"]["status"] = "Inactive"
    plan.delete("AccessKey", "reader-blue")
    assert plan.findings() == []
    plan = deployed("prod")
    plan.replace("User", "reader", "name", "renamed")
    plan.replace("AccessKey", "reader-blue", "user", "renamed")
    assert [finding.rule.id for finding in plan.findings()] == ["reader-loss"]


def test_whole_storage_that_goes_misses_no_guard() -> None:
    """Without the bucket nothing needs its guards: a stack that is emptied on purpose is not scolded for each."""
    plan = deployed("dev")
    for step in plan.steps[1:]:
        step["op"] = "delete"
        del step["newState"]
    assert plan.findings() == []


def test_first_half_of_a_replacement_is_a_loss_and_nothing_more() -> None:
    """What is deleted to be made anew has no new properties yet, which are not judged as if they were empty."""
    plan = deployed("dev")
    step = plan.step("BucketPolicy", "policy")
    step.update(op="delete-replaced")
    del step["newState"]
    (found,) = plans.planned([step])
    assert (found.lost, found.remains) == (True, False)


def test_bucket_that_is_taken_over_is_judged_as_it_will_be() -> None:
    """Neither what it was before it was ours, nor a comparison with that, is a finding; what it becomes is."""
    plan = deployed("staging")
    changed = plan.step("BucketLifecycleConfiguration", "lifecycle")
    changed["op"] = "update"
    changed["oldState"]["inputs"]["rules"] = [
        {"status": "Enabled", "filter": {"prefix": "recordings/"}, "expiration": {"days": 3650}}
    ]
    taken = {"op": "import", "urn": changed["urn"], "newState": changed["oldState"]}
    plan.steps.insert(0, taken)
    assert plan.findings() == []
    changed["newState"]["inputs"]["rules"][4]["filter"] = {"prefix": ""}
    assert [finding.rule.id for finding in plan.findings()] == ["expiry-outside-prefix"]


UNKNOWN_PLANTS = [
    ("BucketPublicAccessBlock", "public-access", "blockPublicPolicy", {"public-access-block"}),
    ("BucketVersioning", "versioning", "versioningConfiguration", {"versioning"}),
    ("BucketOwnershipControls", "ownership", "rule", {"acl"}),
    ("BucketCorsConfiguration", "cors", "corsRules.0.allowedOrigins", {"cors-any-origin"}),
    ("Bucket", "bucket", "forceDestroy", {"force-destroy"}),
    ("BucketServerSideEncryptionConfiguration", "encryption", "rules", {"encryption"}),
]


@pytest.mark.parametrize("value", [UNKNOWN, "[secret]"])
@pytest.mark.parametrize(("type_", "name", "path", "rules"), UNKNOWN_PLANTS)
def test_value_that_is_not_shown_is_neither_right_nor_wrong(
    type_: str, name: str, path: str, rules: set[str], value: str
) -> None:
    """A rule whose property the preview does not show says so; it neither passes nor stops anything."""
    plan = deployed("prod")
    plan.set(type_, name, path, value)
    found = plan.findings()
    assert {finding.rule.id for finding in found} == rules
    assert not any(finding.decided or finding.stops for finding in found)


def test_known_fault_is_caught_beside_unknown_values() -> None:
    """What is known to be wrong stays wrong whatever the rest turns out to be."""
    plan = deployed("prod")
    plan.set("BucketPublicAccessBlock", "public-access", "blockPublicPolicy", UNKNOWN)
    plan.set("BucketPublicAccessBlock", "public-access", "blockPublicAcls", False)
    plan.set("BucketCorsConfiguration", "cors", "corsRules.0.allowedOrigins", [UNKNOWN, "*"])
    assert {(finding.rule.id, finding.decided) for finding in plan.findings()} == {
        ("public-access-block", True),
        ("cors-any-origin", True),
    }


def test_unknown_member_is_judged_by_where_it_comes_from() -> None:
    """The e-mail of a service account that is made in the same deployment cannot be everybody; any other value can."""
    plan = fresh("dev-gcs")
    plan.set("BucketIAMMember", "reader-objectViewer", "member", UNKNOWN)
    assert plan.findings() == []
    plan.step("BucketIAMMember", "reader-objectViewer")["newState"]["propertyDependencies"] = {}
    assert [(finding.rule.id, finding.decided) for finding in plan.findings()] == [("public-principal", False)]


def test_secret_in_the_former_state_alone_is_left_open() -> None:
    """The CLI shows the stack's outputs of before: whether they stay in clear is not known, and not passed over."""
    plan = deployed("dev")
    root = plan.steps[0]
    del root["newState"]["outputs"]
    root["oldState"]["outputs"]["writerSecretAccessKey"] = "issued"
    assert [(finding.rule.id, finding.decided) for finding in plan.findings()] == [("secret-in-clear", False)]


def waive(plan: Preview, rule: str, expires: str) -> None:
    plan.config["recordings:waivers"] = json.dumps(
        [{"id": rule, "reason": "agreed with security, ticket 4711", "expires": expires}]
    )


def test_waiver_lets_its_rule_off_until_its_last_day() -> None:
    """A waived finding is still reported, with its waiver, and stops nothing; a day later it stops again."""
    plan = deployed("prod")
    plan.set("BucketCorsConfiguration", "cors", "corsRules.0.allowedOrigins.0", "*")
    waive(plan, "cors-any-origin", NOW.strftime("%Y-%m-%d"))
    (finding,) = plan.findings()
    assert not finding.stops
    assert finding.waiver is not None
    assert finding.waiver.reason.endswith("4711")
    plan.now += timedelta(days=1)
    assert {finding.rule.id for finding in plan.findings() if finding.stops} == {"cors-any-origin", "waiver-expired"}


def test_waiver_of_another_rule_lets_nothing_off() -> None:
    """A waiver is for one rule."""
    plan = deployed("prod")
    plan.set("BucketCorsConfiguration", "cors", "corsRules.0.allowedOrigins.0", "*")
    waive(plan, "versioning", "2099-01-01")
    assert [finding.stops for finding in plan.findings()] == [True]


@pytest.mark.parametrize("rule", ["no-such-rule", "waiver-expired"])
def test_waiver_of_no_rule_fails(rule: str) -> None:
    """A misspelt waiver, or one that would waive the end of waivers, is a finding of its own."""
    plan = deployed("prod")
    waive(plan, rule, "2099-01-01")
    assert [(finding.rule.id, finding.stops) for finding in plan.findings()] == [("waiver-unknown", True)]


def test_expired_waiver_fails_even_where_nothing_needs_it() -> None:
    """It is to be removed, so that nobody believes in it."""
    plan = deployed("prod")
    waive(plan, "versioning", "2027-01-14")
    assert [(finding.rule.id, finding.stops) for finding in plan.findings()] == [("waiver-expired", True)]


def test_rules_are_complete_and_distinct() -> None:
    """Each rule has an id of its own, a reason and a remedy in whole sentences; time alone stops no deployment."""
    rules = evaluation.RULES
    assert len({rule.id for rule in rules}) == len(rules)
    assert all(rule.reason.endswith((".", ")")) and rule.remedy.endswith(".") for rule in rules)
    assert all(rule.severity is Severity.ADVISORY for rule in rules if rule.id in ("key-age", "keys-overlap"))


def test_rules_are_pure() -> None:
    """Rules read no clock, file, environment or network: they import nothing that could."""
    legal = {"__future__", "collections", "dataclasses", "datetime", "enum", "itertools", "json", "re", "typing"}
    for path in [*(ROOT / "policy").glob("*.py"), *(ROOT / "policy" / "rules").glob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            roots = {name.split(".")[0] for name in names}
            assert roots <= legal | {"policy", "recordings"}, f"{path.name}: {roots}"
        assert "now()" not in path.read_text(), path.name
