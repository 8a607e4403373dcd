"""The resource kind `gcp:serviceaccount/account:Account`: a service account.

Source of the rules: https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar, Final

from sandbox.providers.base import CheckFailure, ResourceState
from sandbox.providers.compare import Rules
from sandbox.providers.gcp.cloud import Cloud, CloudError, Json, segment
from sandbox.providers.kinds import Kind
from sandbox.values import UNKNOWN, Properties

NO_POLICY: Final = "use the resource options `protect` and `retain_on_delete`"
_ID: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])")
_TEXTS: Final[Mapping[str, int]] = {"displayName": 100, "description": 256}


class Account(Kind):
    """A service account; id: its resource name."""

    type_ = "gcp:serviceaccount/account:Account"
    args = "pulumi_gcp.serviceaccount.account:AccountArgs"
    replace_on = frozenset({"accountId", "project"})
    rules = Rules(defaults={"description": "", "disabled": False, "displayName": ""})
    computed = ("email", "member", "name", "project", "uniqueId")
    unobserved = frozenset({"project"})
    unsupported: ClassVar[Mapping[str, str]] = {
        "createIgnoreAlreadyExists": "import the account",
        "deletionPolicy": NO_POLICY,
    }

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def faults(self, inputs: Properties) -> Iterable[CheckFailure]:
        """The form of an id, lengths of texts; disabling is not in the sandbox."""
        id_ = inputs["accountId"]
        if id_ is not UNKNOWN and not (6 <= len(id_) <= 30 and _ID.fullmatch(id_)):
            yield CheckFailure("accountId", f"{id_!r} is no id; legal: 6 to 30 of [a-z]([-a-z0-9]*[a-z0-9])")
        for name, most in _TEXTS.items():
            text = inputs.get(name)
            if isinstance(text, str) and len(text.encode()) > most:
                yield CheckFailure(name, f"has {len(text.encode())} bytes; legal: at most {most}")
        if inputs.get("disabled") is True:
            yield CheckFailure("disabled", "is not supported by the stand-in provider: make its keys inactive")

    def planned(self, inputs: Properties) -> Properties:
        """E-mail and member follow from id and project; the official provider knows them before as well."""
        project, id_ = inputs.get("project", self._cloud.project), inputs["accountId"]
        if UNKNOWN in (project, id_) or not project:
            return {}
        name, _, domain = reversed(project.partition(":")) if ":" in project else (project, "", "")
        email = f"{id_}@{f'{name}.{domain}' if domain else name}.iam.gserviceaccount.com"
        return {"email": email, "member": f"serviceAccount:{email}", "project": project}

    def create(self, inputs: Properties) -> ResourceState:
        """projects.serviceAccounts.create."""
        project, id_ = inputs.get("project") or self._cloud.project, inputs["accountId"]
        body = {"accountId": id_, "serviceAccount": {name: inputs[name] for name in _TEXTS if name in inputs}}
        path = f"projects/{segment(project)}/serviceAccounts"
        made = self._cloud.call(f"creating service account {id_!r}", "POST", "iam", path, body=body)
        return _state(made)

    def read(self, id_: str, outputs: Properties | None) -> ResourceState | None:
        """projects.serviceAccounts.get; an e-mail alone will do for an import."""
        name = id_ if "/" in id_ else f"projects/{self._cloud.project}/serviceAccounts/{id_}"
        found = self._cloud.find(f"reading service account {email_of(name)}", "iam", name)
        return None if found is None else _state(found)

    def update(self, state: ResourceState, new: Properties) -> ResourceState:
        """projects.serviceAccounts.patch."""
        texts = {name: new.get(name, "") for name in _TEXTS if new.get(name, "") != state.inputs.get(name, "")}
        body = {"serviceAccount": texts, "updateMask": ",".join(texts)}
        doing = f"changing service account {email_of(state.id)}"
        return _state(self._cloud.call(doing, "PATCH", "iam", state.id, body=body))

    def delete(self, state: ResourceState) -> None:
        """projects.serviceAccounts.delete."""
        try:
            self._cloud.call(f"deleting service account {email_of(state.id)}", "DELETE", "iam", state.id)
        except CloudError as error:
            if error.status != 404:
                raise

    def find(self, inputs: Properties, known_ids: Collection[str]) -> ResourceState | None:
        """Id and project are its id."""
        planned = self.planned(inputs)
        found = self.read(planned["email"], None) if planned else None
        return None if found is None or found.id in known_ids else found


def email_of(name: str) -> str:
    """The e-mail in the resource name of an account or of one of its keys."""
    return name.partition("/serviceAccounts/")[2].partition("/")[0] or name


def _state(account: Json) -> ResourceState:
    inputs: Properties = {
        "accountId": account["email"].partition("@")[0],
        "description": account.get("description", ""),
        "disabled": account.get("disabled", False),
        "displayName": account.get("displayName", ""),
    }
    outputs = {
        **inputs,
        "email": account["email"],
        "member": f"serviceAccount:{account['email']}",
        "name": account["name"],
        "project": account["projectId"],
        "uniqueId": account["uniqueId"],
    }
    return ResourceState(account["name"], inputs, outputs)
