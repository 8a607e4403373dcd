"""The resource kind `gcp:serviceaccount/key:Key`: a service account's JSON key, which is given once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar, Final

from sandbox.providers.base import CheckFailure, ProviderError, ResourceState
from sandbox.providers.compare import Rules
from sandbox.providers.gcp.account import NO_POLICY, email_of
from sandbox.providers.gcp.cloud import Cloud, CloudError, Json
from sandbox.providers.kinds import Kind
from sandbox.values import Properties

_ALGORITHM: Final = "KEY_ALG_RSA_2048"
_FILE: Final = "TYPE_GOOGLE_CREDENTIALS_FILE"
_PUBLIC: Final = "TYPE_X509_PEM_FILE"
_WITHOUT: Final = (
    "Set recordings:serviceAccountKey to false: nothing here needs a JSON key. If another program does, ask the "
    "organisation's administrator for an exception for this project."
)


class Key(Kind):
    """A JSON key; id: its resource name."""

    type_ = "gcp:serviceaccount/key:Key"
    args = "pulumi_gcp.serviceaccount.key:KeyArgs"
    replace_on = frozenset({"keepers", "keyAlgorithm", "privateKeyType", "publicKeyType", "serviceAccountId"})
    rules = Rules(defaults={"keyAlgorithm": _ALGORITHM, "privateKeyType": _FILE, "publicKeyType": _PUBLIC})
    computed = ("name", "privateKey", "publicKey", "validAfter", "validBefore")
    secret_outputs = ("privateKey",)
    unobserved = frozenset({"keepers", "serviceAccountId"})
    unsupported: ClassVar[Mapping[str, str]] = {
        "deletionPolicy": NO_POLICY,
        "publicKeyData": "let Google make the key",
    }

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """The one form that the sandbox makes."""
        for name, legal in self.rules.defaults.items():
            if inputs.get(name, legal) != legal:
                yield CheckFailure(name, f"{inputs[name]!r} is not supported by the stand-in provider; legal: {legal}")

    def create(self, inputs: Properties) -> ResourceState:
        """projects.serviceAccounts.keys.create."""
        account = self._account(inputs["serviceAccountId"])
        doing = f"creating a JSON key of service account {email_of(account)}"
        body = {"keyAlgorithm": _ALGORITHM, "privateKeyType": _FILE}
        try:
            made = self._cloud.call(doing, "POST", "iam", f"{account}/keys", body=body)
        except CloudError as error:
            if error.violation:
                raise CloudError(f"{doing}: {error.violation}. {_WITHOUT}", error.status, error.violation) from None
            raise
        state = _state(made, inputs)
        secret = ResourceState(state.id, inputs, {**state.outputs, "privateKey": made["privateKeyData"]})
        try:
            public = self._public(state.id)
        except ProviderError as error:
            raise ProviderError(str(error), partial=secret) from None
        return ResourceState(state.id, inputs, {**secret.outputs, "publicKey": public})

    def read(self, id_: str, outputs: Properties | None) -> ResourceState | None:
        """projects.serviceAccounts.keys.get; what was given once stays as the state has it."""
        found = self._cloud.find(f"reading a JSON key of service account {email_of(id_)}", "iam", id_)
        if found is None:
            return None
        known = outputs or {}
        account = known.get("serviceAccountId") or id_.partition("/keys/")[0]
        state = _state(found, {"serviceAccountId": account})
        return ResourceState(id_, state.inputs, {**known, **state.outputs, "publicKey": self._public(id_)})

    def update(self, state: ResourceState, new: Properties) -> ResourceState:
        """Nothing can change in place."""
        return state

    def delete(self, state: ResourceState) -> None:
        """projects.serviceAccounts.keys.delete."""
        self._remove(state.id)

    def find(self, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """Delete the key that an interrupted create left: nobody has its private half."""
        account = self._account(inputs["serviceAccountId"])
        doing = f"looking for a lost JSON key of service account {email_of(account)}"
        keys = (self._cloud.find(doing, "iam", f"{account}/keys", keyTypes="USER_MANAGED") or {}).get("keys", [])
        unknown = [key for key in keys if key["name"] not in known_ids]
        if unknown:
            self._remove(max(unknown, key=lambda key: str(key["validAfterTime"]))["name"])
        return None

    def _account(self, id_: str) -> str:
        return id_ if "/" in id_ else f"projects/{self._cloud.project}/serviceAccounts/{id_}"

    def _public(self, name: str) -> str:
        doing = f"reading a JSON key of service account {email_of(name)}"
        found: str = self._cloud.get(doing, "iam", name, publicKeyType="TYPE_RAW_PUBLIC_KEY")["publicKeyData"]
        return found

    def _remove(self, name: str) -> None:
        try:
            self._cloud.call(f"deleting a JSON key of service account {email_of(name)}", "DELETE", "iam", name)
        except CloudError as error:
            if error.status != 404:
                raise


def _state(key: Json, inputs: Properties) -> ResourceState:
    outputs = {
        **Key.rules.defaults,
        **inputs,
        "name": key["name"],
        "validAfter": key["validAfterTime"],
        "validBefore": key["validBeforeTime"],
    }
    return ResourceState(key["name"], inputs, outputs)
