"""The way to the sandbox's Google: configuration, tokens, requests, and errors told in our words.

Owns the guarantee that no request leaves this machine: the endpoints and the token address in the credentials must lie
on the loopback interface, and nothing else is asked. Google's own authentication library is not used for that reason:
it looks up by itself, at Google, in which regions an account may be used. The HTTP library is imported at the first
call: a preview of a stack that calls nothing should not pay for it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode

from recordings.stores.gcs_errors import way_out
from sandbox.providers.base import ProviderError
from sandbox.providers.endpoint import loopback

if TYPE_CHECKING:
    import urllib3

Json = dict[str, Any]

_KNOWN_CONFIG: Final = ("project", "region")
_IDLE_CONFIG: Final = ("disableGlobalProjectWarning", "pluginDownloadURL", "version", "zone")
"""What asks for nothing that could be missed."""
_PROJECTS: Final = ("GOOGLE_PROJECT", "GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")
"""Where the official provider looks for the project, in this order."""
_ENDPOINTS: Final[Mapping[str, str]] = {
    "storage": "GOOGLE_STORAGE_CUSTOM_ENDPOINT",
    "iam": "GOOGLE_IAM_CUSTOM_ENDPOINT",
    "projects": "GOOGLE_RESOURCE_MANAGER_CUSTOM_ENDPOINT",
}
_CREDENTIALS: Final = "GOOGLE_APPLICATION_CREDENTIALS"
_SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_TOKEN_SECONDS: Final = 600
_TRIES: Final = 5
_OPERATOR: Final = "Run it as the operator: `sandbox env` prints the credentials."
_NEXT_ACT: Final[Mapping[tuple[int, str], str]] = {
    (401, ""): _OPERATOR,
    (403, ""): _OPERATOR,
    (403, "Cloud KMS"): "Allow it with `gcloud storage service-agent --authorize-cmek=KEY`, as the key's owner.",
    (409, "already"): "Choose another name, or import the existing one.",
    (409, "not empty"): "Empty the bucket, or set forceDestroy and deploy once before it is deleted.",
    (404, "bucket"): "Declare the bucket, or depend on it.",
    (404, "ervice account"): "Declare the service account, or depend on it.",
    (412, "concurrent"): "Somebody else changes it all the time: run it again.",
    (429, "limit"): "Delete one that is no longer used first.",
}
"""By HTTP status and a word of the message; of those that fit, the last."""


class CloudError(ProviderError):
    """The cloud's refusal, with its HTTP status (0: no answer) and what it violated, if it says so."""

    def __init__(self, message: str, status: int, violation: str = "") -> None:
        super().__init__(message, uncertain=status == 0 or status >= 500)
        self.status = status
        self.violation = violation


class Cloud:
    """Requests to one project's endpoints; `configure` first. Shared between threads."""

    def __init__(self) -> None:
        self.project = ""
        self.region = ""
        self._urls: dict[str, str] = {}
        self._credentials: Json = {}
        self._token = ("", 0.0)
        self._pool: urllib3.PoolManager | None = None
        self._lock = threading.Lock()

    def configure(self, config: Mapping[str, str]) -> None:
        """Take project and region; endpoints and credentials come from the environment, as `sandbox env` prints them.

        Raises ProviderError for an unknown key, no project, no credentials, or an address off the loopback interface.
        """
        unknown = [key for key in config if key not in (*_KNOWN_CONFIG, *_IDLE_CONFIG) and not key.startswith("__")]
        if unknown:
            raise ProviderError(
                f"provider configuration gcp:{unknown[0]} is not supported by the stand-in provider; "
                f"legal: {', '.join(f'gcp:{key}' for key in _KNOWN_CONFIG)}"
            )
        urls = {service: loopback(name, os.environ.get(name, "")) for service, name in _ENDPOINTS.items()}
        project = config.get("project") or next((os.environ[n] for n in _PROJECTS if os.environ.get(n)), "")
        if not project:
            raise ProviderError("gcp:project is not set: run `config set gcp:project PROJECT`")
        credentials = _read_credentials(os.environ.get(_CREDENTIALS, ""))
        loopback(f"token_uri in {_CREDENTIALS}", credentials.get("token_uri", ""))
        with self._lock:
            self.project, self.region = project, config.get("region", "")
            self._urls, self._credentials, self._token, self._pool = urls, credentials, ("", 0.0), None

    def get(self, doing: str, service: str, path: str, **query: object) -> Json:
        """The answer to a GET."""
        return self.call(doing, "GET", service, path, query)

    def find(self, doing: str, service: str, path: str, **query: object) -> Json | None:
        """The answer to a GET, or None if there is no such thing."""
        try:
            return self.get(doing, service, path, **query)
        except CloudError as error:
            if error.status == 404:
                return None
            raise

    def call(
        self,
        doing: str,
        method: str,
        service: str,
        path: str,
        query: Mapping[str, object] | None = None,
        body: Json | None = None,
    ) -> Json:
        """One request, its answer as JSON ({} if it has none).

        Raises CloudError: `doing: status: Google's words. Next act.`, never with a URL.
        """
        if not self._urls:
            raise ProviderError("the gcp provider is not configured")
        url = self._urls[service] + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Authorization": f"Bearer {self.token(doing)}", "Content-Type": "application/json"}
        text = None if body is None else json.dumps(body).encode()
        return self._send(doing, method, url, headers, text)

    def token(self, doing: str) -> str:
        """An access token of the operator, for as long as it lives."""
        with self._lock:
            token, until = self._token
            if time.monotonic() < until:
                return token
        import jwt

        key, now = self._credentials, int(time.time())
        claims = {
            "iss": key["client_email"],
            "scope": _SCOPE,
            "aud": key["token_uri"],
            "iat": now,
            "exp": now + _TOKEN_SECONDS,
        }
        try:
            assertion = jwt.encode(claims, key["private_key"], "RS256", headers={"kid": key["private_key_id"]})
        except (jwt.PyJWTError, ValueError):
            raise ProviderError(
                f"the private key in {_CREDENTIALS} cannot be used: take a fresh `sandbox env`"
            ) from None
        form = urlencode({"grant_type": _GRANT, "assertion": assertion}).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self._send(f"{doing}: getting a token", "POST", key["token_uri"], headers, form)
        with self._lock:
            self._token = (str(answer["access_token"]), time.monotonic() + answer["expires_in"] / 2)
            return self._token[0]

    def _send(self, doing: str, method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Json:
        import urllib3

        try:
            answer = self._connections().request(method, url, headers=dict(headers), body=body)
        except urllib3.exceptions.HTTPError as error:
            raise CloudError(
                f"{doing}: no usable answer ({type(error).__name__}). "
                "Is the sandbox running? Try `python -m sandbox status`.",
                0,
            ) from None
        if answer.status >= 300:
            raise _refusal(doing, answer.status, answer.data)
        return dict(json.loads(answer.data)) if answer.data else {}

    def _connections(self) -> urllib3.PoolManager:
        import urllib3

        with self._lock:
            if self._pool is None:
                # A repeated POST could make a second thing: only what says the same twice is tried again.
                retries = urllib3.Retry(
                    _TRIES, redirect=0, backoff_factor=0.1, status_forcelist=(429, 500, 502, 503, 504),
                    allowed_methods=("GET", "PUT", "PATCH", "DELETE"), raise_on_status=False,
                )  # fmt: skip
                self._pool = urllib3.PoolManager(
                    maxsize=32,
                    retries=retries,
                    timeout=urllib3.Timeout(connect=10, read=60),
                    ca_certs=os.environ.get("SSL_CERT_FILE") or os.environ.get("REQUESTS_CA_BUNDLE") or None,
                )
            return self._pool


def segment(text: str) -> str:
    """`text` as one segment of a path."""
    return quote(text, safe="")


def _read_credentials(path: str) -> Json:
    if not path:
        raise ProviderError(f"{_CREDENTIALS} is not set: take it from `sandbox env`")
    try:
        with open(path) as file:
            found = json.load(file)
        return {name: str(found[name]) for name in ("client_email", "private_key", "private_key_id", "token_uri")}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ProviderError(
            f"{_CREDENTIALS} names {path!r}, which is no JSON key of a service account ({type(error).__name__}): "
            "take it from `sandbox env`"
        ) from None


def _refusal(doing: str, status: int, body: bytes) -> CloudError:
    """What Google says, in each of its forms: the storage API's, IAM's, OAuth's."""
    try:
        error = json.loads(body)["error"]
    except (ValueError, KeyError, TypeError):
        return CloudError(f"{doing}: HTTP {status}.", status)
    if isinstance(error, str):
        return CloudError(f"{doing}: {status} {error}. {_OPERATOR}", status)
    message = str(error.get("message", "")).rstrip(".")
    violated = [v["type"] for detail in error.get("details", ()) for v in detail.get("violations", ()) if "type" in v]
    said = f"{message} ({', '.join(violated)})" if violated else message
    acts = [act for (code, word), act in _NEXT_ACT.items() if code == status and word in message]
    policy = way_out(said)
    act = f"{policy[:1].upper()}{policy[1:]}." if policy else acts[-1] if acts else ""
    return CloudError(f"{doing}: {status} {said}. {act}".rstrip(), status, violated[0] if violated else "")
