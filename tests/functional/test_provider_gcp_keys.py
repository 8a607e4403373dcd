"""Keys of the stand-in Google provider: secrets, states, what a policy forbids and an interruption leaves."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from sandbox.providers.base import Provider, ProviderError
from sandbox.servers import Sandbox
from tests.functional.gcp_stand_in import HMAC, JSON_KEY, new_email
from tests.functional.stand_in import configured

if TYPE_CHECKING:
    from tests.functional.google_lab import Lab


@pytest.fixture(scope="module")
def provider(sandbox: Sandbox) -> Iterator[Provider]:
    with configured(sandbox, "gcp") as provider:
        yield provider


@pytest.fixture
def email(provider: Provider) -> Iterator[str]:
    with new_email(provider) as email:
        yield email


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
