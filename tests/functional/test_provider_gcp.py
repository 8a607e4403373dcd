"""The stand-in Google provider against the sandbox: one contract for every resource type, then what is a type's own."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from sandbox.providers import load
from sandbox.providers.base import Provider, ProviderError, ResourceState
from sandbox.providers.gcp.bucket_member import BucketMember
from sandbox.providers.gcp.cloud import Cloud
from sandbox.servers import Sandbox
from sandbox.values import UNKNOWN, Properties

if TYPE_CHECKING:
    from tests.functional.google_lab import Lab

BUCKET = "gcp:storage/bucket:Bucket"
MEMBER = "gcp:storage/bucketIAMMember:BucketIAMMember"
ACCOUNT = "gcp:serviceaccount/account:Account"
HMAC = "gcp:storage/hmacKey:HmacKey"
JSON_KEY = "gcp:serviceaccount/key:Key"
CONDITION = {
    "title": "under the prefix",
    "expression": "resource.name.startsWith('projects/_/buckets/{bucket}/objects/p/')",
}
KMS = "projects/p/locations/europe/keyRings/r/cryptoKeys/k"


@dataclass(frozen=True)
class Case:
    """Inputs of a type and a change that can be made in place; `{bucket}`, `{email}` stand for names of the test."""

    type_: str
    inputs: Properties
    change: Properties = field(default_factory=dict)
    name: str = ""

    def __str__(self) -> str:
        return self.name or self.type_.split(":")[-1]


RULES = [
    {"action": {"type": "AbortIncompleteMultipartUpload"}, "condition": {"age": 7}},
    {
        "action": {"type": "SetStorageClass", "storageClass": "NEARLINE"},
        "condition": {"age": 30, "matchesPrefixes": ["recordings/"], "withState": "LIVE"},
    },
    {"action": {"type": "Delete"}, "condition": {"daysSinceNoncurrentTime": 30, "withState": "ARCHIVED"}},
    {"action": {"type": "Delete"}, "condition": {"age": 0, "sendAgeIfZero": True, "matchesSuffixes": [".tmp"]}},
]
CASES = [
    Case(BUCKET, {"name": "{bucket}-new", "location": "europe-west1"}, {"labels": {"env": "a"}}, "plain bucket"),
    Case(
        BUCKET,
        {
            "name": "{bucket}-new",
            "location": "EUROPE-WEST1",
            "uniformBucketLevelAccess": True,
            "publicAccessPrevention": "enforced",
            "versioning": {"enabled": True},
            "softDeletePolicy": {"retentionDurationSeconds": 0},
            "labels": {"env": "a", "x": "y"},
            "cors": [
                {"origins": ["https://a.example"], "methods": ["GET"], "responseHeaders": ["ETag"], "maxAgeSeconds": 60}
            ],
            "lifecycleRules": RULES,
            "logging": {"logBucket": "{bucket}", "logObjectPrefix": "log"},
            "forceDestroy": True,
        },
        {
            "labels": {"env": "b", "team": "z"},
            "cors": [{"origins": ["*"], "methods": ["GET", "HEAD"]}],
            "lifecycleRules": RULES[:1],
            "softDeletePolicy": {"retentionDurationSeconds": 604_800},
            "forceDestroy": False,
        },
        "full bucket",
    ),
    Case(
        BUCKET,
        {"name": "{bucket}-new", "location": "EU", "autoclass": {"enabled": True, "terminalStorageClass": "ARCHIVE"}},
        {"autoclass": {"enabled": True, "terminalStorageClass": "NEARLINE"}},
        "bucket with Autoclass",
    ),
    Case(
        MEMBER,
        {"bucket": "{bucket}", "role": "roles/storage.objectViewer", "member": "serviceAccount:{email}"},
    ),
    Case(
        MEMBER,
        {
            "bucket": "{bucket}",
            "role": "roles/storage.objectAdmin",
            "member": "serviceAccount:{email}",
            "condition": {**CONDITION, "description": "and why"},
        },
        name="conditional member",
    ),
    Case(
        ACCOUNT,
        {"accountId": "{bucket}-x", "displayName": "A", "description": "d"},
        {"displayName": "B", "description": "e"},
    ),
    Case(HMAC, {"serviceAccountEmail": "{email}"}, {"state": "INACTIVE"}),
    Case(JSON_KEY, {"serviceAccountId": "{email}"}),
]
each_case = pytest.mark.parametrize("case", CASES, ids=str)


@pytest.fixture(scope="module")
def provider(sandbox: Sandbox) -> Iterator[Provider]:
    """The provider, configured for the sandbox."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in sandbox.env.items():
            patch.setenv(name, value)
        loaded = load("gcp")
        loaded.configure({"region": "europe-west1"})
        yield loaded


@pytest.fixture
def bucket(provider: Provider) -> Iterator[str]:
    """A bucket of the test's own."""
    name = f"b-{uuid4().hex[:12]}"
    inputs = {"name": name, "location": "EU", "uniformBucketLevelAccess": True, "forceDestroy": True}
    state = provider.create(BUCKET, inputs, preview=False)
    yield name
    provider.delete(BUCKET, state)


@pytest.fixture
def email(provider: Provider) -> Iterator[str]:
    """A service account of the test's own."""
    state = provider.create(ACCOUNT, {"accountId": f"a-{uuid4().hex[:12]}"}, preview=False)
    yield state.outputs["email"]
    provider.delete(ACCOUNT, state)


def filled(value: Any, bucket: str, email: str) -> Any:
    """The value with the names put in."""
    return json.loads(json.dumps(value).replace("{bucket}", bucket).replace("{email}", email))


def checked(provider: Provider, type_: str, inputs: Properties) -> Properties:
    """The inputs as `check` gives them; it must find nothing wrong."""
    result = provider.check(type_, "resource", None, inputs)
    assert not result.failures
    return result.inputs


@each_case
def test_contract_holds_for(case: Case, provider: Provider, bucket: str, email: str) -> None:
    """Created as declared, read as declared, found, imported, changed in place, deleted, and deleted twice."""
    inputs = checked(provider, case.type_, filled(case.inputs, bucket, email))
    changed = checked(provider, case.type_, {**inputs, **filled(case.change, bucket, email)})
    state = provider.create(case.type_, inputs, preview=False)
    try:
        _assert_same(provider, case.type_, state, inputs)
        imported = provider.read(case.type_, state.id, None, None)
        assert imported is not None
        assert imported.id == state.id
        differing = set(provider.diff(case.type_, imported, inputs, []).changed)
        assert differing <= {"forceDestroy", "serviceAccountId"}  # what Google does not tell
        if case.type_ not in (HMAC, JSON_KEY):
            found = provider.find(case.type_, inputs, [])
            assert found is not None
            assert found.id == state.id
            if case.type_.endswith(":Bucket"):
                assert found.made is not None
                assert abs(datetime.now(UTC) - found.made) < timedelta(minutes=1)
            assert provider.find(case.type_, inputs, [state.id]) is None
        diff = provider.diff(case.type_, state, changed, [])
        assert set(diff.changed) == set(case.change)
        assert not diff.replaces
        state = provider.update(case.type_, state, changed, preview=False)
        _assert_same(provider, case.type_, state, changed)
    finally:
        provider.delete(case.type_, state)
        provider.delete(case.type_, state)
    assert provider.read(case.type_, state.id, state.inputs, state.outputs) is None


def _assert_same(provider: Provider, type_: str, state: ResourceState, inputs: Properties) -> None:
    """A refresh finds the inputs and outputs that creation or update gave."""
    found = provider.read(type_, state.id, state.inputs, state.outputs)
    assert found is not None
    assert found.id == state.id
    assert not provider.diff(type_, found, inputs, []).changed
    assert found.outputs == state.outputs


@each_case
def test_preview_knows_as_much_as_officially(case: Case, provider: Provider, bucket: str, email: str) -> None:
    """What a preview says is known comes out as it said, and nothing comes out that it left unsaid."""
    inputs = checked(provider, case.type_, filled(case.inputs, bucket, email))
    planned = provider.create(case.type_, inputs, preview=True)
    state = provider.create(case.type_, inputs, preview=False)
    provider.delete(case.type_, state)
    assert set(state.outputs) <= set(planned.outputs)
    known = {name: value for name, value in planned.outputs.items() if not holds_unknown(value)}
    assert {name: state.outputs.get(name, value) for name, value in known.items()} == known


def holds_unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(holds_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(holds_unknown(item) for item in value)
    return value is UNKNOWN


def test_account_is_known_before_it_is_there(provider: Provider, sandbox: Sandbox) -> None:
    """E-mail and member follow from id and project: a first preview shows whole bindings."""
    planned = provider.create(ACCOUNT, {"accountId": "writer-1"}, preview=True).outputs
    email = f"writer-1@{sandbox.env['GOOGLE_CLOUD_PROJECT']}.iam.gserviceaccount.com"
    assert (planned["email"], planned["member"]) == (email, f"serviceAccount:{email}")
    assert planned["uniqueId"] is UNKNOWN


def test_ids_and_outputs_are_the_official_ones(provider: Provider, bucket: str, email: str, sandbox: Sandbox) -> None:
    """Forms of ids and addresses as the official provider gives them."""
    project = sandbox.env["GOOGLE_CLOUD_PROJECT"]
    state = provider.read(BUCKET, bucket, None, None)
    assert state is not None
    assert state.outputs["url"] == f"gs://{bucket}"
    assert state.outputs["selfLink"] == f"https://www.googleapis.com/storage/v1/b/{bucket}"
    assert state.outputs["effectiveLabels"] == {"goog-pulumi-provisioned": "true"}
    assert state.outputs["project"] == project
    key = provider.create(HMAC, {"serviceAccountEmail": email}, preview=False)
    assert key.id == f"projects/{project}/hmacKeys/{key.outputs['accessId']}"
    member = {"bucket": bucket, "role": "roles/storage.objectViewer", "member": f"serviceAccount:{email}"}
    assert (
        provider.create(MEMBER, member, preview=False).id == f"b/{bucket}/roles/storage.objectViewer/{member['member']}"
    )
    bound = {**member, "condition": filled(CONDITION, bucket, email)}
    id_ = provider.create(MEMBER, bound, preview=False).id
    assert id_ == f"b/{bucket}/{member['role']}/{member['member']}/under the prefix//{bound['condition']['expression']}"
    provider.delete(HMAC, key)


def test_member_is_imported_by_the_official_id(provider: Provider, bucket: str, email: str) -> None:
    """`b/BUCKET ROLE MEMBER TITLE`, as the official documentation gives it."""
    member = {"bucket": bucket, "role": "roles/storage.objectViewer", "member": f"serviceAccount:{email}"}
    inputs = {**member, "condition": filled(CONDITION, bucket, email)}
    state = provider.create(MEMBER, inputs, preview=False)
    found = provider.read(MEMBER, f"b/{bucket} {member['role']} {member['member']} {CONDITION['title']}", None, None)
    assert found is not None
    assert (found.id, found.inputs) == (state.id, inputs)
    assert provider.read(MEMBER, f"b/{bucket} {member['role']} {member['member']}", None, None) is None
    with pytest.raises(ProviderError, match="legal: b/BUCKET ROLE MEMBER"):
        provider.read(MEMBER, "b/x", None, None)


@pytest.mark.parametrize(
    ("type_", "what"), [(BUCKET, "creating bucket .*already own it"), (ACCOUNT, "creating service account .*already")]
)
def test_what_exists_is_not_taken_over(type_: str, what: str, provider: Provider, bucket: str, email: str) -> None:
    """A create never adopts what somebody else made; the message says how to."""
    inputs = {"name": bucket, "location": "EU"} if type_ == BUCKET else {"accountId": email.partition("@")[0]}
    with pytest.raises(ProviderError, match=rf"{what}.*import"):
        provider.create(type_, inputs, preview=False)


class MeddledCloud(Cloud):
    """Somebody else changes the bucket's policy each time before it is written, as often as `meddle` is there to."""

    meddle: list[Callable[[], None]]

    def call(self, doing: str, method: str, service: str, path: str, *more: Any, **further: Any) -> Any:
        if method == "PUT" and self.meddle:
            self.meddle.pop()()
        return super().call(doing, method, service, path, *more, **further)


def held(lab: Lab, bucket: str, email: str) -> set[str]:
    policy = lab.operator.get(f"/storage/v1/b/{bucket}/iam").json()
    return {b["role"].rpartition(".")[2] for b in policy["bindings"] if f"serviceAccount:{email}" in b["members"]}


def test_member_and_a_change_in_between_are_both_there(provider: Provider, lab: Lab, bucket: str, email: str) -> None:
    """A bucket's policy is one document: what somebody else wrote between read and write is not overwritten."""
    cloud = MeddledCloud()
    cloud.configure({})
    who = f"serviceAccount:{email}"
    roles = ("objectCreator", "objectUser")
    cloud.meddle = [partial(lab.grant, bucket, (role, who, None)) for role in roles]
    inputs = {"bucket": bucket, "role": "roles/storage.objectViewer", "member": who}
    state = BucketMember(cloud).create(inputs)
    assert held(lab, bucket, email) == {*roles, "objectViewer"}
    cloud.meddle = [partial(lab.grant, bucket, ("objectAdmin", who, None))]
    BucketMember(cloud).delete(state)
    assert held(lab, bucket, email) == {*roles, "objectAdmin"}


def test_policy_that_never_rests_is_given_up(provider: Provider, lab: Lab, bucket: str, email: str) -> None:
    """With Google's words, after a number of tries."""
    cloud = MeddledCloud()
    cloud.configure({})
    who = f"serviceAccount:{email}"
    roles = itertools.cycle(("objectCreator", "objectUser", "objectAdmin"))
    cloud.meddle = [lambda: lab.grant(bucket, (next(roles), who, "resource.type == 'x'"))] * 20
    with pytest.raises(ProviderError, match=r"granting roles/storage.objectViewer .*412 .*concurrent policy changes"):
        BucketMember(cloud).create({"bucket": bucket, "role": "roles/storage.objectViewer", "member": who})
    assert len(cloud.meddle) == 12


def test_member_leaves_others_where_they_are(provider: Provider, lab: Lab, bucket: str, email: str) -> None:
    """Only this member of this binding comes and goes, whoever made the rest."""
    lab.grant(bucket, ("objectViewer", f"serviceAccount:{lab.account()}", None))
    before = lab.operator.get(f"/storage/v1/b/{bucket}/iam").json()["bindings"]
    inputs = {"bucket": bucket, "role": "roles/storage.objectViewer", "member": f"serviceAccount:{email}"}
    state = provider.create(MEMBER, inputs, preview=False)
    assert len(lab.operator.get(f"/storage/v1/b/{bucket}/iam").json()["bindings"]) == len(before)
    provider.delete(MEMBER, state)
    assert lab.operator.get(f"/storage/v1/b/{bucket}/iam").json()["bindings"] == before


def test_bucket_with_objects_is_kept_unless_forced(provider: Provider, lab: Lab) -> None:
    """Objects are never deleted by accident; forced, all generations go."""
    name = f"b-{uuid4().hex[:12]}"
    inputs = {"name": name, "location": "EU", "versioning": {"enabled": True}}
    state = provider.create(BUCKET, inputs, preview=False)
    for key in ("a", "a", "b/c d?#", "ü"):
        lab.put(name, key)
    with pytest.raises(ProviderError, match=rf"{name}.*not empty.*forceDestroy"):
        provider.delete(BUCKET, state)
    forced = provider.update(BUCKET, state, {**inputs, "forceDestroy": True}, preview=False)
    provider.delete(BUCKET, forced)
    assert provider.read(BUCKET, name, None, None) is None


def test_drift_by_hand_is_found(provider: Provider, lab: Lab, bucket: str) -> None:
    """What another client changed shows as a difference by property."""
    state = provider.read(BUCKET, bucket, None, None)
    assert state is not None
    lab.operator.patch(
        f"/storage/v1/b/{bucket}",
        json={"versioning": {"enabled": True}, "cors": [{"origin": ["*"], "method": ["GET"]}], "labels": {"a": "b"}},
    )
    found = provider.read(BUCKET, bucket, state.inputs, state.outputs)
    assert found is not None
    assert set(provider.diff(BUCKET, found, state.inputs, []).detailed) == {"cors", "labels", "versioning"}


def test_what_was_deleted_by_hand_is_gone(provider: Provider, lab: Lab, email: str) -> None:
    """Refresh finds neither, and deleting what is gone is no error."""
    name = f"b-{uuid4().hex[:12]}"
    whole = provider.create(BUCKET, {"name": name, "location": "EU", "uniformBucketLevelAccess": True}, preview=False)
    inputs = {"bucket": name, "role": "roles/storage.objectViewer", "member": f"serviceAccount:{email}"}
    member = provider.create(MEMBER, inputs, preview=False)
    lab.operator.delete(f"/storage/v1/b/{name}")
    assert provider.read(BUCKET, name, whole.inputs, whole.outputs) is None
    assert provider.read(MEMBER, member.id, member.inputs, member.outputs) is None
    provider.delete(MEMBER, member)
    provider.delete(BUCKET, whole)


def test_active_key_is_made_inactive_before_it_goes(provider: Provider, lab: Lab, email: str) -> None:
    """Google deletes no active key; afterwards it is shown as deleted alone."""
    state = provider.create(HMAC, {"serviceAccountEmail": email}, preview=False)
    path = f"/storage/v1/{state.id}"
    assert lab.operator.delete(path).status_code == 400
    provider.delete(HMAC, state)
    assert lab.operator.get(path).json()["state"] == "DELETED"
    assert provider.read(HMAC, state.id, state.inputs, state.outputs) is None


@pytest.mark.parametrize(("type_", "name", "secret"), [(HMAC, "serviceAccountEmail", "secret"),
                                                       (JSON_KEY, "serviceAccountId", "privateKey")])  # fmt: skip
def test_key_comes_with_its_secret_once(type_: str, name: str, secret: str, provider: Provider, email: str) -> None:
    """Creation gives the secret, a refresh keeps it, an import cannot have it; the engine is told that it is one."""
    state = provider.create(type_, {name: email}, preview=False)
    refreshed = provider.read(type_, state.id, state.inputs, state.outputs)
    imported = provider.read(type_, state.id, None, None)
    provider.delete(type_, state)
    assert state.outputs[secret]
    assert refreshed is not None
    assert imported is not None
    assert refreshed.outputs == state.outputs
    assert secret not in imported.outputs
    assert secret in provider.secret_outputs(type_)


def test_json_key_is_one_that_logs_in(provider: Provider, lab: Lab, email: str) -> None:
    """`privateKey` is the file that Google's libraries take, in base64."""
    state = provider.create(JSON_KEY, {"serviceAccountId": email}, preview=False)
    key = json.loads(base64.b64decode(state.outputs["privateKey"]))
    assert lab.credentials(key).token
    provider.delete(JSON_KEY, state)
    assert key["client_email"] == email


def test_inactive_key_is_made_so_at_once(provider: Provider, lab: Lab, email: str) -> None:
    """Google makes active keys alone: it is created, then changed."""
    state = provider.create(HMAC, {"serviceAccountEmail": email, "state": "INACTIVE"}, preview=False)
    assert lab.operator.get(f"/storage/v1/{state.id}").json()["state"] == "INACTIVE"
    assert state.outputs["state"] == "INACTIVE"
    provider.delete(HMAC, state)


def test_key_that_an_interrupted_create_lost_is_removed(provider: Provider, lab: Lab, email: str) -> None:
    """Its secret is gone for ever; the key that a state knows stays, and one that somebody made inactive."""
    known = provider.create(HMAC, {"serviceAccountEmail": email}, preview=False)
    theirs = provider.create(HMAC, {"serviceAccountEmail": email, "state": "INACTIVE"}, preview=False)
    lab.hmac(email)
    assert provider.find(HMAC, {"serviceAccountEmail": email}, [known.id]) is None
    left = lab.operator.get(
        known.id.join(["/storage/v1/", ""]).rpartition("/")[0], params={"serviceAccountEmail": email}
    ).json()["items"]
    assert {key["accessId"] for key in left} == {known.outputs["accessId"], theirs.outputs["accessId"]}
    provider.delete(HMAC, known)
    provider.delete(HMAC, theirs)


def test_json_key_that_an_interrupted_create_lost_is_removed(provider: Provider, lab: Lab, email: str) -> None:
    """Nobody has its private half."""
    known = provider.create(JSON_KEY, {"serviceAccountId": email}, preview=False)
    lab.key(email)
    assert provider.find(JSON_KEY, {"serviceAccountId": email}, [known.id]) is None
    left = lab.operator.get(f"/v1/projects/-/serviceAccounts/{email}/keys").json()["keys"]
    assert [key["name"] for key in left] == [known.id]
    provider.delete(JSON_KEY, known)


@pytest.fixture
def organisation(lab: Lab) -> Iterator[Lab]:
    """The sandbox's organisation policies, off again afterwards."""
    yield lab
    lab.switch(constraints=[], kmsKeys=[])


@pytest.mark.parametrize(
    "constraint", ["iam.disableServiceAccountKeyCreation", "iam.managed.disableServiceAccountKeyCreation"]
)
def test_policy_that_forbids_keys_is_explained(
    constraint: str, organisation: Lab, provider: Provider, email: str
) -> None:
    """The constraint, the exception to ask for and the way out; a JSON key is simply not needed."""
    organisation.switch(constraints=[f"constraints/{constraint}"])
    with pytest.raises(ProviderError) as hmac:
        provider.create(HMAC, {"serviceAccountEmail": email}, preview=False)
    for words in (f"412 Request violates constraint 'constraints/{constraint}'", "exception", "writerExternal", email):
        assert words in str(hmac.value)
    with pytest.raises(ProviderError, match=rf"constraints/{constraint}.*serviceAccountKey to false"):
        provider.create(JSON_KEY, {"serviceAccountId": email}, preview=False)


def test_key_that_storage_may_not_use_is_explained(organisation: Lab, provider: Provider) -> None:
    """The bucket is not made, and the message says who has to allow what; with the right it is."""
    name = f"b-{uuid4().hex[:12]}"
    inputs = {"name": name, "location": "EU", "encryption": {"defaultKmsKeyName": KMS}}
    with pytest.raises(ProviderError, match=rf"{name}.*Cloud KMS key.*authorize-cmek"):
        provider.create(BUCKET, inputs, preview=False)
    organisation.switch(kmsKeys=[KMS])
    state = provider.create(BUCKET, inputs, preview=False)
    _assert_same(provider, BUCKET, state, inputs)
    provider.delete(BUCKET, state)


def test_functions_answer_with_the_official_names(provider: Provider, sandbox: Sandbox) -> None:
    """What the components ask."""
    project = sandbox.env["GOOGLE_CLOUD_PROJECT"]
    config = provider.invoke("gcp:organizations/getClientConfig:getClientConfig", {})
    assert (config["project"], config["region"]) == (project, "europe-west1")
    assert config["accessToken"]
    found = provider.invoke("gcp:organizations/getProject:getProject", {})
    assert (found["projectId"], found["number"].isdigit()) == (project, True)
    agent = provider.invoke("gcp:storage/getProjectServiceAccount:getProjectServiceAccount", {})
    assert agent["member"] == f"serviceAccount:service-{found['number']}@gs-project-accounts.iam.gserviceaccount.com"


def test_foreign_project_is_refused(provider: Provider) -> None:
    """Told with Google's words, which do not say whether it exists."""
    with pytest.raises(ProviderError, match=r"403 .*another-project.*operator"):
        provider.create(
            BUCKET, {"name": f"b-{uuid4().hex}", "location": "EU", "project": "another-project"}, preview=False
        )
