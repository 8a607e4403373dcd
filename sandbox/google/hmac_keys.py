"""HMAC keys of service accounts (`/storage/v1/projects/…/hmacKeys`) and their states.

Sources: cloud.google.com/storage/docs/authentication/hmackeys (61 characters, 40 characters, 10 keys an account, an
inactive key alone can be deleted), .../json_api/v1/projects/hmacKeys. Deleted keys are shown with `showDeletedKeys`.
"""

from __future__ import annotations

import base64
import secrets
import string
from datetime import timedelta
from typing import Final

from sandbox.google import accounts
from sandbox.google.cloud import Cloud, now, stamp
from sandbox.google.errors import GoogleError, constraint_violated, invalid, precondition_failed, required
from sandbox.google.http import Json, Request, Response, json_response
from sandbox.google.policies import Caller, etag

_LIMIT: Final = 10
_STATES: Final = ("ACTIVE", "INACTIVE")
_ID: Final = string.ascii_uppercase + "234567"
_CONSTRAINTS: Final = ("iam.disableServiceAccountKeyCreation", "iam.managed.disableServiceAccountKeyCreation")


def create(cloud: Cloud, email: str) -> Json:
    """A new active key; the document holds the secret, `_resource` does not."""
    for constraint in _CONSTRAINTS:
        if cloud.enforces(constraint):
            raise constraint_violated(f"constraints/{constraint}")
    found = accounts.account(cloud, email)
    held = [key for key in cloud.state.all("hmac") if key["email"] == found["email"] and key["state"] != "DELETED"]
    if len(held) >= _LIMIT:
        raise GoogleError(
            429, "rateLimitExceeded", f"The service account {email} has reached its limit of {_LIMIT} HMAC keys."
        )
    moment = now()
    delay = timedelta(seconds=cloud.switches["hmacKeyDelaySeconds"])
    key: Json = {
        "accessId": "GOOG1E" + "".join(secrets.choice(_ID) for _ in range(55)),
        "secret": base64.b64encode(secrets.token_bytes(30)).decode(),
        "email": found["email"],
        "uniqueId": found["uniqueId"],
        "state": "ACTIVE",
        "created": stamp(moment),
        "updated": stamp(moment),
        "usableFrom": stamp(moment + delay),
        "revision": 1,
    }
    cloud.state.put("hmac", key["accessId"], key)
    return key


def usable(cloud: Cloud, access_id: str) -> Json | None:
    """The key with this id if requests may be signed with it now, else None."""
    key = cloud.state.get("hmac", access_id)
    if key is None or key["state"] != "ACTIVE" or key["usableFrom"] > stamp(now()):
        return None
    account = cloud.state.get("account", key["email"])
    return key if account is not None and account["uniqueId"] == key["uniqueId"] else None


def _resource(cloud: Cloud, key: Json) -> Json:
    project = cloud.project_id
    return {
        "kind": "storage#hmacKeyMetadata",
        "id": f"{project}/{key['accessId']}",
        "selfLink": f"https://www.googleapis.com/storage/v1/projects/{project}/hmacKeys/{key['accessId']}",
        "accessId": key["accessId"],
        "projectId": project,
        "serviceAccountEmail": key["email"],
        "state": key["state"],
        "timeCreated": key["created"],
        "updated": key["updated"],
        "etag": etag(key["revision"]),
    }


async def post_key(cloud: Cloud, caller: Caller, request: Request, project: str) -> Response:
    """`projects.hmacKeys.create`: the only answer that holds the secret."""
    cloud.check_project(caller, project)
    cloud.require(caller, "storage.hmacKeys.create")
    email = request.query.get("serviceAccountEmail")
    if not email:
        raise required("Required parameter: serviceAccountEmail")
    key = create(cloud, email)
    return json_response({"kind": "storage#hmacKey", "secret": key["secret"], "metadata": _resource(cloud, key)})


async def get_keys(cloud: Cloud, caller: Caller, request: Request, project: str) -> Response:
    """`projects.hmacKeys.list`, on one page."""
    cloud.check_project(caller, project)
    cloud.require(caller, "storage.hmacKeys.list")
    email = request.query.get("serviceAccountEmail")
    deleted = request.flag("showDeletedKeys")
    found = [
        _resource(cloud, key)
        for key in cloud.state.all("hmac")
        if (deleted or key["state"] != "DELETED") and email in (None, key["email"])
    ]
    return json_response({"kind": "storage#hmacKeysMetadata", "items": found})


async def get_key(cloud: Cloud, caller: Caller, request: Request, project: str, access_id: str) -> Response:
    """`projects.hmacKeys.get`; deleted keys are still shown."""
    cloud.check_project(caller, project)
    cloud.require(caller, "storage.hmacKeys.get")
    return json_response(_resource(cloud, _key(cloud, access_id)))


async def put_key(cloud: Cloud, caller: Caller, request: Request, project: str, access_id: str) -> Response:
    """`projects.hmacKeys.update`: the state, with an optional etag."""
    cloud.check_project(caller, project)
    cloud.require(caller, "storage.hmacKeys.update")
    body = await request.json()
    key = _key(cloud, access_id)
    if key["state"] == "DELETED":
        raise invalid("Deleted keys cannot be updated.")
    if body.get("etag") not in (None, "", etag(key["revision"])):
        raise precondition_failed()
    if body.get("state") not in _STATES:
        raise invalid(f"Invalid state {body.get('state')!r}: legal are ACTIVE and INACTIVE.")
    if body["state"] != key["state"]:
        _store(cloud, key, body["state"])
    return json_response(_resource(cloud, key))


async def remove_key(cloud: Cloud, caller: Caller, request: Request, project: str, access_id: str) -> Response:
    """`projects.hmacKeys.delete`: inactive keys alone."""
    cloud.check_project(caller, project)
    cloud.require(caller, "storage.hmacKeys.delete")
    key = _key(cloud, access_id)
    if key["state"] == "ACTIVE":
        raise invalid("Cannot delete keys in ACTIVE state.  Update state to 'INACTIVE' first.")
    if key["state"] == "DELETED":
        raise invalid("Key is already deleted.")
    _store(cloud, key, "DELETED")
    return Response(204)


def _store(cloud: Cloud, key: Json, state: str) -> None:
    key["state"] = state
    key["updated"] = stamp(now())
    key["revision"] += 1
    if state == "DELETED":
        key["secret"] = ""
    cloud.state.put("hmac", key["accessId"], key)


def _key(cloud: Cloud, access_id: str) -> Json:
    key = cloud.state.get("hmac", access_id)
    if key is None:
        raise GoogleError(404, "notFound", f"Access ID not found in project {cloud.project_id}: {access_id}")
    return key
