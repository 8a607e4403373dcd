"""How a store gets to S3: as whom, to which address, how long a call may take.

Owns sessions, clients and their settings, and the presigner. They are botocore's own: boto3 around them takes longer to
start, for transfers and resources that nothing here uses. Issued keys are given by name and never mixed with the
ambient login, its session token, profile or endpoint; the operator uses that login alone.
"""

from __future__ import annotations

from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from botocore.client import BaseClient
from botocore.config import Config
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError, ReadTimeoutError
from botocore.session import Session
from pydantic import SecretStr

from recordings.outages import Outages, outages
from recordings.outputs import StackOutputs
from recordings.signing import Presigner
from recordings.signing_v4 import HmacSigner
from recordings.stores.base import AccessKey

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sts import STSClient

ATTEMPTS: Final = 10
CONNECT_SECONDS: Final = 10
READ_SECONDS: Final = 60
"""Ten attempts with the standard mode's waits (at most 20 s each) end within 15 minutes even if each times out."""
C = TypeVar("C", bound=BaseClient)


class Connection:
    """One identity's way to one bucket; `key` is None for the operator. May raise what botocore raises."""

    def __init__(self, outputs: StackOutputs, key: AccessKey | None) -> None:
        self._bucket = outputs.bucket_name
        self._region = outputs.region
        self._endpoint_url = outputs.endpoint_url
        self._key = key
        self._outages = outages()
        self._by_path = outputs.endpoint_url is not None or "." in outputs.bucket_name

    @cached_property
    def client(self) -> S3Client:
        """The client for the bucket's region."""
        addressing = {
            "addressing_style": "path" if self._by_path else "virtual",
            "us_east_1_regional_endpoint": "regional",
        }
        config = self._config(signature_version="s3v4", s3=addressing)
        return cast("S3Client", self._made("s3", config))

    @cached_property
    def base_url(self) -> str:
        """What stands before a key, in the addressing style of the client: by path where no certificate covers more."""
        address = self._endpoint_url or self.client.meta.endpoint_url  # a client takes long to make
        scheme, _, host = address.rstrip("/").partition("://")
        return f"{scheme}://{host}/{self._bucket}" if self._by_path else f"{scheme}://{self._bucket}.{host}"

    @property
    def presigner(self) -> Presigner:
        """Signs as this identity; the operator's is made each time, since a login may be renewed."""
        return self._login_presigner() if self._key is None else self._key_presigner

    def account(self) -> str:
        """GetCallerIdentity."""
        return cast("STSClient", self._made("sts", self._config())).get_caller_identity()["Account"]

    def iam(self) -> IAMClient:
        """The client for users and their keys; IAM has one endpoint for all regions."""
        return cast("IAMClient", self._made("iam", self._config()))

    def _made(self, service: str, config: Config) -> BaseClient:
        client = self._session.create_client(service, endpoint_url=self._endpoint_url, config=config, **self._login())
        return telling(client, self._outages)

    @cached_property
    def _session(self) -> Session:
        """The operator's login is looked for anew; issued keys need none, and share what is slow to load."""
        return Session() if self._key is None else _shared_session()

    def _login(self) -> dict[str, Any]:
        login: dict[str, Any] = {"region_name": self._region}
        if self._key is not None:
            login |= {
                "aws_access_key_id": self._key.id,
                "aws_secret_access_key": self._key.secret.get_secret_value(),
            }
        return login

    def _config(self, **more: Any) -> Config:
        options: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
            "ignore_configured_endpoint_urls": self._key is not None,
        }
        return Config(**(options | more))

    @cached_property
    def _key_presigner(self) -> Presigner:
        assert self._key is not None
        return Presigner(HmacSigner(self._key.id, self._key.secret, self._region), self.base_url)

    def _login_presigner(self) -> Presigner:
        found = self._session.get_credentials()
        login = found.get_frozen_credentials() if found else None
        if login is None or login.access_key is None or login.secret_key is None:
            raise NoCredentialsError()
        signer = HmacSigner(login.access_key, SecretStr(login.secret_key), self._region)
        return Presigner(signer, self.base_url, session_token=SecretStr(login.token) if login.token else None)


def telling(client: C, told: Outages) -> C:
    """The same client, whose tries with no usable answer are told; botocore itself waits and tries again.

    From the second try on, since the wait after the first is under a second; from the first if that took its time.
    """
    service = client.meta.service_model.service_name

    def failed(operation: Any, attempts: int, caught_exception: Exception | None, response: Any, **_: Any) -> None:
        reason = type(caught_exception).__name__ if caught_exception is not None else _trouble(response)
        is_slow = isinstance(caught_exception, ConnectTimeoutError | ReadTimeoutError)
        if reason and attempts < ATTEMPTS and (attempts > 1 or is_slow):
            line = f"{operation.name}: no usable answer ({reason}): trying again, {ATTEMPTS} times at most"
            told.hear(f"AWS {service}", line)

    client.meta.events.register(f"needs-retry.{service}", failed)
    return client


def _trouble(response: Any) -> str:
    """The code of an answer that is tried again, empty for any other."""
    answer, body = response
    code = str(body.get("Error", {}).get("Code", ""))
    return code or str(answer.status_code) if answer.status_code == 429 or answer.status_code >= 500 else ""


@cache
def _shared_session() -> Session:
    """One that reads no profile and no file: an ambient AWS_PROFILE that there is not would fail issued keys too."""
    nothing = (None, None, None, None)
    files = dict.fromkeys(("profile", "config_file", "credentials_file"), nothing)
    return Session(session_vars=files)
