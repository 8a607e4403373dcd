"""The variables through which clients find the sandbox's Google. Cheap to import: every command of the sandbox does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from sandbox.servers.files import Layout

CREDENTIALS: Final = "operator.json"
"""The operator's JSON key, in the server's folder."""


def google_environment(layout: Layout, url: str) -> dict[str, str]:
    """What Google clients need in their environment; empty before the first start.

    The custom endpoints are those that the Terraform and Pulumi providers read.
    """
    path: Path = layout.data("google") / CREDENTIALS
    if not path.exists():
        return {}
    project = json.loads(path.read_text())["project_id"]
    return {
        "GOOGLE_APPLICATION_CREDENTIALS": str(path),
        "GOOGLE_CLOUD_PROJECT": project,
        "GOOGLE_PROJECT": project,
        "GOOGLE_ENDPOINT_URL": url,
        "GOOGLE_STORAGE_CUSTOM_ENDPOINT": f"{url}/storage/v1/",
        "GOOGLE_IAM_CUSTOM_ENDPOINT": f"{url}/v1/",
        "GOOGLE_RESOURCE_MANAGER_CUSTOM_ENDPOINT": f"{url}/v1/",
        "GOOGLE_RESOURCE_MANAGER_V3_CUSTOM_ENDPOINT": f"{url}/v3/",
        "REQUESTS_CA_BUNDLE": str(layout.authority),
    }
