"""Buckets of the sandbox's Google: every field that a recording storage uses, and what Google refuses."""

from __future__ import annotations

from typing import Any

import pytest
from google.api_core.exceptions import Conflict, NotFound, PreconditionFailed

from tests.functional.google_lab import Lab, fault

ALL_FIELDS: dict[str, Any] = {
    "location": "europe-west1",
    "storageClass": "STANDARD",
    "cors": [
        {"origin": ["*"], "method": ["GET", "HEAD"], "responseHeader": ["Content-Range", "ETag"], "maxAgeSeconds": 60}
    ],
    "versioning": {"enabled": True},
    "softDeletePolicy": {"retentionDurationSeconds": "604800"},
    "lifecycle": {
        "rule": [
            {"action": {"type": "Delete"}, "condition": {"age": 30, "matchesPrefix": ["recordings/"]}},
            {"action": {"type": "Delete"}, "condition": {"daysSinceNoncurrentTime": 30, "numNewerVersions": 1}},
            {"action": {"type": "SetStorageClass", "storageClass": "NEARLINE"}, "condition": {"age": 60}},
            {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 7}},
        ]
    },
    "labels": {"environment": "dev"},
}


def test_bucket_keeps_every_field(lab: Lab) -> None:
    """What is set is what is read, with Google's own fields beside it."""
    name = lab.bucket(**ALL_FIELDS)
    found = lab.operator.get(f"/storage/v1/b/{name}").json()
    for field in ("cors", "versioning", "lifecycle", "labels", "storageClass"):
        assert found[field] == ALL_FIELDS[field], field
    assert (found["location"], found["locationType"]) == ("EUROPE-WEST1", "region")
    assert found["softDeletePolicy"]["retentionDurationSeconds"] == "604800"
    assert found["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"] is True
    assert found["iamConfiguration"]["publicAccessPrevention"] == "enforced"
    assert found["metageneration"] == "1"


def test_new_bucket_has_googles_defaults(lab: Lab) -> None:
    """Soft delete for seven days, multi-region US, and prevention inherited, unless said otherwise."""
    answer = lab.operator.post(
        "/storage/v1/b", params={"project": lab.project}, json={"name": f"{lab.bucket()}-defaults"}
    ).json()
    assert (answer["location"], answer["locationType"]) == ("US", "multi-region")
    assert answer["softDeletePolicy"]["retentionDurationSeconds"] == "604800"
    assert answer["iamConfiguration"]["publicAccessPrevention"] == "inherited"
    assert answer["iamConfiguration"]["uniformBucketLevelAccess"]["enabled"] is False


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"location": "mars-east1"}, "location"),
        ({"storageClass": "COLD"}, "storageClass"),
        ({"retentionPolicy": {"retentionPeriod": "1"}}, "retentionPolicy"),
        ({"softDeletePolicy": {"retentionDurationSeconds": "3600"}}, "604800"),
        ({"lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {}}]}}, "condition"),
        ({"lifecycle": {"rule": [{"action": {"type": "Delete"}, "condition": {"ages": 1}}]}}, "ages"),
        ({"lifecycle": {"rule": [{"action": {"type": "SetStorageClass"}, "condition": {"age": 1}}]}}, "storageClass"),
        (
            {"lifecycle": {"rule": [{"action": {"type": "AbortIncompleteMultipartUpload"},
                                     "condition": {"age": 1, "isLive": True}}]}},
            "matchesPrefix",
        ),
        ({"labels": {"Upper": "x"}}, "label"),
        ({"cors": [{"origin": ["*"], "method": ["TRACE"]}]}, "TRACE"),
        ({"autoclass": {"enabled": True}, "storageClass": "NEARLINE"}, "Autoclass"),
        ({"encryption": {"defaultKmsKeyName": "my-key"}}, "KMS"),
        ({"logging": {"logBucket": "no-such-bucket-here"}}, "logging"),
        ({"iamConfiguration": {"publicAccessPrevention": "on"}}, "publicAccessPrevention"),
    ],
)  # fmt: skip
def test_bucket_with_bad_field_is_refused_by_name(lab: Lab, fields: dict[str, Any], word: str) -> None:
    """A value that Google does not take is a 400 that names it, and no bucket is made."""
    body = {"name": "lab-never-made-bucket", **fields}
    answer = lab.operator.post("/storage/v1/b", params={"project": lab.project}, json=body)
    assert fault(answer) == (400, "invalid")
    assert word in answer.json()["error"]["message"]
    assert lab.operator.get("/storage/v1/b/lab-never-made-bucket").status_code == 404


@pytest.mark.parametrize(
    "name",
    ["ab", "Upper-case", "-leading", "trailing-", "goog-mine", "my-g00gle-bucket", "192.168.5.4", "a..b", "a" * 64],
)
def test_bucket_with_bad_name_is_refused(lab: Lab, name: str) -> None:
    """Bucket names follow Google's rules."""
    answer = lab.operator.post("/storage/v1/b", params={"project": lab.project}, json={"name": name})
    assert fault(answer) == (400, "invalid")


def test_bucket_made_twice_is_a_conflict(lab: Lab) -> None:
    """A name can be had once."""
    with pytest.raises(Conflict):
        lab.storage().create_bucket(lab.bucket())


def test_bucket_that_holds_objects_cannot_be_deleted(lab: Lab) -> None:
    """Neither live nor noncurrent objects may be left; after that it is gone."""
    client = lab.storage()
    bucket = client.bucket(lab.bucket(versioning={"enabled": True}))
    bucket.blob("kept").upload_from_string(b"x")
    bucket.delete_blob("kept")
    with pytest.raises(Conflict):
        bucket.delete()
    for version in client.list_blobs(bucket, versions=True):
        bucket.delete_blob(version.name, generation=version.generation)
    bucket.delete()
    with pytest.raises(NotFound):
        bucket.reload()


def test_patch_changes_what_it_names_and_nothing_else(lab: Lab) -> None:
    """Objects merge, null removes, lists are replaced, metageneration grows."""
    name = lab.bucket(**ALL_FIELDS)
    path = f"/storage/v1/b/{name}"
    patched = lab.operator.patch(path, json={"labels": {"environment": None, "owner": "me"}, "cors": None}).json()
    assert patched["labels"] == {"owner": "me"}
    assert "cors" not in patched
    assert patched["lifecycle"] == ALL_FIELDS["lifecycle"]
    assert patched["metageneration"] == "2"
    assert fault(lab.operator.patch(path, json={"location": "US"})) == (400, "invalid")
    assert lab.operator.get(path).json()["metageneration"] == "2"


def test_update_puts_fields_that_are_not_given_back_to_defaults(lab: Lab) -> None:
    """PUT is the whole resource."""
    name = lab.bucket(**ALL_FIELDS)
    answer = lab.operator.put(f"/storage/v1/b/{name}", json={"labels": {"only": "this"}}).json()
    assert answer["labels"] == {"only": "this"}
    assert "lifecycle" not in answer
    assert answer["location"] == "EUROPE-WEST1"


def test_metageneration_precondition_guards_a_change(lab: Lab) -> None:
    """A change on an old metageneration is a 412 and changes nothing."""
    bucket = lab.storage().bucket(lab.bucket())
    bucket.reload()
    bucket.labels = {"a": "b"}
    bucket.patch(if_metageneration_match=1)
    bucket.labels = {"a": "c"}
    with pytest.raises(PreconditionFailed):
        bucket.patch(if_metageneration_match=1)
    bucket.reload()
    assert bucket.labels == {"a": "b"}


def test_buckets_are_listed_in_pages(lab: Lab) -> None:
    """Every bucket is on exactly one page."""
    made = {lab.bucket() for _ in range(3)}
    listed = [bucket.name for bucket in lab.storage().list_buckets(prefix="lab-", page_size=2)]
    assert made <= set(listed)
    assert len(listed) == len(set(listed))


def test_autoclass_excludes_storage_class_rules(lab: Lab) -> None:
    """Autoclass says by itself when an object gets colder."""
    name = lab.bucket(autoclass={"enabled": True, "terminalStorageClass": "ARCHIVE"})
    assert lab.operator.get(f"/storage/v1/b/{name}").json()["autoclass"]["terminalStorageClass"] == "ARCHIVE"
    rule = {"action": {"type": "SetStorageClass", "storageClass": "NEARLINE"}, "condition": {"age": 1}}
    assert fault(lab.operator.patch(f"/storage/v1/b/{name}", json={"lifecycle": {"rule": [rule]}})) == (400, "invalid")


def test_kms_key_must_be_there_and_in_the_buckets_location(lab: Lab) -> None:
    """A default key is used by Cloud Storage's service agent, which must be allowed to."""
    key = f"projects/{lab.project}/locations/europe-west1/keyRings/r/cryptoKeys/k"
    body = {"name": f"{lab.bucket()}-kms", "location": "EUROPE-WEST1", "encryption": {"defaultKmsKeyName": key}}
    params = {"project": lab.project}
    assert fault(lab.operator.post("/storage/v1/b", params=params, json=body)) == (403, "forbidden")
    lab.switch(kmsKeys=[key])
    try:
        assert fault(lab.operator.post("/storage/v1/b", params=params, json={**body, "location": "US"}))[0] == 400
        assert lab.operator.post("/storage/v1/b", params=params, json=body).json()["encryption"] == body["encryption"]
    finally:
        lab.switch(kmsKeys=[])
    agent = lab.operator.get(f"/storage/v1/projects/{lab.project}/serviceAccount").json()
    assert agent["email_address"].endswith("@gs-project-accounts.iam.gserviceaccount.com")


def test_other_projects_and_strangers_get_nothing(lab: Lab) -> None:
    """A bucket is made in this project, by somebody who may; anybody else is told in Google's words."""
    body = {"name": "lab-not-for-strangers"}
    other = lab.operator.post("/storage/v1/b", params={"project": "other-project"}, json=body)
    assert fault(other) == (403, "forbidden")
    stranger = lab.api(lab.key(lab.account()))
    answer = stranger.post("/storage/v1/b", params={"project": lab.project}, json=body)
    assert fault(answer) == (403, "forbidden")
    assert "storage.buckets.create" in answer.json()["error"]["message"]
    nobody = lab.anonymous().post("/storage/v1/b", params={"project": lab.project}, json=body)
    assert fault(nobody) == (401, "required")
    assert fault(lab.anonymous(Authorization="Bearer ya29.c.nonsense").get("/storage/v1/b/x")) == (401, "authError")


def test_project_is_known_by_id_and_number(lab: Lab) -> None:
    """What a guard needs to compare the expected project; another project is a 403."""
    by_id = lab.operator.get(f"/v1/projects/{lab.project}").json()
    by_number = lab.operator.get(f"/v3/projects/{by_id['projectNumber']}").json()
    assert (by_id["projectId"], by_number["projectId"]) == (lab.project, lab.project)
    assert fault(lab.operator.get("/v1/projects/other-project")) == (403, "PERMISSION_DENIED")
