"""Service accounts and their JSON keys, as the IAM API (`/v1/projects/…/serviceAccounts`) has them.

Sources: cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts (id pattern), .../iam/quotas (10 keys).
Deleting an account leaves `deleted:serviceAccount:<email>?uid=<id>` in policies, as Google does: a new account with
the old name inherits nothing.
"""

from __future__ import annotations

import base64
import json
import re
import secrets
from typing import Any, Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.google.cloud import Cloud, digits, now, stamp
from sandbox.google.errors import GoogleError, conflict, unsupported
from sandbox.google.http import Json, Request, Response, json_response
from sandbox.google.policies import Caller, etag

_ACCOUNT_ID: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])")
_KEY_LIMIT: Final = 10
_NAME_LIMIT: Final = 100
_DESCRIPTION_LIMIT: Final = 256
_KEY_TYPE: Final = "TYPE_GOOGLE_CREDENTIALS_FILE"
_NEVER: Final = "9999-12-31T23:59:59Z"


def create_account(cloud: Cloud, account_id: str, display_name: str = "", description: str = "") -> Json:
    """Make a service account. Raises GoogleError 400 for a bad id or text, 409 if there is one."""
    if not 6 <= len(account_id) <= 30 or not _ACCOUNT_ID.fullmatch(account_id):
        raise GoogleError(
            400,
            "invalid",
            f"The account ID {account_id!r} does not have a length between 6 and 30 or does not match the pattern "
            "[a-z]([-a-z0-9]*[a-z0-9]).",
        )
    _check_texts(display_name, description)
    email = f"{account_id}@{cloud.domain}"
    if cloud.state.get("account", email):
        raise conflict(
            f"Service account {account_id} already exists within project projects/{cloud.project_id}.",
            "ServiceAccountExists",
        )
    unique = digits(21)
    account: Json = {
        "name": f"projects/{cloud.project_id}/serviceAccounts/{email}",
        "projectId": cloud.project_id,
        "uniqueId": unique,
        "email": email,
        "etag": etag(1),
        "oauth2ClientId": unique,
    }
    account |= {key: text for key, text in (("displayName", display_name), ("description", description)) if text}
    cloud.state.put("account", email, account)
    return account


def account(cloud: Cloud, email: str) -> Json:
    """A service account by e-mail or unique id. Raises GoogleError 404."""
    found = cloud.state.get("account", email)
    if found is None:
        found = next((entry for entry in cloud.state.all("account") if entry["uniqueId"] == email), None)
    if found is None:
        raise GoogleError(
            404, "notFound", f"Service account projects/{cloud.project_id}/serviceAccounts/{email} does not exist."
        )
    return found


def delete_account(cloud: Cloud, email: str) -> None:
    """Remove it with its JSON keys; policies keep it as a deleted member, its HMAC keys stop working."""
    found = account(cloud, email)
    with cloud.state.change():
        cloud.state.remove("account", found["email"])
        for key in keys(cloud, found["email"]):
            cloud.state.remove("key", _key_id(key))
        old, gone = f"serviceAccount:{found['email']}", f"deleted:serviceAccount:{email}?uid={found['uniqueId']}"
        for bucket in cloud.state.all("bucket"):
            for binding in bucket["policy"]["bindings"]:
                binding["members"] = [gone if member == old else member for member in binding["members"]]
            cloud.state.put("bucket", bucket["name"], bucket)


def keys(cloud: Cloud, email: str) -> list[Json]:
    """An account's JSON keys, with their public halves."""
    return [key for key in cloud.state.all("key") if key["email"] == email]


def create_key(cloud: Cloud, email: str, token_uri: str) -> tuple[Json, Json]:
    """A new 2048-bit key: the stored document (public) and the credentials file (private, not kept)."""
    found = account(cloud, email)
    if len(keys(cloud, found["email"])) >= _KEY_LIMIT:
        raise GoogleError(
            429,
            "rateLimitExceeded",
            f"Maximum number of keys on account reached: {found['email']} has {_KEY_LIMIT} keys.",
        )
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key = {"email": found["email"], "id": secrets.token_hex(20), "public": public.decode(), "created": stamp(now())}
    cloud.state.put("key", _key_id(key), key)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return key, {
        "type": "service_account",
        "project_id": cloud.project_id,
        "private_key_id": key["id"],
        "private_key": pem.decode(),
        "client_email": found["email"],
        "client_id": found["uniqueId"],
        "auth_uri": token_uri.replace("/token", "/auth"),
        "token_uri": token_uri,
        "universe_domain": "googleapis.com",
    }


def _key_id(key: Json) -> str:
    return f"{key['email']}/{key['id']}"


def _key_resource(cloud: Cloud, key: Json) -> Json:
    created = key["created"]
    return {
        "name": f"projects/{cloud.project_id}/serviceAccounts/{key['email']}/keys/{key['id']}",
        "keyAlgorithm": "KEY_ALG_RSA_2048",
        "keyOrigin": "GOOGLE_PROVIDED",
        "keyType": "USER_MANAGED",
        "validAfterTime": created.partition(".")[0] + "Z",
        "validBeforeTime": _NEVER,
    }


async def post_account(cloud: Cloud, caller: Caller, request: Request, project: str) -> Response:
    """`projects.serviceAccounts.create`."""
    cloud.check_project(caller, project)
    cloud.require(caller, "iam.serviceAccounts.create")
    body = await request.json()
    _check_fields(body, {"accountId", "serviceAccount"})
    texts = body.get("serviceAccount") or {}
    _check_fields(texts, {"displayName", "description"})
    made = create_account(cloud, body.get("accountId", ""), texts.get("displayName", ""), texts.get("description", ""))
    return json_response(made)


async def get_accounts(cloud: Cloud, caller: Caller, request: Request, project: str) -> Response:
    """`projects.serviceAccounts.list`; everything on one page."""
    cloud.check_project(caller, project)
    cloud.require(caller, "iam.serviceAccounts.list")
    return json_response({"accounts": cloud.state.all("account")})


async def get_account(cloud: Cloud, caller: Caller, request: Request, project: str, email: str) -> Response:
    """`projects.serviceAccounts.get`."""
    _check_any_project(cloud, caller, project)
    cloud.require(caller, "iam.serviceAccounts.get")
    return json_response(account(cloud, email))


async def patch_account(cloud: Cloud, caller: Caller, request: Request, project: str, email: str) -> Response:
    """`projects.serviceAccounts.patch`: display name and description, by `updateMask`."""
    _check_any_project(cloud, caller, project)
    cloud.require(caller, "iam.serviceAccounts.update")
    body = await request.json()
    _check_fields(body, {"serviceAccount", "updateMask"})
    new = body.get("serviceAccount") or {}
    found = account(cloud, email)
    for path in (body.get("updateMask") or "").split(","):
        name = re.sub(r"_(.)", lambda match: match[1].upper(), path.strip())
        if name not in ("displayName", "description"):
            raise GoogleError(400, "invalid", f"Invalid update mask {path!r}: legal are displayName, description.")
        found[name] = new.get(name, "")
    _check_texts(found.get("displayName", ""), found.get("description", ""))
    cloud.state.put("account", found["email"], found)
    return json_response(found)


async def remove_account(cloud: Cloud, caller: Caller, request: Request, project: str, email: str) -> Response:
    """`projects.serviceAccounts.delete`."""
    _check_any_project(cloud, caller, project)
    cloud.require(caller, "iam.serviceAccounts.delete")
    delete_account(cloud, email)
    return json_response({})


async def post_key(cloud: Cloud, caller: Caller, request: Request, project: str, email: str) -> Response:
    """`projects.serviceAccounts.keys.create`."""
    _check_any_project(cloud, caller, project)
    cloud.require(caller, "iam.serviceAccountKeys.create")
    body = await request.json()
    _check_fields(body, {"privateKeyType", "keyAlgorithm"})
    if body.get("privateKeyType", _KEY_TYPE) != _KEY_TYPE:
        raise unsupported(f"privateKeyType {body['privateKeyType']}")
    if body.get("keyAlgorithm", "KEY_ALG_RSA_2048") not in ("KEY_ALG_RSA_2048", "KEY_ALG_UNSPECIFIED"):
        raise unsupported(f"keyAlgorithm {body['keyAlgorithm']}")
    _check_creation(cloud, email)
    key, credentials = create_key(cloud, email, f"{request.base}/token")
    data = base64.b64encode(json.dumps(credentials, indent=2).encode()).decode()
    return json_response({**_key_resource(cloud, key), "privateKeyType": _KEY_TYPE, "privateKeyData": data})


async def get_keys(cloud: Cloud, caller: Caller, request: Request, project: str, email: str) -> Response:
    """`projects.serviceAccounts.keys.list`."""
    _check_any_project(cloud, caller, project)
    cloud.require(caller, "iam.serviceAccountKeys.list")
    found = keys(cloud, account(cloud, email)["email"])
    return json_response({"keys": [_key_resource(cloud, key) for key in found]})


async def get_key(cloud: Cloud, caller: Caller, request: Request, project: str, email: str, key: str) -> Response:
    """`projects.serviceAccounts.keys.get`, with the public key where it is asked for."""
    _check_any_project(cloud, caller, project)
    cloud.require(caller, "iam.serviceAccountKeys.get")
    found = _key(cloud, email, key)
    shown = _key_resource(cloud, found)
    if request.query.get("publicKeyType") == "TYPE_RAW_PUBLIC_KEY":
        shown["publicKeyData"] = base64.b64encode(found["public"].encode()).decode()
    return json_response(shown)


async def remove_key(cloud: Cloud, caller: Caller, request: Request, project: str, email: str, key: str) -> Response:
    """`projects.serviceAccounts.keys.delete`."""
    _check_any_project(cloud, caller, project)
    cloud.require(caller, "iam.serviceAccountKeys.delete")
    cloud.state.remove("key", _key_id(_key(cloud, email, key)))
    return json_response({})


def _key(cloud: Cloud, email: str, key: str) -> Json:
    found = cloud.state.get("key", f"{account(cloud, email)['email']}/{key}")
    if found is None:
        raise GoogleError(404, "notFound", f"Service account key {key} does not exist.")
    return found


def _check_creation(cloud: Cloud, email: str) -> None:
    for constraint in ("iam.disableServiceAccountKeyCreation", "iam.managed.disableServiceAccountKeyCreation"):
        if cloud.enforces(constraint):
            violation = {
                "type": f"constraints/{constraint}",
                "subject": f"projects/{cloud.project_id}/serviceAccounts/{email}?configvalue={email}",
                "description": "Key creation is not allowed on this service account.",
            }
            raise GoogleError(
                400,
                "failedPrecondition",
                "Key creation is not allowed on this service account.",
                status="FAILED_PRECONDITION",
                details=[{"@type": "type.googleapis.com/google.rpc.PreconditionFailure", "violations": [violation]}],
            )


def _check_any_project(cloud: Cloud, caller: Caller, project: str) -> None:
    """`-` stands for the account's own project."""
    if project != "-":
        cloud.check_project(caller, project)


def _check_fields(body: Json, known: set[str]) -> None:
    if not isinstance(body, dict):
        raise GoogleError(400, "invalid", "Invalid JSON payload received: an object is expected.")
    unknown: list[Any] = sorted(set(body) - known)
    if unknown:
        raise GoogleError(
            400, "invalid", f'Invalid JSON payload received. Unknown name "{unknown[0]}": Cannot find field.'
        )


def _check_texts(display_name: str, description: str) -> None:
    if len(display_name.encode()) > _NAME_LIMIT:
        raise GoogleError(400, "invalid", f"Display name can have at most {_NAME_LIMIT} bytes.")
    if len(description.encode()) > _DESCRIPTION_LIMIT:
        raise GoogleError(400, "invalid", f"Description can have at most {_DESCRIPTION_LIMIT} bytes.")
