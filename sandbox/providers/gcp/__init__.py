"""The stand-in for the official `gcp` provider: the resource types that the components use, over Google's REST APIs.

Owns the table of kinds and the functions. Each kind is in a module of its own; what is not of Google (schema,
comparison, previews) is in `sandbox.providers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from sandbox.providers.base import Provider
from sandbox.providers.gcp.account import Account
from sandbox.providers.gcp.account_key import Key
from sandbox.providers.gcp.bucket import Bucket
from sandbox.providers.gcp.bucket_member import BucketMember
from sandbox.providers.gcp.cloud import Cloud
from sandbox.providers.gcp.hmac_key import HmacKey
from sandbox.providers.kinds import TableProvider
from sandbox.values import Properties


class GcpProvider(TableProvider):
    """`gcp` on the loopback interface; its version is that of the installed `pulumi_gcp`."""

    def __init__(self) -> None:
        cloud = Cloud()
        kinds = (Bucket(cloud), BucketMember(cloud), HmacKey(cloud), Account(cloud), Key(cloud))
        invokes = {
            "gcp:organizations/getClientConfig:getClientConfig": self._client_config,
            "gcp:organizations/getProject:getProject": self._project,
            "gcp:storage/getProjectServiceAccount:getProjectServiceAccount": self._storage_agent,
        }
        super().__init__("gcp", version("pulumi_gcp"), kinds, invokes)
        self.cloud = cloud

    def configure(self, config: Mapping[str, str]) -> None:
        """Take project and region; raises ProviderError for an address off the loopback interface."""
        self.cloud.configure(config)

    def _client_config(self, args: Properties) -> Properties:
        project, region = self.cloud.project, self.cloud.region
        return {
            "accessToken": self.cloud.token("asking who the caller is"),
            "defaultLabels": {},
            "id": f"projects/{project}/regions/{region}/zones/",
            "project": project,
            "region": region,
            "zone": "",
        }

    def _project(self, args: Properties) -> Properties:
        project = args.get("projectId") or self.cloud.project
        found = self.cloud.get(f"looking for project {project!r}", "projects", f"projects/{project}")
        return {
            "id": f"projects/{found['projectId']}",
            "name": found["name"],
            "number": found["projectNumber"],
            "projectId": found["projectId"],
        }

    def _storage_agent(self, args: Properties) -> Properties:
        project = args.get("project") or self.cloud.project
        doing = f"looking for the service agent of Cloud Storage in project {project!r}"
        email = self.cloud.get(doing, "storage", f"projects/{project}/serviceAccount")["email_address"]
        return {"emailAddress": email, "id": email, "member": f"serviceAccount:{email}", "project": project}


def provider() -> Provider:
    """A new, unconfigured provider."""
    return GcpProvider()
