"""What is proposed for a bucket and users that exist: configuration that keeps, findings for what it can't keep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recordings.errors import GuardError, UsageError
from recordings.policies import bucket_policy
from tests.unit.adoption_facts import BUCKET, REGION, bucket_facts, proposed, user_facts

KMS = f"arn:aws:kms:{REGION}:111111111111:key/1234abcd-12ab-34cd-56ef-1234567890ab"
FOREIGN = {
    "Sid": "Cdn",
    "Effect": "Allow",
    "Principal": {"Service": "cloudfront.amazonaws.com"},
    "Action": "s3:GetObject",
}


def test_plain_bucket_is_taken_over_as_it_is(tmp_path: Path) -> None:
    """Nothing is found; bucket, region and the parts it has are written, and that it is protected."""
    proposal = proposed(tmp_path, bucket_facts())
    assert proposal.findings == []
    assert proposal.values == {
        "recordings:bucketName": BUCKET,
        "aws:region": REGION,
        "recordings:protect": True,
        "recordings:adopt": ["bucket", "public-access", "ownership", "encryption"],
    }


def encrypted(algorithm: str, key: str | None = None) -> dict[str, Any]:
    default = {"SSEAlgorithm": algorithm} | ({"KMSMasterKeyID": key} if key else {})
    return {"encryption": {"ApplyServerSideEncryptionByDefault": default}}


OLD_VERSIONS = {"versioning": "Enabled"}
LOSSES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("cors:1", {"cors": [{"AllowedMethods": ["PUT"], "AllowedOrigins": ["*"]}]}, {}),
    ("cors:up", {"cors": [{"ID": "up", "AllowedMethods": ["GET"], "AllowedOrigins": ["https://b.example"]}]},
     {"corsOrigins": ["https://a.example"]}),
    ("cors:1", {"cors": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "ExposeHeaders": ["x-own"]}]}, {}),
    ("policy:Cdn", {"statements": [FOREIGN]}, {}),
    ("policy:1", {"statements": [{key: FOREIGN[key] for key in FOREIGN if key != "Sid"}]}, {}),
    ("public-access", {"is_public": True}, {}),
    ("acl", {"ownership": "ObjectWriter", "grantees": ["somebody (READ)"]}, {}),
    ("encryption", encrypted("aws:kms"), {}),
    ("encryption", encrypted("aws:kms:dsse", KMS), {}),
    ("encryption", encrypted("aws:kms", KMS), {"kmsKey": KMS.replace("1234abcd", "9999abcd")}),
    ("mfa-delete", {"versioning": "Suspended", "mfa_delete": True, "lifecycle": [
        {"Status": "Enabled", "Filter": {}, "NoncurrentVersionExpiration": {"NoncurrentDays": 3}}]}, {}),
    ("access-log", {"logging": {"TargetBucket": "logs", "TargetPrefix": "x/"}}, {"accessLogBucket": "other-logs"}),
    ("forceDestroy", {}, {"forceDestroy": True}),
    ("retentionDays", {}, {"retentionDays": 14}),
    ("oldVersionDays", OLD_VERSIONS, {}),
    ("oldVersionDays", {"versioning": "Suspended"}, {"oldVersionDays": 400}),
    ("region", {"region": "us-west-2"}, {"aws:region": REGION}),
    ("cloudformation:web", {"tags": {"aws:cloudformation:stack-name": "web"}}, {}),
    ("stack:prod", {"tags": {"recordings:stack": "prod"}}, {}),
    ("tag:team", {"tags": {"team": "video"}}, {"tags": {"team": "other"}}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "facts", "config"), LOSSES)
def test_what_would_be_lost_is_found_by_name(
    tmp_path: Path, name: str, facts: dict[str, Any], config: dict[str, Any]
) -> None:
    """Each loss is one finding, and nothing else is found."""
    proposal = proposed(tmp_path, bucket_facts(**facts), config=config)
    assert [finding.name for finding in proposal.findings] == [name]


def lifecycle(**rule: Any) -> dict[str, Any]:
    return {"lifecycle": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, **rule}]}


@pytest.mark.parametrize(
    ("rule", "config", "found"),
    [
        ({"Expiration": {"Days": 5}}, {}, ["lifecycle:r"]),
        ({"Expiration": {"Date": "2027-01-01"}}, {}, ["lifecycle:r"]),
        ({"Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]}, {}, ["lifecycle:r"]),
        ({"NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 2}}, {}, ["lifecycle:r"]),
        ({"NoncurrentVersionTransitions": [{"NoncurrentDays": 9, "StorageClass": "GLACIER"}]}, {}, ["lifecycle:r"]),
        ({"Filter": {"Tag": {"Key": "a", "Value": "b"}}, "NoncurrentVersionExpiration": {"NoncurrentDays": 3}}, {},
         ["lifecycle:r"]),
        ({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}}, {}, []),
        ({"Expiration": {"ExpiredObjectDeleteMarker": True}}, {}, []),
        ({"Filter": {"Prefix": "recordings/"}, "Expiration": {"Days": 14}}, {"retentionDays": 14}, []),
        ({"Filter": {"Prefix": "recordings/"}, "Expiration": {"Days": 30}}, {"retentionDays": 14},
         ["lifecycle:r", "retentionDays"]),
        ({"Expiration": {"Days": 5}}, {"retentionDays": 14}, ["lifecycle:r"]),
        ({"Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 5}}, {"retentionDays": 14},
         ["lifecycle:r", "retentionDays"]),
        ({"Filter": {"Prefix": "recordings/"}, "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}]},
         {"storageClasses": [{"class": "GLACIER", "afterDays": 30}]}, []),
        ({"Status": "Disabled", "Expiration": {"Days": 5}}, {}, []),
    ],
)  # fmt: skip
def test_lifecycle_rule_is_found_unless_the_stack_does_the_same(
    tmp_path: Path, rule: dict[str, Any], config: dict[str, Any], found: list[str]
) -> None:
    """A rule goes; it is found if what it does goes with it, or if the stack would delete more than it did."""
    proposal = proposed(tmp_path, bucket_facts(**lifecycle(**rule)), config=config)
    assert [finding.name for finding in proposal.findings] == found


def test_old_versions_are_safe_where_a_rule_deletes_them_sooner(tmp_path: Path) -> None:
    """No finding for what happens already."""
    facts = bucket_facts(**OLD_VERSIONS, **lifecycle(NoncurrentVersionExpiration={"NoncurrentDays": 30}))
    assert proposed(tmp_path, facts).findings == []


def test_own_policy_in_another_spelling_is_no_loss(tmp_path: Path) -> None:
    """The same denial with another Sid, order and principal means the same."""
    statements: list[Any] = [dict(statement) for statement in bucket_policy(BUCKET, REGION)["Statement"]]
    for statement in statements:
        statement |= {
            "Sid": "x",
            "Principal": {"AWS": "*"},
            "Resource": statement["Resource"][::-1],
            "Action": ["s3:*"],
        }
    assert proposed(tmp_path, bucket_facts(statements=statements)).findings == []


def test_what_configuration_can_keep_is_written(tmp_path: Path) -> None:
    """Origins, KMS key, log and tags are kept by keys of their own; a system tag is AWS's."""
    facts = bucket_facts(
        cors=[{"AllowedMethods": ["GET"], "AllowedOrigins": ["https://a.example", "https://b.example"]}],
        **encrypted("aws:kms", KMS),
        logging={"TargetBucket": "logs", "TargetPrefix": f"{BUCKET}/"},
        tags={"team": "video", "aws:createdBy": "x", "recordings:stack": "dev"},
    )
    proposal = proposed(tmp_path, facts, prefix="old/")
    assert proposal.findings == []
    kept = {key.removeprefix("recordings:"): value for key, value in proposal.values.items()}
    assert kept["corsOrigins"] == ["https://a.example", "https://b.example"]
    assert kept["kmsKey"] == KMS
    assert kept["accessLogBucket"] == "logs"
    assert kept["tags"] == {"team": "video"}
    assert kept["pathPrefix"] == "old/"
    assert {"cors", "access-log"} <= {*kept["adopt"]}


def test_log_elsewhere_stays_unmanaged(tmp_path: Path) -> None:
    """A log with another prefix than ours is left alone where none is configured."""
    proposal = proposed(tmp_path, bucket_facts(logging={"TargetBucket": "logs", "TargetPrefix": "x/"}))
    assert (proposal.findings, "access-log" in proposal.values["recordings:adopt"]) == ([], False)
    assert any("s3://logs/x/" in note for note in proposal.notes)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "versioning is off"),
        ({"ownership": None}, "ACLs are turned off"),
        ({"versioning": "Suspended"}, "suspended"),
    ],
)
def test_changes_without_a_loss_are_told(tmp_path: Path, facts: dict[str, Any], said: str) -> None:
    """Versioning and ACLs are spoken of before they change."""
    assert any(said in note for note in proposed(tmp_path, bucket_facts(**facts)).notes)


def allow(resource: str, *actions: str) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": resource}


def test_users_are_taken_over_with_their_policies(tmp_path: Path) -> None:
    """Names, policies, path, boundary and tags are written; the reader is told apart."""
    place: dict[str, Any] = {"path": "/teams/", "boundary": "arn:aws:iam::111111111111:policy/b"}
    inline = {"upload": [allow(f"arn:aws:s3:::{BUCKET}/*", "s3:PutObject")]}
    writer = user_facts("w", inline=inline, tags={"who": "100ms"}, keys={"AKIA1": "Active"}, **place)
    reader = user_facts("r", **place)
    proposal = proposed(tmp_path, bucket_facts(), writer, reader, user="w", reader_user="r")
    assert proposal.findings == []
    assert proposal.values["recordings:adopt"][-3:] == ["writer", "writer-policy", "reader"]
    written = {key.removeprefix("recordings:"): value for key, value in proposal.values.items()}
    assert (written["writerName"], written["readerName"], written["writerPolicyName"]) == ("w", "r", "upload")
    assert (written["iamPath"], written["permissionsBoundary"]) == ("/teams/", place["boundary"])
    assert written["tags"] == {"who": "100ms"}
    assert any("AKIA1 (Active), unmanaged" in note for note in proposal.notes)


ELSEWHERE = allow("arn:aws:s3:::another/*", "s3:PutObject")
USER_LOSSES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("writer-policy:p", {"inline": {"p": [ELSEWHERE]}}, {}),
    ("writer-policy:p", {"inline": {"p": [allow(f"arn:aws:s3:::{BUCKET}x/*", "s3:PutObject")]}}, {}),
    ("writer-policy:p", {"inline": {"p": [allow(f"arn:aws:s3:::{BUCKET}", "s3:ListBucket", "sns:Publish")]}}, {}),
    ("writer-policy", {"inline": {"p": [], "q": []}}, {}),
    ("writerKeys", {"keys": {"AKIA1": "Active", "AKIA2": "Inactive"}}, {}),
    ("writerKeys", {"keys": {"AKIA1": "Active"}}, {"writerKeys": {"blue": "active", "green": "active"}}),
    ("iamPath", {"path": "/a/"}, {"iamPath": "/b/"}),
    ("boundary:w", {"boundary": "arn:aws:iam::1:policy/a"}, {"permissionsBoundary": "arn:aws:iam::1:policy/b"}),
    ("writerExternal", {}, {"writerExternal": {"principal": "x"}}),
    ("stack:prod", {"tags": {"recordings:stack": "prod"}}, {}),
]


@pytest.mark.parametrize(("name", "facts", "config"), USER_LOSSES)
def test_what_a_user_would_lose_is_found_by_name(
    tmp_path: Path, name: str, facts: dict[str, Any], config: dict[str, Any]
) -> None:
    """Each loss of a user is one finding, and nothing else is found."""
    proposal = proposed(tmp_path, bucket_facts(), user_facts("w", **facts), config=config, user="w")
    assert [finding.name for finding in proposal.findings] == [name]


def test_named_policy_is_the_one_taken_over(tmp_path: Path) -> None:
    """Of several, the named; the others stay, and that is told."""
    user = user_facts("w", inline={"p": [], "q": []}, attached=["Big"], groups=["Ops"])
    proposal = proposed(tmp_path, bucket_facts(), user, user="w", user_policy="q")
    assert (proposal.findings, proposal.values["recordings:writerPolicyName"]) == ([], "q")
    assert any("keeps the inline policies p" in note for note in proposal.notes)
    assert any("policy Big, group Ops" in note for note in proposal.notes)


def test_policy_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """The legal names are given."""
    with pytest.raises(UsageError, match="legal: p"):
        proposed(tmp_path, bucket_facts(), user_facts("w", inline={"p": []}), user="w", user_policy="x")


def test_users_in_two_paths_cannot_both_be_taken_over(tmp_path: Path) -> None:
    """One path serves both users."""
    users = user_facts("w", path="/a/"), user_facts("r", path="/b/")
    proposal = proposed(tmp_path, bucket_facts(), *users, user="w", reader_user="r")
    assert [finding.name for finding in proposal.findings] == ["iamPath"]


@pytest.mark.parametrize("config", [{}, {"readerName": "r"}])
def test_user_that_would_be_made_must_not_be_there(tmp_path: Path, config: dict[str, str]) -> None:
    """`up` would stop half way: the name is given, and the way out."""
    reader = user_facts(config.get("readerName", "100ms-recording-reader-dev"))
    proposal = proposed(tmp_path, bucket_facts(), reader, config=config)
    assert [(finding.name, finding.acceptable) for finding in proposal.findings] == [("readerName", False)]
    assert f"--reader-user {reader.name}" in proposal.findings[0].text


def test_accepted_findings_no_longer_stand_in_the_way(tmp_path: Path) -> None:
    """By their names alone, and never what can't be accepted; a name that nothing has is an error."""
    proposal = proposed(tmp_path, bucket_facts(is_public=True, ownership="ObjectWriter", grantees=["x (READ)"]))
    assert [finding.name for finding in proposal.open(["public-access"])] == ["acl"]
    with pytest.raises(UsageError, match="legal: public-access"):
        proposal.open(["acl"])


def test_wrong_account_stops(tmp_path: Path) -> None:
    """Before anything is read."""
    with pytest.raises(GuardError, match="222222222222"):
        proposed(tmp_path, bucket_facts(), config={"expectedAccount": "222222222222"})
