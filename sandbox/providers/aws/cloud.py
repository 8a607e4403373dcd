"""The way to the sandbox's AWS: configuration, clients, and errors told in our words.

Owns the guarantee that no request leaves this machine: endpoint and credentials are given explicitly and the endpoint
must lie on the loopback interface, so that neither profile, metadata service nor proxy can lead elsewhere. botocore is
imported at the first call, not before: a preview of a stack that calls nothing should not pay for it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from sandbox.providers.base import ProviderError
from sandbox.providers.endpoint import loopback

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

_SERVICES = ("iam", "s3", "sts")
_KNOWN_CONFIG = ("region",)
_IDLE_CONFIG = (
    "pluginDownloadURL",
    "s3UsePathStyle",
    "skipCredentialsValidation",
    "skipMetadataApiCheck",
    "skipRegionValidation",
    "skipRequestingAccountId",
    "version",
)
"""What asks for nothing that could be missed: buckets are always in the path, and nothing of that is validated."""

_NEXT_ACT: Mapping[str, str] = {
    "AccessDenied": "Run it as the operator: `sandbox env` prints the credentials.",
    "InvalidClientTokenId": "Run it as the operator: `sandbox env` prints the credentials.",
    "InvalidAccessKeyId": "Run it as the operator: `sandbox env` prints the credentials.",
    "BucketAlreadyExists": "Choose another name, or import the bucket.",
    "BucketAlreadyOwnedByYou": "Choose another name, or import the bucket.",
    "BucketNotEmpty": "Empty the bucket, or set forceDestroy and deploy once before it is deleted.",
    "EntityAlreadyExists": "Choose another name, or import the existing one.",
    "DeleteConflict": "Remove its access keys and policies first.",
    "LimitExceeded": "Delete one that is no longer used first.",
    "NoSuchBucket": "Declare the bucket, or depend on it.",
    "MalformedPolicy": "Correct the policy document.",
    "MalformedPolicyDocument": "Correct the policy document.",
}

_RUN_AGAIN = "It was asked more than once, and an earlier time may have done it: run again, which finds out."

GONE = frozenset({"404", "NoSuchBucket", "NoSuchEntity", "NotFound"})
"""Error codes that say that the thing itself is not there."""


class CloudError(ProviderError):
    """The cloud's refusal, with its error code."""

    def __init__(self, message: str, code: str, *, uncertain: bool = False) -> None:
        super().__init__(message, uncertain=uncertain)
        self.code = code


class Cloud:
    """Clients of one endpoint; `configure` first. Clients are made once and shared between threads."""

    def __init__(self) -> None:
        self.region = ""
        self._endpoint = ""
        self._session: Any = None
        self._clients: dict[str, Any] = {}
        self._lock = threading.Lock()

    def configure(self, config: Mapping[str, str]) -> None:
        """Take the region; the endpoint and credentials come from the environment, as `sandbox env` prints them.

        Raises ProviderError for an unknown key, no region, no credentials, or an endpoint off the loopback interface.
        """
        unknown = [key for key in config if key not in (*_KNOWN_CONFIG, *_IDLE_CONFIG) and not key.startswith("__")]
        if unknown:
            raise ProviderError(
                f"provider configuration aws:{unknown[0]} is not supported by the stand-in provider; "
                f"legal: {', '.join(f'aws:{key}' for key in _KNOWN_CONFIG)}"
            )
        endpoint = loopback_endpoint(os.environ.get("AWS_ENDPOINT_URL", ""))
        region = config.get("region") or os.environ.get("AWS_REGION", "")
        if not region:
            raise ProviderError("aws:region is not set: run `config set aws:region us-east-1`")
        if not (os.environ.get("AWS_ACCESS_KEY_ID") and os.environ.get("AWS_SECRET_ACCESS_KEY")):
            raise ProviderError("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set: take them from `sandbox env`")
        with self._lock:
            self._clients.clear()
            self._endpoint, self.region = endpoint, region

    @property
    def s3(self) -> S3Client:
        """The S3 client."""
        return cast("S3Client", self._client("s3"))

    @property
    def iam(self) -> IAMClient:
        """The IAM client."""
        return cast("IAMClient", self._client("iam"))

    @property
    def sts(self) -> STSClient:
        """The STS client."""
        return cast("STSClient", self._client("sts"))

    def _client(self, service: str) -> Any:
        if not self._endpoint:
            raise ProviderError("the aws provider is not configured")
        with self._lock:
            if service not in self._clients:
                self._clients[service] = self._connect(service)
            return self._clients[service]

    def _connect(self, service: str) -> Any:
        import botocore.config

        self._session = self._session or _session()
        return self._session.create_client(
            service,
            region_name=self.region,
            endpoint_url=self._endpoint,
            aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=os.environ["AWS_SECRET_ACCESS_KEY"],
            aws_session_token=os.environ.get("AWS_SESSION_TOKEN") or None,
            verify=os.environ.get("AWS_CA_BUNDLE") or None,
            config=botocore.config.Config(
                connect_timeout=10,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 5},
                proxies={},
                s3={"addressing_style": "path"},
                max_pool_connections=32,
            ),
        )

    @contextmanager
    def asking(self, doing: str) -> Iterator[None]:
        """Tell whatever the cloud answers within as `doing: code: message`; raises CloudError, never with a URL."""
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

        try:
            yield
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "Unknown")
            message = error.response.get("Error", {}).get("Message", "").rstrip(".")
            uncertain = _is_uncertain(error.response)
            act = _RUN_AGAIN if uncertain else _NEXT_ACT.get(code, "")
            raise CloudError(f"{doing}: {code}: {message}. {act}".rstrip(), code, uncertain=uncertain) from None
        except ParamValidationError:
            # Its text quotes the request, which may hold a secret.
            raise CloudError(f"{doing}: a value is not of the form that the API takes", "ParamValidation") from None
        except BotoCoreError as error:
            raise CloudError(
                f"{doing}: no usable answer from {self._endpoint} ({type(error).__name__}). "
                "Is the sandbox running? Try `python -m sandbox status`.",
                type(error).__name__,
                uncertain=True,
            ) from None


def _is_uncertain(response: Mapping[str, Any]) -> bool:
    """Whether an earlier try of the same request may have done it: that it exists already may be our own doing."""
    about = response.get("ResponseMetadata", {})
    return bool(about.get("RetryAttempts", 0) > 0 or about.get("HTTPStatusCode", 0) >= 500)


def _session() -> Any:
    """A session of botocore rather than boto3: the same clients without the resource layer, a third of a second sooner.

    It is told the services that there are, instead of looking through the folders of all four hundred.
    """
    import botocore.loaders
    import botocore.session

    class Loader(botocore.loaders.Loader):
        def list_available_services(self, type_name: str) -> list[str]:
            return list(_SERVICES)

    session = botocore.session.Session()
    session.register_component("data_loader", Loader())
    return session


def loopback_endpoint(url: str) -> str:
    """The URL itself if its host is on the loopback interface. Raises ProviderError otherwise."""
    return loopback("AWS_ENDPOINT_URL", url)
