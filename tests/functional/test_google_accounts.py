"""Service accounts, their JSON and HMAC keys, OAuth, and the organisation policies that forbid keys."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx
import jwt
import pytest

from tests.functional.clients import eventually
from tests.functional.google_lab import Lab, fault

LIFE = 3600
"""Seconds: the longest life of an assertion."""
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def assertion(key: dict[str, Any], **claims: Any) -> str:
    """A JWT as Google's libraries make it; `claims` replace, its times in seconds from now."""
    good = {"iss": key["client_email"], "aud": key["token_uri"], "iat": 0, "exp": LIFE, "scope": "https://x/auth/y"}
    said = {**good, **claims}
    said |= {name: int(time.time()) + said[name] for name in ("iat", "exp")}
    return jwt.encode(said, key["private_key"], algorithm="RS256", headers={"kid": key["private_key_id"]})


def exchange(lab: Lab, token: str, grant: str = GRANT) -> httpx.Response:
    """Ask the token endpoint."""
    return lab.anonymous().post("/token", data={"grant_type": grant, "assertion": token})


@pytest.mark.parametrize(
    "account_id", ["short", "100ms-recording", "Upper-case", "ends-with-", "a" * 31, "under_score", ""]
)
def test_account_with_bad_id_is_refused(lab: Lab, account_id: str) -> None:
    """Ids have 6 to 30 characters and start with a letter, so `100ms-…` is none."""
    answer = lab.operator.post(f"/v1/projects/{lab.project}/serviceAccounts", json={"accountId": account_id})
    assert fault(answer) == (400, "INVALID_ARGUMENT")
    assert "between 6 and 30" in answer.json()["error"]["message"]


def test_account_lives_from_creation_to_deletion(lab: Lab) -> None:
    """Made once, found by e-mail, unique id and in the list, renamed, deleted; a second one of the name is a 409."""
    email = lab.account()
    base = f"/v1/projects/{lab.project}/serviceAccounts"
    again = lab.operator.post(base, json={"accountId": email.partition("@")[0]})
    assert fault(again) == (409, "ALREADY_EXISTS")
    found = lab.operator.get(f"{base}/{email}").json()
    assert lab.operator.get(f"/v1/projects/-/serviceAccounts/{found['uniqueId']}").json()["email"] == email
    assert email in [account["email"] for account in lab.operator.get(base).json()["accounts"]]
    body = {"serviceAccount": {"displayName": "New"}, "updateMask": "display_name"}
    assert lab.operator.patch(f"{base}/{email}", json=body).json()["displayName"] == "New"
    assert lab.operator.delete(f"{base}/{email}").status_code == 200
    assert fault(lab.operator.get(f"{base}/{email}")) == (404, "NOT_FOUND")


def test_deleted_accounts_grants_do_not_pass_to_its_successor(lab: Lab) -> None:
    """A policy keeps a deleted account as such; a new one with the name starts with nothing, its old HMAC key too."""
    bucket = lab.bucket()
    email, key = lab.writer(bucket)
    assert lab.s3(key).put_object(Bucket=bucket, Key="p/x", Body=b"x")["ETag"]
    base = f"/v1/projects/{lab.project}/serviceAccounts"
    lab.operator.delete(f"{base}/{email}")
    lab.operator.post(base, json={"accountId": email.partition("@")[0]})
    policy = lab.operator.get(f"/storage/v1/b/{bucket}/iam", params={"optionsRequestedPolicyVersion": 3}).json()
    members = [member for binding in policy["bindings"] for member in binding["members"]]
    assert any(member.startswith(f"deleted:serviceAccount:{email}?uid=") for member in members)
    successor = lab.api(lab.key(email))
    assert fault(successor.get(f"/storage/v1/b/{bucket}/o", params={"prefix": "p/"})) == (403, "forbidden")
    with pytest.raises(lab.s3(key).exceptions.ClientError, match="InvalidSecurity"):
        lab.s3(key).list_objects_v2(Bucket=bucket, Prefix="p/")
    lab.grant(bucket, ("objectViewer", f"serviceAccount:{lab.account()}", None))


def test_json_key_gets_a_token_until_it_is_deleted(lab: Lab) -> None:
    """A key's assertion is exchanged; after the key is gone it is not."""
    email = lab.account()
    key = lab.key(email)
    answer = exchange(lab, assertion(key))
    assert answer.status_code == 200
    assert (answer.json()["token_type"], answer.json()["expires_in"]) == ("Bearer", 3599)
    path = f"/v1/projects/-/serviceAccounts/{email}/keys/{key['private_key_id']}"
    assert lab.operator.get(path).json()["keyAlgorithm"] == "KEY_ALG_RSA_2048"
    assert lab.operator.delete(path).status_code == 200
    gone = exchange(lab, assertion(key))
    assert (gone.status_code, gone.json()["error"]) == (400, "invalid_grant")


@pytest.mark.parametrize(
    ("claims", "error"),
    [
        ({"aud": "https://elsewhere.example/token"}, "invalid_grant"),
        ({"iat": -2 * LIFE, "exp": -LIFE}, "invalid_grant"),
        ({"exp": 2 * LIFE}, "invalid_grant"),
        ({"iat": LIFE // 4, "exp": LIFE // 2}, "invalid_grant"),
        ({"iss": "nobody@nowhere.iam.gserviceaccount.com"}, "invalid_grant"),
        ({"sub": "somebody@else.example"}, "unauthorized_client"),
        ({"scope": ""}, "invalid_scope"),
    ],
)
def test_assertion_with_bad_claims_gets_no_token(lab: Lab, claims: dict[str, Any], error: str) -> None:
    """Audience, times, issuer, subject and scope are all checked."""
    answer = exchange(lab, assertion(lab.operator_key, **claims))
    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_assertion_signed_by_another_key_gets_no_token(lab: Lab) -> None:
    """Naming a key is not having it; nor is any other grant known."""
    stranger = lab.key(lab.account())
    forged = assertion({**stranger, **{name: lab.operator_key[name] for name in ("client_email", "private_key_id")}})
    assert exchange(lab, forged).json() == {
        "error": "invalid_grant",
        "error_description": "Invalid JWT Signature.",
    }
    assert exchange(lab, "no.jwt").json()["error"] == "invalid_grant"
    assert exchange(lab, forged, "password").json()["error"] == "unsupported_grant_type"


def test_self_signed_jwt_is_a_bearer_token(lab: Lab) -> None:
    """Google takes a JWT for the storage service in place of an access token, and no JWT for another audience."""
    path = f"/v1/projects/{lab.project}"
    good = assertion(lab.operator_key, aud="https://storage.googleapis.com/", scope=None)
    assert lab.anonymous(Authorization=f"Bearer {good}").get(path).status_code == 200
    bad = assertion(lab.operator_key, aud="https://elsewhere.example/", scope=None)
    assert lab.anonymous(Authorization=f"Bearer {bad}").get(path).status_code == 401


def test_expired_token_is_a_401(lab: Lab) -> None:
    """A token that was good is refused once it has expired, and a new one is good again."""
    key = lab.key(lab.account())
    client = lab.api(key)
    path = f"/storage/v1/b/{lab.bucket()}"
    assert client.get(path).status_code == 403
    lab.anonymous().post("/_sandbox/expire-tokens")
    assert fault(client.get(path)) == (401, "authError")
    lab.operator.headers["Authorization"] = f"Bearer {lab.credentials(lab.operator_key).token}"
    assert lab.api(key).get(path).status_code == 403


def test_account_can_have_ten_keys_of_each_kind(lab: Lab) -> None:
    """The eleventh is refused."""
    email = lab.account()
    for _ in range(10):
        lab.hmac(email)
    path = f"/storage/v1/projects/{lab.project}/hmacKeys"
    assert lab.operator.post(path, params={"serviceAccountEmail": email}).status_code == 429
    assert lab.operator.post(path, params={"serviceAccountEmail": lab.account()}).status_code == 200


def test_hmac_key_has_googles_form_and_shows_its_secret_once(lab: Lab) -> None:
    """61 characters, 40 characters of secret, and no later answer holds it."""
    email = lab.account()
    access_id, secret = lab.hmac(email)
    assert (len(access_id), len(secret), access_id[:4]) == (61, 40, "GOOG")
    path = f"/storage/v1/projects/{lab.project}/hmacKeys"
    one = lab.operator.get(f"{path}/{access_id}")
    every = lab.operator.get(path, params={"serviceAccountEmail": email})
    assert one.json()["state"] == "ACTIVE"
    assert [key["accessId"] for key in every.json()["items"]] == [access_id]
    assert secret not in one.text + every.text


def test_hmac_key_is_deleted_only_when_inactive(lab: Lab) -> None:
    """ACTIVE → INACTIVE → deleted; an old etag is a 412, a bad state a 400."""
    email = lab.account()
    access_id, _ = lab.hmac(email)
    path = f"/storage/v1/projects/{lab.project}/hmacKeys/{access_id}"
    etag = lab.operator.get(path).json()["etag"]
    assert fault(lab.operator.delete(path)) == (400, "invalid")
    assert fault(lab.operator.put(path, json={"state": "DELETED"})) == (400, "invalid")
    assert lab.operator.put(path, json={"state": "INACTIVE", "etag": etag}).json()["state"] == "INACTIVE"
    assert fault(lab.operator.put(path, json={"state": "ACTIVE", "etag": etag})) == (412, "conditionNotMet")
    assert lab.operator.delete(path).status_code == 204
    assert fault(lab.operator.delete(path)) == (400, "invalid")
    assert fault(lab.operator.put(path, json={"state": "ACTIVE"})) == (400, "invalid")
    listing = f"/storage/v1/projects/{lab.project}/hmacKeys"
    assert lab.operator.get(listing, params={"serviceAccountEmail": email}).json()["items"] == []
    deleted = lab.operator.get(listing, params={"serviceAccountEmail": email, "showDeletedKeys": "true"}).json()
    assert [key["state"] for key in deleted["items"]] == ["DELETED"]


def test_hmac_keys_by_googles_client(lab: Lab) -> None:
    """The official client makes, changes and deletes one."""
    client = lab.storage()
    metadata, secret = client.create_hmac_key(lab.account())
    metadata.state = "INACTIVE"
    metadata.update()
    metadata.delete()
    assert len(secret) == 40
    assert metadata.access_id not in [key.access_id for key in client.list_hmac_keys()]


@pytest.fixture
def constraint(lab: Lab, request: pytest.FixtureRequest) -> Iterator[str]:
    """An organisation policy in force."""
    lab.switch(constraints=[f"constraints/{request.param}"])
    yield request.param
    lab.switch(constraints=[])


@pytest.mark.parametrize(
    "constraint",
    ["iam.disableServiceAccountKeyCreation", "iam.managed.disableServiceAccountKeyCreation"],
    indirect=True,
)
def test_organisation_policy_forbids_keys_of_both_kinds(lab: Lab, constraint: str) -> None:
    """A JSON key is a failed precondition, an HMAC key a 412; both name the constraint."""
    email = lab.account()
    json_key = lab.operator.post(f"/v1/projects/-/serviceAccounts/{email}/keys", json={})
    assert fault(json_key) == (400, "FAILED_PRECONDITION")
    assert constraint in json_key.text
    hmac = lab.operator.post(f"/storage/v1/projects/{lab.project}/hmacKeys", params={"serviceAccountEmail": email})
    assert fault(hmac) == (412, "conditionNotMet")
    assert f"'constraints/{constraint}'" in hmac.json()["error"]["message"]


def test_organisation_policy_forbids_hmac_requests(lab: Lab) -> None:
    """`storage.restrictAuthTypes` refuses what an existing key signs, and lets tokens through."""
    bucket = lab.bucket()
    _, key = lab.writer(bucket)
    lab.switch(constraints=["constraints/storage.restrictAuthTypes"])
    try:
        with pytest.raises(lab.s3(key).exceptions.ClientError, match=r"AccessDenied"):
            lab.s3(key).put_object(Bucket=bucket, Key="p/x", Body=b"x")
        lab.put(bucket, "p/x")
    finally:
        lab.switch(constraints=[])
    assert lab.s3(key).get_object(Bucket=bucket, Key="p/x")["Body"].read() == b"content"


def test_new_hmac_key_can_be_told_to_take_its_time(lab: Lab) -> None:
    """Until a key has spread it is as unknown as any other."""
    bucket = lab.bucket()
    lab.switch(hmacKeyDelaySeconds=2)
    try:
        _, key = lab.writer(bucket)
    finally:
        lab.switch(hmacKeyDelaySeconds=0)
    client = lab.s3(key)
    with pytest.raises(client.exceptions.ClientError, match="InvalidSecurity"):
        client.put_object(Bucket=bucket, Key="p/x", Body=b"x")

    def taken() -> bool:
        with suppress(client.exceptions.ClientError):
            return bool(client.put_object(Bucket=bucket, Key="p/x", Body=b"x")["ETag"])
        return False

    eventually(taken)
