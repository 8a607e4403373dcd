"""The stand-in Google provider against the sandbox: one contract for every resource type, and the official forms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from sandbox.providers.base import Provider, ProviderError
from sandbox.servers import Sandbox
from sandbox.values import UNKNOWN, Properties
from tests.functional.gcp_stand_in import (
    ACCOUNT,
    BUCKET,
    CONDITION,
    HMAC,
    JSON_KEY,
    MEMBER,
    filled,
    new_bucket,
    new_email,
)
from tests.functional.stand_in import assert_same, configured


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
    with configured(sandbox, "gcp") as provider:
        yield provider


@pytest.fixture
def bucket(provider: Provider) -> Iterator[str]:
    with new_bucket(provider) as name:
        yield name


@pytest.fixture
def email(provider: Provider) -> Iterator[str]:
    with new_email(provider) as email:
        yield email


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
        assert_same(provider, case.type_, state, inputs)
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
        assert_same(provider, case.type_, state, changed)
    finally:
        provider.delete(case.type_, state)
        provider.delete(case.type_, state)
    assert provider.read(case.type_, state.id, state.inputs, state.outputs) is None


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
