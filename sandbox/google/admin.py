"""The sandbox's own switches (`/_sandbox/…`): organisation policies, delays, time, who the project trusts.

Nothing here is Google's. It needs no credentials, as it can be reached from this machine alone, and refuses browsers.
"""

from __future__ import annotations

from datetime import datetime

from sandbox.google import lifecycle, roles
from sandbox.google.cloud import CONSTRAINTS, Cloud, now
from sandbox.google.errors import GoogleError, invalid
from sandbox.google.http import Json, Request, Response, json_response


async def answer(cloud: Cloud, request: Request) -> Response:
    """One request to `/_sandbox/…`."""
    if "origin" in request.headers:
        raise GoogleError(403, "forbidden", "Browsers have no business here.")
    name = request.path.removeprefix("/_sandbox/")
    if request.method == "GET" and name == "health":
        return json_response({"status": "ok", "projectId": cloud.project_id})
    if request.method == "GET" and name == "switches":
        return json_response(cloud.switches)
    if request.method == "GET" and name == "project":
        return json_response(cloud.project)
    if request.method == "POST" and name == "switches":
        return json_response(_switch(cloud, await request.json()))
    if request.method == "POST" and name == "project":
        return json_response(_bind(cloud, await request.json()))
    if request.method == "POST" and name == "expire-tokens":
        for token in cloud.state.all("token"):
            cloud.state.remove("token", token["digest"])
        return json_response({})
    if request.method == "POST" and name == "lifecycle":
        return json_response(lifecycle.apply(cloud, _moment(request.query.get("now")), request.query.get("bucket")))
    raise GoogleError(404, "notFound", f"{request.method} {request.path}: not known.")


def _switch(cloud: Cloud, body: Json) -> Json:
    """Change the given switches alone: `constraints`, `hmacKeyDelaySeconds`, `kmsKeys`."""
    switches = cloud.switches
    unknown = set(body) - set(switches)
    if unknown:
        raise invalid(f"Unknown switch {sorted(unknown)[0]!r}: legal are {', '.join(switches)}.")
    for constraint in body.get("constraints", []):
        if constraint not in CONSTRAINTS:
            raise invalid(f"Unknown constraint {constraint!r}: legal are {', '.join(CONSTRAINTS)}.")
    switches |= body
    cloud.state.put("switches", "self", switches)
    return switches


def _bind(cloud: Cloud, body: Json) -> Json:
    """Replace the project's bindings."""
    project = cloud.project
    for binding in body["bindings"]:
        if binding["role"] not in roles.PROJECT_ROLES:
            raise invalid(f"Role {binding['role']} is not supported for this resource.")
    project["bindings"] = body["bindings"]
    cloud.state.put("project", "self", project)
    return project


def _moment(text: str | None) -> datetime:
    if text is None:
        return now()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise invalid(f"now={text!r} is no time (RFC 3339).") from None
    if moment.tzinfo is None:
        raise invalid(f"now={text!r} has no time zone.")
    return moment
