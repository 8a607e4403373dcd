"""The stand-in for the official `aws` provider: the resource types that the components use, over botocore.

Owns the table of kinds and the two functions. Each kind is in a module of its own; what is not of AWS (schema,
comparison, previews) is in `sandbox.providers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from sandbox.providers.aws import bucket_parts
from sandbox.providers.aws.bucket import Bucket
from sandbox.providers.aws.cloud import Cloud
from sandbox.providers.aws.iam_key import AccessKey
from sandbox.providers.aws.iam_user import User, UserPolicy
from sandbox.providers.aws.lifecycle import Lifecycle
from sandbox.providers.base import Provider, ProviderError
from sandbox.providers.kinds import TableProvider
from sandbox.values import Properties


class AwsProvider(TableProvider):
    """`aws` on the loopback interface; its version is that of the installed `pulumi_aws`."""

    def __init__(self) -> None:
        cloud = Cloud()
        kinds = (
            Bucket(cloud),
            bucket_parts.Cors(cloud),
            bucket_parts.PublicAccessBlock(cloud),
            bucket_parts.OwnershipControls(cloud),
            bucket_parts.Encryption(cloud),
            bucket_parts.Versioning(cloud),
            bucket_parts.Logging(cloud),
            bucket_parts.Policy(cloud),
            Lifecycle(cloud),
            User(cloud),
            UserPolicy(cloud),
            AccessKey(cloud),
        )
        invokes = {
            "aws:index/getCallerIdentity:getCallerIdentity": self._caller_identity,
            "aws:index/getRegion:getRegion": self._region,
        }
        super().__init__("aws", version("pulumi_aws"), kinds, invokes)
        self.cloud = cloud

    def configure(self, config: Mapping[str, str]) -> None:
        """Take the region; raises ProviderError for an endpoint off the loopback interface."""
        self.cloud.configure(config)

    def _caller_identity(self, args: Properties) -> Properties:
        with self.cloud.asking("asking who the caller is"):
            answer = self.cloud.sts.get_caller_identity()
        account = answer["Account"]
        return {"accountId": account, "arn": answer["Arn"], "id": account, "userId": answer["UserId"]}

    def _region(self, args: Properties) -> Properties:
        if args.get("endpoint"):
            raise ProviderError("getRegion: endpoint is not supported by the stand-in provider; legal: region")
        region = args.get("region") or args.get("name") or self.cloud.region
        endpoint = f"ec2.{region}.amazonaws.com"
        return {"description": region, "endpoint": endpoint, "id": region, "name": region, "region": region}


def provider() -> Provider:
    """A new, unconfigured provider."""
    return AwsProvider()
