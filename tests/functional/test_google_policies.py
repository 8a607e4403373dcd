"""Bucket policies: who may do what, under which condition, and what Google refuses to take as a policy."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functional.google_lab import Lab, fault

V3 = {"optionsRequestedPolicyVersion": 3}


def put_policy(lab: Lab, bucket: str, bindings: list[dict[str, Any]], **fields: Any) -> tuple[int, str]:
    """Status and reason of setting these bindings."""
    answer = lab.operator.put(f"/storage/v1/b/{bucket}/iam", json={"bindings": bindings, "version": 3, **fields})
    return fault(answer)


def test_new_bucket_trusts_the_project_alone(lab: Lab) -> None:
    """The default bindings are those of the project's owners, editors and viewers."""
    policy = lab.operator.get(f"/storage/v1/b/{lab.bucket()}/iam").json()
    members = {member for binding in policy["bindings"] for member in binding["members"]}
    assert members == {f"project{who}:{lab.project}" for who in ("Owner", "Editor", "Viewer")}
    assert (policy["version"], policy["kind"]) == (1, "storage#policy")


def test_policy_with_conditions_is_shown_as_version_3_alone(lab: Lab) -> None:
    """A client that does not know conditions must not read, and then write, a policy without them."""
    bucket = lab.bucket()
    member = f"serviceAccount:{lab.account()}"
    expression = f'resource.name.startsWith("projects/_/buckets/{bucket}/objects/p/")'
    lab.grant(bucket, ("objectViewer", member, expression))
    path = f"/storage/v1/b/{bucket}/iam"
    assert fault(lab.operator.get(path)) == (400, "invalid")
    policy = lab.operator.get(path, params=V3).json()
    assert policy["version"] == 3
    assert [b["condition"]["expression"] for b in policy["bindings"] if "condition" in b] == [expression]
    assert fault(lab.operator.put(path, json={**policy, "version": 1})) == (400, "invalid")
    assert fault(lab.operator.get(path, params={"optionsRequestedPolicyVersion": 2})) == (400, "invalid")


def test_concurrent_policy_change_is_a_412(lab: Lab) -> None:
    """The etag of a policy that has changed since is refused."""
    bucket = lab.bucket()
    path = f"/storage/v1/b/{bucket}/iam"
    policy = lab.operator.get(path).json()
    lab.grant(bucket, ("objectViewer", f"serviceAccount:{lab.account()}", None))
    assert fault(lab.operator.put(path, json=policy)) == (412, "conditionNotMet")


@pytest.mark.parametrize("member", ["allUsers", "allAuthenticatedUsers"])
def test_public_member_is_refused_while_prevention_is_enforced(lab: Lab, member: str) -> None:
    """412 while enforced; where it is inherited the grant works, and enforcing it later closes the door again."""
    bindings = [{"role": "roles/storage.objectViewer", "members": [member]}]
    assert put_policy(lab, lab.bucket(), bindings) == (412, "conditionNotMet")
    uniform = {"uniformBucketLevelAccess": {"enabled": True}, "publicAccessPrevention": "inherited"}
    bucket = lab.bucket(iamConfiguration=uniform)
    lab.put(bucket, "open")
    assert put_policy(lab, bucket, bindings) == (200, "")
    who = lab.anonymous() if member == "allUsers" else lab.api(lab.key(lab.account()))
    assert who.get(f"/{bucket}/open").content == b"content"
    enforced = {"iamConfiguration": {"publicAccessPrevention": "enforced"}}
    lab.operator.patch(f"/storage/v1/b/{bucket}", json=enforced)
    assert fault(who.get(f"/{bucket}/open")) == (403, "AccessDenied")


@pytest.mark.parametrize(
    ("binding", "word"),
    [
        ({"role": "roles/storage.everything", "members": ["domain:x.example"]}, "roles/storage.everything"),
        ({"role": "projects/p/roles/custom", "members": ["domain:x.example"]}, "custom"),
        ({"role": "roles/storage.objectViewer", "members": ["somebody"]}, "somebody"),
        ({"role": "roles/storage.objectViewer", "members": ["projectOwner:other"]}, "other"),
        ({"role": "roles/storage.objectViewer", "members": ["domain:x.example"], "deny": True}, "deny"),
        (
            {"role": "roles/storage.objectViewer", "members": ["domain:x.example"],
             "condition": {"expression": "true"}},
            "title",
        ),
        (
            {"role": "roles/storage.legacyObjectReader", "members": ["domain:x.example"],
             "condition": {"title": "t", "expression": "true"}},
            "legacy",
        ),
        (
            {"role": "roles/storage.objectViewer", "members": ["domain:x.example"],
             "condition": {"title": "t", "expression": "resource.nam == 'x'"}},
            "resource.nam",
        ),
    ],
)  # fmt: skip
def test_binding_that_google_does_not_know_is_refused_by_name(lab: Lab, binding: dict[str, Any], word: str) -> None:
    """Nothing in a policy is taken that would not be enforced."""
    answer = lab.operator.put(f"/storage/v1/b/{lab.bucket()}/iam", json={"bindings": [binding], "version": 3})
    assert fault(answer) == (400, "invalid")
    assert word in answer.json()["error"]["message"]


def test_missing_service_account_is_refused(lab: Lab) -> None:
    """A grant to an account that is not there would be a grant to whoever makes it."""
    member = f"serviceAccount:lab-nobody@{lab.project}.iam.gserviceaccount.com"
    assert put_policy(lab, lab.bucket(), [{"role": "roles/storage.objectViewer", "members": [member]}])[0] == 400


def test_conditions_need_uniform_access(lab: Lab) -> None:
    """Without it a condition is a 412, and with conditions it cannot be taken away."""
    condition = {"title": "t", "expression": "resource.type == 'storage.googleapis.com/Object'"}
    bindings = [{"role": "roles/storage.objectViewer", "members": ["domain:x.example"], "condition": condition}]
    assert put_policy(lab, lab.bucket(iamConfiguration={}), bindings) == (412, "conditionNotMet")
    bucket = lab.bucket()
    assert put_policy(lab, bucket, [*bindings, owners(lab)]) == (200, "")
    body = {"iamConfiguration": {"uniformBucketLevelAccess": {"enabled": False}}}
    assert fault(lab.operator.patch(f"/storage/v1/b/{bucket}", json=body)) == (412, "conditionNotMet")


def owners(lab: Lab) -> dict[str, Any]:
    """A binding without a condition."""
    return {"role": "roles/storage.legacyBucketOwner", "members": [f"projectOwner:{lab.project}"]}


def test_permissions_are_tested_for_the_caller(lab: Lab) -> None:
    """Only what the caller holds comes back; an unknown permission is a 400."""
    bucket = lab.bucket()
    email = lab.account()
    lab.grant(bucket, ("objectViewer", f"serviceAccount:{email}", None))
    path = f"/storage/v1/b/{bucket}/iam/testPermissions"
    asked = ["storage.objects.get", "storage.objects.delete", "storage.buckets.get"]
    assert lab.api(lab.key(email)).get(path, params={"permissions": asked}).json()["permissions"] == asked[:1]
    assert lab.operator.get(path, params={"permissions": asked}).json()["permissions"] == asked
    assert fault(lab.operator.get(path, params={"permissions": "storage.objects.fly"})) == (400, "invalid")


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("objectAdmin", {"create", "overwrite", "get", "list", "delete"}),
        ("objectUser", {"create", "overwrite", "get", "list", "delete"}),
        ("objectViewer", {"get", "list"}),
        ("objectCreator", {"create"}),
        ("legacyBucketReader", {"list", "bucket"}),
        ("legacyBucketWriter", {"create", "overwrite", "list", "delete", "bucket"}),
        ("legacyObjectReader", {"get"}),
        ("admin", {"create", "overwrite", "get", "list", "delete", "bucket"}),
    ],
)
def test_role_allows_exactly_what_google_says(lab: Lab, role: str, allowed: set[str]) -> None:
    """Overwriting takes the right to delete beside that to create."""
    bucket = lab.bucket()
    for name in ("old", "doomed"):
        lab.put(bucket, name)
    email = lab.account()
    lab.grant(bucket, (role, f"serviceAccount:{email}", None))
    client = lab.api(lab.key(email))
    upload = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name="
    answers = {
        "create": client.post(f"{upload}new", content=b"x"),
        "overwrite": client.post(f"{upload}old", content=b"x"),
        "get": client.get(f"/storage/v1/b/{bucket}/o/old"),
        "list": client.get(f"/storage/v1/b/{bucket}/o"),
        "delete": client.delete(f"/storage/v1/b/{bucket}/o/doomed"),
        "bucket": client.get(f"/storage/v1/b/{bucket}"),
    }
    assert {what for what, answer in answers.items() if answer.status_code < 300} == allowed
    assert all(fault(answer) == (403, "forbidden") for what, answer in answers.items() if what not in allowed)


def test_writer_stays_inside_its_prefix(lab: Lab) -> None:
    """Objects by their name, listing by its prefix, in both APIs; a prefix is no name that begins alike."""
    bucket = lab.bucket()
    for name in ("p/in", "q/out", "p-like/out"):
        lab.put(bucket, name)
    email, key = lab.writer(bucket, "p/")
    client, s3 = lab.api(lab.key(email)), lab.s3(key)
    assert client.get(f"/storage/v1/b/{bucket}/o/p%2Fin").status_code == 200
    for outside in ("q%2Fout", "p-like%2Fout"):
        assert fault(client.get(f"/storage/v1/b/{bucket}/o/{outside}")) == (403, "forbidden")
        assert fault(client.delete(f"/storage/v1/b/{bucket}/o/{outside}")) == (403, "forbidden")
    assert [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix="p/")["Contents"]] == ["p/in"]
    for prefix in ("", "p", "q/"):
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            s3.list_objects_v2(Bucket=bucket, Prefix=prefix)
    for call in (s3.put_object, s3.create_multipart_upload):
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            call(Bucket=bucket, Key="q/new")
    assert fault(client.get(f"/storage/v1/b/{bucket}")) == (403, "forbidden")


def test_upload_only_writer_cannot_read_list_or_replace(lab: Lab) -> None:
    """Object creator: parts and new objects, nothing else."""
    bucket = lab.bucket()
    email = lab.account()
    lab.grant(bucket, ("objectCreator", f"serviceAccount:{email}", None))
    s3 = lab.s3(lab.hmac(email))
    s3.put_object(Bucket=bucket, Key="new", Body=b"x")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    assert s3.list_parts(Bucket=bucket, Key="parts", UploadId=upload)["IsTruncated"] is False
    s3.abort_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload)
    refused: list[Any] = [
        lambda: s3.put_object(Bucket=bucket, Key="new", Body=b"y"),
        lambda: s3.get_object(Bucket=bucket, Key="new"),
        lambda: s3.delete_object(Bucket=bucket, Key="new"),
        lambda: s3.list_objects_v2(Bucket=bucket),
        lambda: s3.list_multipart_uploads(Bucket=bucket),
    ]
    for call in refused:
        with pytest.raises(s3.exceptions.ClientError, match="AccessDenied"):
            call()


def test_project_owner_reaches_buckets_through_the_default_bindings(lab: Lab) -> None:
    """An owner's rights on objects come from the bucket's convenience members, and end with them."""
    bucket = lab.bucket()
    lab.put(bucket, "x")
    email = lab.account()
    owner = lab.api(lab.key(email))
    path = f"/storage/v1/b/{bucket}/o/x"
    before = lab.anonymous().get("/_sandbox/project").json()["bindings"]
    lab.anonymous().post(
        "/_sandbox/project",
        json={"bindings": [*before, {"role": "roles/owner", "members": [f"serviceAccount:{email}"]}]},
    )
    try:
        assert owner.get(path).status_code == 200
        assert put_policy(lab, bucket, [owners(lab)]) == (200, "")
        assert fault(owner.get(path)) == (403, "forbidden")
    finally:
        lab.anonymous().post("/_sandbox/project", json={"bindings": before})
