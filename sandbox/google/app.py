"""The one endpoint: which request goes to which method, and the form of its answer and of its refusal.

`/storage/v1`, `/upload/storage/v1`, `/download/storage/v1` are the storage JSON API, `/v1/projects` and `/v3/projects`
IAM and Resource Manager, `/token` OAuth, `/_sandbox` our own switches, and everything else the XML API in path style.
"""

from __future__ import annotations

import re
import secrets
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import unquote

from sandbox.google import (
    accounts,
    admin,
    auth,
    buckets,
    cors,
    hmac_keys,
    objects_api,
    projects,
    tokens,
    uploads,
    xml_api,
)
from sandbox.google.cloud import Cloud
from sandbox.google.errors import AnonymousError, GoogleError, OAuthError, unsupported
from sandbox.google.http import Request, Response
from sandbox.servers.serving import Receive, Scope, Send

Handler = Callable[..., Awaitable[Response]]

_B = r"/storage/v1/b/(?P<bucket>[^/]+)"
_O = _B + r"/o/(?P<name>[^/]+)"
_A = r"/v1/projects/(?P<project>[^/]+)/serviceAccounts"
_H = r"/storage/v1/projects/(?P<project>[^/]+)/hmacKeys"
_COPY = _O + r"/(?P<kind>rewriteTo|copyTo)/b/(?P<to_bucket>[^/]+)/o/(?P<to_name>[^/]+)"
_TABLE: Final[list[tuple[str, str, Handler]]] = [
    ("GET", r"/storage/v1/b/?", buckets.get_buckets),
    ("POST", r"/storage/v1/b/?", buckets.post_bucket),
    ("GET", _B, buckets.get_bucket),
    ("PATCH", _B, buckets.patch_bucket),
    ("PUT", _B, buckets.put_bucket),
    ("DELETE", _B, buckets.remove_bucket),
    ("GET", _B + "/iam", buckets.get_policy),
    ("PUT", _B + "/iam", buckets.put_policy),
    ("GET", _B + "/iam/testPermissions", buckets.test_permissions),
    ("GET", _B + "/o/?", objects_api.get_objects),
    ("GET", _O, objects_api.get_object),
    ("GET", "/download" + _O, objects_api.get_object),
    ("PATCH", _O, objects_api.patch_object),
    ("PUT", _O, objects_api.put_object),
    ("DELETE", _O, objects_api.remove_object),
    ("POST", _O + "/restore", objects_api.restore_object),
    ("POST", _O + "/compose", objects_api.compose_object),
    ("POST", _COPY, objects_api.copy_object),
    ("POST", "/upload" + _B + "/o/?", uploads.post_upload),
    ("GET", r"/storage/v1/projects/(?P<project>[^/]+)/serviceAccount", projects.get_agent),
    ("POST", _H, hmac_keys.post_key),
    ("GET", _H, hmac_keys.get_keys),
    ("GET", _H + "/(?P<access_id>[^/]+)", hmac_keys.get_key),
    ("PUT", _H + "/(?P<access_id>[^/]+)", hmac_keys.put_key),
    ("DELETE", _H + "/(?P<access_id>[^/]+)", hmac_keys.remove_key),
    ("GET", r"/v1/projects/(?P<project>[^/]+)", projects.get_v1),
    ("GET", r"/v3/projects/(?P<project>[^/]+)", projects.get_v3),
    ("POST", _A, accounts.post_account),
    ("GET", _A, accounts.get_accounts),
    ("GET", _A + "/(?P<email>[^/]+)", accounts.get_account),
    ("PATCH", _A + "/(?P<email>[^/]+)", accounts.patch_account),
    ("DELETE", _A + "/(?P<email>[^/]+)", accounts.remove_account),
    ("POST", _A + "/(?P<email>[^/]+)/keys", accounts.post_key),
    ("GET", _A + "/(?P<email>[^/]+)/keys", accounts.get_keys),
    ("GET", _A + "/(?P<email>[^/]+)/keys/(?P<key>[^/]+)", accounts.get_key),
    ("DELETE", _A + "/(?P<email>[^/]+)/keys/(?P<key>[^/]+)", accounts.remove_key),
]
_ROUTES: Final = [(method, re.compile(pattern), handler) for method, pattern, handler in _TABLE]
_STORAGE: Final = ("/storage/v1/", "/upload/storage/v1/", "/download/storage/v1/")
_OTHER: Final = ("/v1/", "/v3/")
_SESSION: Final = re.compile("/upload" + _B + "/o/?")


class App:
    """The ASGI application."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a fault of ours is a 500 in Google's form and a traceback in the log."""
        if scope["type"] != "http":
            return
        request = Request.of(scope, receive)
        try:
            response = await self._answer(request)
            await request.drain()
        except ConnectionError:
            return
        response.headers.append(("x-guploader-uploadid", secrets.token_urlsafe(24)))
        response.headers.append(("server", "UploadServer"))
        await response.send(send, head=request.method == "HEAD")

    async def _answer(self, request: Request) -> Response:
        if request.path.startswith("/_sandbox/"):
            return await _in_form(GoogleError.as_status, admin.answer(self._cloud, request))
        if request.path == "/token" and request.method == "POST":
            return await self._token(request)
        if request.path.startswith(_STORAGE):
            return await self._json(request, GoogleError.as_json)
        if request.path.startswith(_OTHER):
            return await self._json(request, GoogleError.as_status)
        if request.path.startswith("/batch/"):
            return _refusal(unsupported("batch requests"), GoogleError.as_json)
        return await self._xml(request)

    async def _token(self, request: Request) -> Response:
        try:
            self._check_transport(request, always=True)
            return await tokens.post_token(self._cloud, request)
        except OAuthError as error:
            return Response(400, error.as_json(), [("content-type", "application/json; charset=utf-8")])
        except GoogleError as error:
            return _refusal(error, GoogleError.as_status)

    async def _json(self, request: Request, form: Callable[[GoogleError], bytes]) -> Response:
        if request.method == "OPTIONS":
            response = cors.json_preflight(request)
        else:
            response = await _in_form(form, self._method(request))
        response.headers += cors.json_headers(request)
        return response

    async def _method(self, request: Request) -> Response:
        self._check_transport(request, always=True)
        if "upload_id" in request.query and (session := _SESSION.fullmatch(request.path)):
            name = unquote(session["bucket"])
            if request.method == "DELETE":
                return await uploads.remove_upload(self._cloud, request, name)
            if request.method in ("PUT", "POST"):
                return await uploads.put_upload(self._cloud, request, name)
        method = request.headers.get("x-http-method-override", request.method)
        for verb, pattern, handler in _ROUTES:
            if verb == method and (match := pattern.fullmatch(request.path)):
                caller = auth.bearer(self._cloud, request)
                found: dict[str, Any] = {name: unquote(value) for name, value in match.groupdict().items()}
                return await handler(self._cloud, caller, request, **found)
        raise GoogleError(404, "notFound", f"Not Found: the sandbox knows no method {method} {request.path}.")

    async def _xml(self, request: Request) -> Response:
        raw_bucket, _, raw_name = request.path.lstrip("/").partition("/")
        bucket, name = unquote(raw_bucket), unquote(raw_name)
        document = self._cloud.state.get("bucket", bucket)
        entries = (document or {"resource": {}})["resource"].get("cors") or []
        if request.method == "OPTIONS":
            return cors.preflight(request, entries)
        response = await _in_form(GoogleError.as_xml, self._xml_method(request, bucket, name))
        response.headers += cors.answer_headers(request, entries)
        return response

    async def _xml_method(self, request: Request, bucket: str, name: str) -> Response:
        self._check_transport(request, always=False)
        caller, payload = auth.signed_or_bearer(self._cloud, request)
        if not bucket:
            return await xml_api.service(self._cloud, caller, request)
        if not name:
            return await xml_api.bucket_request(self._cloud, caller, request, payload, bucket)
        return await xml_api.object_request(self._cloud, caller, request, payload, bucket, name)

    def _check_transport(self, request: Request, *, always: bool) -> None:
        """The JSON APIs want TLS; the XML API wants it where an organisation policy says so."""
        if request.secure:
            return
        if always:
            raise GoogleError(403, "sslRequired", "SSL is required to perform this operation.")
        if self._cloud.enforces("storage.secureHttpTransport"):
            message = "Request violates constraint 'constraints/storage.secureHttpTransport'"
            raise GoogleError(403, "forbidden", message, code="AccessDenied")


async def _in_form(form: Callable[[GoogleError], bytes], answer: Awaitable[Response]) -> Response:
    try:
        return await answer
    except GoogleError as error:
        return _refusal(error, form)
    except ConnectionError:
        raise
    except Exception:
        traceback.print_exc()
        return _refusal(GoogleError(500, "backendError", "Internal error, encountered by the sandbox."), form)


def _refusal(error: GoogleError, form: Callable[[GoogleError], bytes]) -> Response:
    xml = form is GoogleError.as_xml
    kind = "application/xml; charset=UTF-8" if xml else "application/json; charset=UTF-8"
    status = 403 if xml and isinstance(error, AnonymousError) else error.http
    return Response(status, form(error), [("content-type", kind)])
