"""What is proposed for a bucket and accounts that exist on Google: what is kept, and what stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from recordings.adoption.findings import Proposal
from recordings.adoption.gcs import propose
from recordings.adoption.gcs_survey import AccountFacts, BucketFacts
from recordings.adoption.proposing import Wish
from recordings.adoption.proposing import propose as propose_for_any
from recordings.errors import ConfigurationError, GuardError, UsageError
from recordings.outputs import WriterAccess
from recordings.policies_gcs import OBJECT_ADMIN, writer_bindings
from tests.unit.adoption_facts import stack_file

BUCKET, PROJECT, DAY = "acme-old", "acme-video-dev", 86_400
KMS = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"
EMAIL = f"hms-uploader@{PROJECT}.iam.gserviceaccount.com"
UNIFORM = {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "inherited"}
EVERYBODY = {"role": "roles/storage.objectViewer", "members": ["allUsers"]}


@dataclass
class Known:
    """A surveyor that knows everything already."""

    found: BucketFacts
    accounts: Mapping[str, AccountFacts] = field(default_factory=dict)
    project: str = PROJECT

    def bucket(self, name: str) -> BucketFacts:
        """The bucket."""
        assert name == self.found.name
        return self.found

    def account(self, id_: str) -> AccountFacts | None:
        """One of the accounts."""
        return self.accounts.get(id_)


def bucket(*bindings: dict[str, Any], **fields: Any) -> BucketFacts:
    """A bucket as Google makes it with uniform access, with nothing else set by hand."""
    plain = {"name": BUCKET, "location": "EUROPE-WEST1", "storageClass": "STANDARD", "iamConfiguration": UNIFORM}
    soft = {"softDeletePolicy": {"retentionDurationSeconds": str(7 * DAY)}}
    return BucketFacts(BUCKET, {**plain, **soft, **fields}, bindings)


def account(keys: int = 0, **fields: Any) -> AccountFacts:
    ids = {f"GOOG1E{number}": "ACTIVE" for number in range(keys)}
    return AccountFacts("hms-uploader", {"email": EMAIL, **fields}, ids)


def proposed(
    folder: Path, found: BucketFacts, *accounts: AccountFacts, config: dict[str, Any] | None = None, **wish: Any
) -> Proposal:
    known = Known(found, {each.id: each for each in accounts})
    file = stack_file(folder, provider="gcs", **(config or {}))
    return propose(Wish("dev", BUCKET, **wish), file, known)  # type: ignore[arg-type]


def test_plain_bucket_is_taken_over_as_it_is(tmp_path: Path) -> None:
    """Nothing is found; bucket, place and that it is protected are written."""
    proposal = proposed(tmp_path, bucket())
    assert proposal.findings == []
    assert proposal.values == {
        "recordings:bucketName": BUCKET,
        "gcp:region": "europe-west1",
        "gcp:project": PROJECT,
        "recordings:protect": True,
        "recordings:adopt": ["bucket"],
    }


def rule(action: str, **condition: Any) -> dict[str, Any]:
    name, _, target = action.partition(" ")
    return {"action": {"type": name, **({"storageClass": target} if target else {})}, "condition": condition}


def lifecycle(*rules: dict[str, Any]) -> dict[str, Any]:
    return {"lifecycle": {"rule": list(rules)}}


LOG = {"logging": {"logBucket": "logs", "logObjectPrefix": "x"}}
AUTOCLASS = {"autoclass": {"enabled": True, "terminalStorageClass": "ARCHIVE"}}
OLDER_GO = [rule("Delete", daysSinceNoncurrentTime=3)]
LOSSES: list[tuple[str, bool, dict[str, Any], dict[str, Any]]] = [
    ("cors:1", True, {"cors": [{"method": ["PUT"], "origin": ["*"]}]}, {}),
    ("cors:2", True, {"cors": [{"method": ["GET"], "origin": ["*"], "responseHeader": ["Range", "ETag"]},
                               {"method": ["GET"], "origin": ["*"], "responseHeader": ["x-own"]}]}, {}),
    ("acl", True, {"iamConfiguration": {"uniformBucketLevelAccess": {"enabled": False}}}, {}),
    ("soft-delete", True, {"softDeletePolicy": {"retentionDurationSeconds": str(30 * DAY)}}, {}),
    ("retention-policy", True, {"retentionPolicy": {"retentionPeriod": str(DAY)}}, {}),
    ("retention-policy", False, {"retentionPolicy": {"retentionPeriod": str(DAY), "isLocked": True}}, {}),
    ("storage-class", True, {"storageClass": "NEARLINE"}, {}),
    ("autoclass", True, AUTOCLASS, {"autoclass": "NEARLINE"}),
    ("encryption", True, {"encryption": {"defaultKmsKeyName": KMS}}, {"kmsKey": f"{KMS}2"}),
    ("access-log", True, LOG, {}),
    ("website", True, {"website": {"mainPageSuffix": "index.html"}}, {}),
    ("requester-pays", True, {"billing": {"requesterPays": True}}, {}),
    ("event-based-hold", True, {"defaultEventBasedHold": True}, {}),
    ("ip-filter", True, {"ipFilter": {"mode": "Enabled"}}, {}),
    ("placement", False, {"customPlacementConfig": {"dataLocations": ["A", "B"]}}, {}),
    ("namespace", False, {"hierarchicalNamespace": {"enabled": True}}, {}),
    ("object-retention", False, {"objectRetention": {"mode": "Enabled"}}, {}),
    ("region", False, {}, {"gcp:region": "europe-west3"}),
    ("forceDestroy", True, {}, {"forceDestroy": True}),
    ("tag:team", True, {"labels": {"team": "video"}}, {"tags": {"team": "audio"}}),
    ("stack:prod", True, {"labels": {"recordings-stack": "prod"}}, {}),
    ("lifecycle:1", True, lifecycle(rule("Delete", age=5, matchesPrefix=["tmp/"])), {}),
    ("lifecycle:1", True, lifecycle(rule("SetStorageClass NEARLINE", age=30)), {}),
    ("lifecycle:1", True, lifecycle(rule("Delete", isLive=False, numNewerVersions=3)), {}),
    ("lifecycle:2", True, lifecycle(*OLDER_GO, rule("Delete", age=9, matchesSuffix=[".tmp"])), {}),
    ("oldVersionDays", True, {"versioning": {"enabled": True}}, {}),
    ("retentionDays", True, {}, {"retentionDays": 14}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "acceptable", "fields", "config"), LOSSES)
def test_what_would_be_lost_is_found_by_name(
    tmp_path: Path, name: str, acceptable: bool, fields: dict[str, Any], config: dict[str, Any]
) -> None:
    """Each loss is one finding, and nothing else is found."""
    proposal = proposed(tmp_path, bucket(**fields), config=config)
    assert [(finding.name, finding.acceptable) for finding in proposal.findings] == [(name, acceptable)]


def test_public_bindings_are_found_until_public_access_is_prevented(tmp_path: Path) -> None:
    """Who lets everybody in is told; where nobody is let in by it, nothing is lost."""
    assert [found.name for found in proposed(tmp_path, bucket(EVERYBODY)).findings] == ["public-access"]
    shut = {**UNIFORM, "publicAccessPrevention": "enforced"}
    assert proposed(tmp_path, bucket(EVERYBODY, iamConfiguration=shut)).findings == []


def test_what_can_be_kept_is_written(tmp_path: Path) -> None:
    """Labels, origins, key, Autoclass and log; Google's labels and the stack's own are none of the owner's."""
    labels = {"team": "video", "goog-x": "1", "recordings-stack": "dev"}
    cors = [{"method": ["GET"], "origin": ["https://a.example"]}]
    log = {"logging": {"logBucket": "logs", "logObjectPrefix": BUCKET}}
    off = {"hierarchicalNamespace": {"enabled": False}, "billing": {"requesterPays": False}, "ipFilter": {}}
    found = bucket(labels=labels, cors=cors, encryption={"defaultKmsKeyName": KMS}, **AUTOCLASS, **log, **off)
    proposal = proposed(tmp_path, found, config={"gcp:region": "EUROPE-WEST1", "gcp:project": PROJECT})
    assert proposal.findings == []
    assert {key: value for key, value in proposal.values.items() if key.startswith("recordings:")} == {
        "recordings:bucketName": BUCKET,
        "recordings:tags": {"team": "video"},
        "recordings:protect": True,
        "recordings:corsOrigins": ["https://a.example"],
        "recordings:autoclass": "ARCHIVE",
        "recordings:kmsKey": KMS,
        "recordings:accessLogBucket": "logs",
        "recordings:adopt": ["bucket"],
    }
    assert not {"gcp:region", "gcp:project"} & {*proposal.values}


def test_rules_that_the_stack_has_too_are_no_loss(tmp_path: Path) -> None:
    """Retention and classes under the prefix, old versions and unfinished uploads anywhere."""
    rules = (
        rule("AbortIncompleteMultipartUpload", age=3),
        rule("Delete", isLive=False, age=9),
        rule("SetStorageClass NEARLINE", age=30, matchesPrefix=["rec/"]),
        rule("Delete", age=90, isLive=True, matchesPrefix=["rec/"]),
    )
    config = {"retentionDays": 90, "storageClasses": [{"class": "NEARLINE", "afterDays": 30}], "pathPrefix": "rec/"}
    versioned = bucket(versioning={"enabled": True}, **lifecycle(*rules))
    assert proposed(tmp_path, versioned, config=config).findings == []


@pytest.mark.parametrize("given", ["hms-uploader", EMAIL])
def test_account_is_taken_over_by_id_or_email(tmp_path: Path, given: str) -> None:
    """Its id is written; keys, its name and rights beyond the prefix are told, those of the stack are not."""
    who = [f"serviceAccount:{EMAIL}"]
    ours = {**writer_bindings(BUCKET, "rec/", WriterAccess.FULL)[0], "members": who}
    found = bucket({"role": OBJECT_ADMIN, "members": who}, ours, {"role": OBJECT_ADMIN, "members": ["user:a@b.c"]})
    proposal = proposed(tmp_path, found, account(1, displayName="Uploads"), user=given, prefix="rec/")
    assert proposal.findings == []
    assert proposal.values["recordings:writerName"] == "hms-uploader"
    assert proposal.values["recordings:adopt"] == ["bucket", "writer"]
    assert any("GOOG1E0 (ACTIVE), unmanaged" in note for note in proposal.notes)
    kept = [note for note in proposal.notes if "keeps roles/" in note]
    assert len(kept) == 1
    assert f"{OBJECT_ADMIN} in the whole bucket" in kept[0]


ACCOUNT_LOSSES: list[tuple[str, bool, AccountFacts, dict[str, Any]]] = [
    ("disabled:hms-uploader", True, account(disabled=True), {}),
    ("description:hms-uploader", True, account(description="of the video team"), {}),
    ("writerKeys", False, account(10), {}),
    ("writerKeys", False, account(9), {"writerKeys": {"blue": "active", "green": "active"}}),
    ("writerExternal", False, account(), {"writerExternal": {"principal": "x"}}),
]


@pytest.mark.parametrize(("name", "acceptable", "facts", "config"), ACCOUNT_LOSSES)
def test_what_an_account_would_lose_is_found_by_name(
    tmp_path: Path, name: str, acceptable: bool, facts: AccountFacts, config: dict[str, Any]
) -> None:
    """Each loss of an account is one finding, and nothing else is found."""
    proposal = proposed(tmp_path, bucket(), facts, config=config, user="hms-uploader")
    assert [(finding.name, finding.acceptable) for finding in proposal.findings] == [(name, acceptable)]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"user": "theirs@their-project.iam.gserviceaccount.com"}, "recordings:writerExternal"),
        ({"reader_user": "1-compute@developer.gserviceaccount.com"}, "recordings:readerExternal"),
        ({"user": "short"}, "6 to 30"),
        ({"user": "nobody-here"}, "there is no service account"),
        ({"user": "hms-uploader", "reader_user": "hms-uploader"}, "cannot be writer and reader"),
        ({"reader_policy": "p"}, "are AWS's"),
    ],
)
def test_account_that_cannot_be_taken_over_is_an_error(tmp_path: Path, wish: dict[str, Any], said: str) -> None:
    """Another project's, one that Google made, no id at all, one that is not there; with the way out."""
    with pytest.raises(UsageError, match=said):
        proposed(tmp_path, bucket(), account(), **wish)


def test_account_that_would_be_made_must_not_be_there(tmp_path: Path) -> None:
    """`up` would stop half way: the name is given, and the way out."""
    there = AccountFacts("hms-rec-reader-dev", {"email": "x"}, {})
    findings = proposed(tmp_path, bucket(), there).findings
    assert [(finding.name, finding.acceptable) for finding in findings] == [("readerName", False)]
    assert "--reader-user hms-rec-reader-dev" in findings[0].text


def test_wrong_project_stops(tmp_path: Path) -> None:
    """Before anything is read."""
    with pytest.raises(GuardError, match="another-project"):
        proposed(tmp_path, bucket(), config={"expectedAccount": "another-project"})


def test_unknown_provider_is_an_error(tmp_path: Path) -> None:
    """The legal ones are named, and nothing of that name is imported."""
    with pytest.raises(ConfigurationError, match="legal: s3, gcs"):
        propose_for_any(Wish("dev", BUCKET), stack_file(tmp_path, provider="parts"))
