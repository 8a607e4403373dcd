"""The resource kind `gcp:storage/hmacKey:HmacKey`: a service account's HMAC key, whose secret is given once.

As the official provider it makes a key inactive before it deletes it: Google deletes no active one
(https://cloud.google.com/storage/docs/authentication/hmackeys).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar, Final

from sandbox.providers.base import CheckFailure, ProviderError, ResourceState
from sandbox.providers.compare import Rules
from sandbox.providers.gcp.account import NO_POLICY
from sandbox.providers.gcp.cloud import Cloud, CloudError, Json, segment
from sandbox.providers.kinds import Kind
from sandbox.values import UNKNOWN, Properties

_STATES: Final = ("ACTIVE", "INACTIVE")


class HmacKey(Kind):
    """An HMAC key; id: `projects/PROJECT/hmacKeys/ACCESS_ID`."""

    type_ = "gcp:storage/hmacKey:HmacKey"
    args = "pulumi_gcp.storage.hmac_key:HmacKeyArgs"
    replace_on = frozenset({"project", "serviceAccountEmail"})
    rules = Rules(defaults={"state": "ACTIVE"})
    computed = ("accessId", "project", "secret", "timeCreated", "updated")
    secret_outputs = ("secret",)
    unobserved = frozenset({"project"})
    unsupported: ClassVar[Mapping[str, str]] = {"deletionPolicy": NO_POLICY}

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """The two states of a key."""
        state = inputs.get("state", "ACTIVE")
        if state is not UNKNOWN and state not in _STATES:
            yield CheckFailure("state", f"{state!r} is not legal; legal: {', '.join(_STATES)}")

    def planned(self, inputs: Properties) -> Properties:
        """The project, as in the official provider."""
        return {"project": inputs.get("project", self._cloud.project)}

    def create(self, inputs: Properties) -> ResourceState:
        """projects.hmacKeys.create, and its state: Google makes active ones alone."""
        email, project = inputs["serviceAccountEmail"], inputs.get("project") or self._cloud.project
        made = self._cloud.call(
            f"creating an HMAC key of service account {email}",
            "POST",
            "storage",
            f"projects/{segment(project)}/hmacKeys",
            {"serviceAccountEmail": email},
        )
        state = _state(made["metadata"], {"secret": made["secret"]})
        if inputs.get("state", "ACTIVE") == "ACTIVE":
            return state
        try:
            return self.update(state, inputs)
        except ProviderError as error:
            raise ProviderError(str(error), partial=state) from None

    def read(self, id_: str, outputs: Properties | None) -> ResourceState | None:
        """projects.hmacKeys.get; a deleted key is not there. Its secret stays as the state has it."""
        found = self._cloud.find(f"reading HMAC key {_access_id(id_)}", "storage", id_)
        return None if found is None or found["state"] == "DELETED" else _state(found, outputs or {})

    def update(self, state: ResourceState, new: Properties) -> ResourceState:
        """projects.hmacKeys.update."""
        changed = self._set(state.id, new.get("state", "ACTIVE"))
        return _state(changed, state.outputs)

    def delete(self, state: ResourceState) -> None:
        """Make it inactive, then projects.hmacKeys.delete."""
        self._remove(state.id)

    def find(self, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """Delete the key that an interrupted create left, and give None.

        Its secret can never be read again. It is the account's newest key that no state knows and that nobody changed
        since it was made.
        """
        email, project = inputs["serviceAccountEmail"], inputs.get("project") or self._cloud.project
        doing = f"looking for a lost HMAC key of service account {email}"
        path = f"projects/{segment(project)}/hmacKeys"
        keys = self._cloud.get(doing, "storage", path, serviceAccountEmail=email).get("items", [])
        unknown = [
            key
            for key in keys
            if _id(key) not in known_ids and key["state"] == "ACTIVE" and key["updated"] == key["timeCreated"]
        ]
        if unknown:
            self._remove(_id(max(unknown, key=lambda key: str(key["timeCreated"]))))
        return None

    def _set(self, id_: str, state: str) -> Json:
        doing = f"making HMAC key {_access_id(id_)} {state}"
        return self._cloud.call(doing, "PUT", "storage", id_, body={"state": state})

    def _remove(self, id_: str) -> None:
        found = self._cloud.find(f"reading HMAC key {_access_id(id_)}", "storage", id_)
        if found is None or found["state"] == "DELETED":
            return
        if found["state"] == "ACTIVE":
            self._set(id_, "INACTIVE")
        try:
            self._cloud.call(f"deleting HMAC key {_access_id(id_)}", "DELETE", "storage", id_)
        except CloudError as error:
            if error.status != 404:
                raise


def _access_id(id_: str) -> str:
    return id_.rpartition("/")[2]


def _id(key: Json) -> str:
    return f"projects/{key['projectId']}/hmacKeys/{key['accessId']}"


def _state(key: Json, known: Properties) -> ResourceState:
    inputs: Properties = {"serviceAccountEmail": key["serviceAccountEmail"], "state": key["state"]}
    outputs = {
        **({"secret": known["secret"]} if "secret" in known else {}),
        **inputs,
        "accessId": key["accessId"],
        "project": key["projectId"],
        "timeCreated": key["timeCreated"],
        "updated": key["updated"],
    }
    return ResourceState(_id(key), inputs, outputs)
