"""The project: what Resource Manager says about it, and the service agent of Cloud Storage.

Sources: cloud.google.com/resource-manager/reference/rest/v1/projects/get, .../v3/projects/get,
cloud.google.com/storage/docs/json_api/v1/projects/serviceAccount/get.
"""

from __future__ import annotations

from sandbox.google.cloud import Cloud
from sandbox.google.errors import GoogleError
from sandbox.google.http import Request, Response, json_response
from sandbox.google.policies import Caller, is_allowed


def _check(cloud: Cloud, caller: Caller, project: str) -> None:
    if not cloud.is_project(project) or not is_allowed(cloud.project, caller, "resourcemanager.projects.get"):
        raise GoogleError(
            403,
            "forbidden",
            f"The caller does not have permission to get project {project} (or it may not exist).",
        )


async def get_v1(cloud: Cloud, caller: Caller, request: Request, project: str) -> Response:
    """`projects.get` of version 1."""
    _check(cloud, caller, project)
    found = cloud.project
    shown = {key: found[key] for key in ("projectId", "projectNumber", "name", "createTime")}
    return json_response({**shown, "lifecycleState": "ACTIVE"})


async def get_v3(cloud: Cloud, caller: Caller, request: Request, project: str) -> Response:
    """`projects.get` of version 3."""
    _check(cloud, caller, project)
    found = cloud.project
    return json_response(
        {
            "name": f"projects/{found['projectNumber']}",
            "projectId": found["projectId"],
            "displayName": found["name"],
            "state": "ACTIVE",
            "createTime": found["createTime"],
        }
    )


async def get_agent(cloud: Cloud, caller: Caller, request: Request, project: str) -> Response:
    """`projects.serviceAccount.get`: who must be allowed to use a KMS key."""
    cloud.check_project(caller, project)
    cloud.require(caller, "storage.buckets.list")
    email = f"service-{cloud.project['projectNumber']}@gs-project-accounts.iam.gserviceaccount.com"
    return json_response({"kind": "storage#serviceAccount", "email_address": email})
