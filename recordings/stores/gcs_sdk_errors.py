"""What Google's libraries raise, reduced to what Google answered; the one edge where foreign exceptions are mapped.

Owns the tables of exception classes. The messages are in `gcs_errors`: those of the libraries are never shown, as
they hold whole URLs and bodies. A test holds that every class lands somewhere on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import requests
import urllib3.exceptions
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage import exceptions as media

from recordings.errors import CredentialsError, StoreError, StoreUnreachableError
from recordings.retry import parse_retry_after
from recordings.stores.gcs_errors import NEXT, Refusal, from_json

FOREIGN: Final = (
    api.GoogleAPIError,
    auth.GoogleAuthError,
    media.InvalidResponse,
    media.DataCorruption,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
)

EXCEPTIONS: Final[Mapping[type[Exception], type[StoreError]]] = {
    api.RetryError: StoreUnreachableError,
    auth.GoogleAuthError: CredentialsError,
    auth.TransportError: StoreUnreachableError,
    auth.TimeoutError: StoreUnreachableError,
    auth.ResponseError: StoreUnreachableError,
    media.DataCorruption: StoreUnreachableError,
    urllib3.exceptions.HTTPError: StoreUnreachableError,
    requests.ConnectionError: StoreUnreachableError,
    requests.Timeout: StoreUnreachableError,
    requests.exceptions.ChunkedEncodingError: StoreUnreachableError,
    requests.exceptions.ContentDecodingError: StoreUnreachableError,
    requests.exceptions.RetryError: StoreUnreachableError,
    requests.exceptions.SSLError: StoreError,
}
"""Bases count for their subclasses; any other means a wrong call or a broken set-up: StoreError."""

_LOGIN: Final = (
    "log in with `gcloud auth application-default login`, or let GOOGLE_APPLICATION_CREDENTIALS name a file of "
    "credentials"
)


@contextmanager
def mapped(what: str) -> Iterator[None]:
    """Turn any exception of Google's libraries inside into a StoreError about `what`, its cause cut off."""
    try:
        yield
    except FOREIGN as error:
        raise translate(error, what) from None


def translate(error: Exception, what: str) -> StoreError:
    """The StoreError for an exception; `what` says who did what to which thing."""
    refusal = _answered(error)
    if refusal is not None:
        return refusal.error(what)
    kind = next((EXCEPTIONS[base] for base in type(error).__mro__ if base in EXCEPTIONS), StoreError)
    if isinstance(error, auth.TransportError | auth.RefreshError) and getattr(error, "retryable", False):
        kind = StoreUnreachableError
    next_act = _LOGIN if kind is CredentialsError else NEXT[kind]
    if isinstance(error, requests.exceptions.SSLError):
        next_act = "the server's certificate is not trusted; REQUESTS_CA_BUNDLE names the authorities"
    return kind(f"{what}: {type(error).__name__}; {next_act}")


def retry_after(error: Exception, now: float) -> float | None:
    """Seconds that Google asked to wait, None if it did not; `now` is Unix time."""
    response = getattr(error, "response", None)
    return None if response is None else parse_retry_after(response.headers.get("retry-after"), now)


def _answered(error: Exception) -> Refusal | None:
    """Google's answer, if the exception holds one."""
    response = getattr(error, "response", None)
    if isinstance(response, requests.Response):
        return from_json(response.status_code, response.content)
    if isinstance(error, api.GoogleAPICallError) and error.code is not None:
        return Refusal(int(error.code), message=error.message or "")
    return None
