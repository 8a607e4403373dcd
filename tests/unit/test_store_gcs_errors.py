"""Every way in which Google or its libraries can refuse lands on purpose in the error tree, and says the way out."""

from __future__ import annotations

import inspect
import json
from typing import Any

import httpx
import pytest
import requests
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.storage import exceptions as media

from recordings.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    ObjectArchivedError,
    ObjectNotFoundError,
    OrganisationPolicyError,
    PreconditionError,
    StoreError,
    StoreUnreachableError,
    WrongRegionError,
)
from recordings.stores.gcs_errors import CODES, NEXT, POLICIES, STATUSES, from_json, from_xml, way_out
from recordings.stores.gcs_sdk_errors import EXCEPTIONS, FOREIGN, mapped, retry_after, translate
from recordings.stores.landing import DamagedError

PLAIN = {
    "DuplicateCredentialArgs", "GoogleAPIError", "HTTPError", "InvalidHeader", "InvalidJSONError", "InvalidProxyURL",
    "InvalidResponse", "InvalidSchema", "InvalidURL", "JSONDecodeError", "MissingSchema", "RequestException",
    "StreamConsumedError", "TooManyRedirects", "UnrewindableBodyError", "URLRequired",
}  # fmt: skip
"""Wrong calls and broken set-ups: they have no class of their own in our tree."""


def every_exception() -> list[type[Exception]]:
    """All that the libraries may raise, apart from answers, which go by what they say."""
    classes = [
        found
        for module in (api, auth, media, requests.exceptions)
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, FOREIGN) and found.__module__.startswith(module.__name__)
    ]
    return [found for found in dict.fromkeys(classes) if not issubclass(found, api.GoogleAPICallError)]


@pytest.mark.parametrize("kind", every_exception(), ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_exception_of_the_libraries_is_mapped_on_purpose(kind: type[Exception]) -> None:
    """Either the table names it (or a base of it), or the list above says that it means a wrong call."""
    assert any(base in EXCEPTIONS for base in kind.__mro__) != (kind.__name__ in PLAIN)


def test_every_exception_of_the_libraries_is_caught() -> None:
    """The auth, api and media packages raise nothing that the edge lets through."""
    public = [
        found
        for module in (auth, media)
        for name, found in inspect.getmembers(module, inspect.isclass)
        if found.__module__ == module.__name__ and issubclass(found, Exception)
    ]
    assert {found.__name__ for found in public if not issubclass(found, FOREIGN)} == {"InvalidPathError"}


def answered(status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> api.GoogleAPICallError:
    """What google-cloud-storage raises for an answer."""
    response = requests.Response()
    response.status_code = status
    response._content = body
    response.headers.update(headers or {})
    response.request = requests.Request("GET", "https://storage.googleapis.com/?upload_id=sesame").prepare()
    made: Any = api.from_http_response
    error: api.GoogleAPICallError = made(response)
    return error


def _raised(kind: Any, *arguments: Any) -> Exception:
    """An exception of a class that has no types."""
    made: Exception = kind(*arguments)
    return made


def said(reason: str, message: str) -> bytes:
    """An error of the JSON API."""
    return json.dumps({"error": {"message": message, "errors": [{"reason": reason, "message": message}]}}).encode()


ANSWERS: list[tuple[int, str, str, type[StoreError]]] = [
    (400, "invalid", "Bad argument", StoreError),
    (400, "ExpiredToken", "The provided token has expired.", CredentialsError),
    (400, "MalformedSecurityHeader", "Header was not signed.", CredentialsError),
    (401, "authError", "Invalid Credentials", CredentialsError),
    (401, "required", "Anonymous caller does not have storage.objects.get", CredentialsError),
    (403, "forbidden", "sa does not have storage.objects.create access", AccessDeniedError),
    (403, "AccessDenied", "Access denied.", AccessDeniedError),
    (403, "InvalidSecurity", "The provided security credentials are not valid.", CredentialsError),
    (403, "SignatureDoesNotMatch", "Access denied.", CredentialsError),
    (403, "RequestTimeTooSkewed", "The difference is too large.", CredentialsError),
    (403, "rateLimitExceeded", "Slow down", StoreUnreachableError),
    (403, "neverHeardOf", "What?", AccessDeniedError),
    (403, "AccessDenied", "violates 'constraints/storage.restrictAuthTypes'", OrganisationPolicyError),
    (404, "notFound", "No such object: b/k", ObjectNotFoundError),
    (404, "notFound", "The specified bucket does not exist.", BucketNotFoundError),
    (404, "NoSuchUpload", "The requested upload was not found.", ObjectNotFoundError),
    (404, "NoSuchBucket", "The specified bucket does not exist.", BucketNotFoundError),
    (409, "conflict", "The object changed meanwhile.", PreconditionError),
    (412, "conditionNotMet", "At least one of the pre-conditions did not hold.", PreconditionError),
    (412, "conditionNotMet", "violates 'constraints/iam.disableServiceAccountKeyCreation'", OrganisationPolicyError),
    (412, "x", "'constraints/iam.managed.disableServiceAccountKeyCreation'", OrganisationPolicyError),
    (412, "x", "'constraints/storage.softDeletePolicySeconds'", OrganisationPolicyError),
    (429, "rateLimitExceeded", "Too many", StoreUnreachableError),
    (429, "SlowDown", "Too many", StoreUnreachableError),
    (500, "backendError", "Oops", StoreUnreachableError),
    (503, "ServiceUnavailable", "Oops", StoreUnreachableError),
    (504, "neverHeardOf", "Oops", StoreUnreachableError),
]  # fmt: skip


@pytest.mark.parametrize(("status", "code", "message", "expected"), ANSWERS)
def test_answer_is_the_same_error_in_json_and_in_xml(
    status: int, code: str, message: str, expected: type[StoreError]
) -> None:
    """Whoever asked by whatever API: the class, Google's code and message, and the next act."""
    xml = f"<Error><Code>{code}</Code><Message>General.</Message><Details>{message}</Details></Error>".encode()
    for refusal in (from_json(status, said(code, message)), from_xml(status, xml)):
        error = refusal.error("put gs://b/k as writer")
        assert type(error) is expected
        assert str(error).startswith(f"put gs://b/k as writer: {code} (")
        assert str(error).endswith(way_out(message) or NEXT[expected])
    assert type(translate(answered(status, said(code, message)), "put")) is expected


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"{}", b"[]", b'{"error": "invalid_grant"}', b'{"error": {"errors": []}}']
)
@pytest.mark.parametrize(("status", "expected"), [*STATUSES.items(), (400, StoreError), (502, StoreUnreachableError)])
def test_answer_without_a_code_goes_by_its_status(status: int, expected: type[StoreError], body: bytes) -> None:
    """HEAD, proxies and the token endpoint have other bodies, or none."""
    assert from_json(status, body).kind is expected
    assert from_xml(status, body).kind is expected


def test_general_message_serves_where_there_is_no_detail() -> None:
    """The XML API's `Message` is shown if `Details` is not there."""
    refusal = from_xml(403, b"<Error><Code>InvalidSecurity</Code><Message>Not valid.</Message></Error>")
    assert "InvalidSecurity (Not valid.)" in str(refusal.error("put"))


@pytest.mark.parametrize("constraint", POLICIES)
def test_organisation_policy_is_recognised_in_any_text(constraint: str) -> None:
    """Also in what a deployment printed; the way out names who can help and what else there is."""
    advice = way_out(f"googleapi: Error 412: Request violates constraint 'constraints/{constraint}', conditionNotMet")
    assert advice is not None
    assert "organisation policy" in advice


def test_way_out_of_forbidden_keys_names_the_other_writer() -> None:
    """The two things that an owner can do."""
    advice = way_out("constraints/iam.disableServiceAccountKeyCreation") or ""
    assert "writerExternal" in advice
    assert "readerExternal" in advice
    assert "exception" in advice
    assert "SERVICE_ACCOUNT_HMAC_SIGNED_REQUESTS" in (way_out("'constraints/storage.restrictAuthTypes'") or "")
    assert way_out("no such bucket") is None


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (auth.DefaultCredentialsError("File /home/x was not found."), CredentialsError),
        (auth.RefreshError("invalid_grant: Token has been expired", {"error": "invalid_grant"}), CredentialsError),
        (auth.RefreshError("internal_failure", retryable=True), StoreUnreachableError),
        (auth.TransportError("connection refused"), StoreUnreachableError),
        (auth.MalformedError("no JSON"), CredentialsError),
        (requests.ConnectionError("refused"), StoreUnreachableError),
        (requests.Timeout("slow"), StoreUnreachableError),
        (requests.exceptions.ChunkedEncodingError("broke off"), StoreUnreachableError),
        (requests.exceptions.SSLError("bad certificate"), StoreError),
        (media.DataCorruption(None, "checksum"), StoreUnreachableError),
        (_raised(api.RetryError, "deadline", None), StoreUnreachableError),
        (_raised(api.ServiceUnavailable, "no response"), StoreUnreachableError),
        (requests.exceptions.InvalidURL("x"), StoreError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_exception_becomes_the_error_that_it_means(error: Exception, expected: type[StoreError]) -> None:
    """A login that is missing, a network that is down, a wrong call."""
    assert type(translate(error, "put")) is expected


def test_no_message_holds_what_libraries_put_into_theirs() -> None:
    """Their texts hold whole URLs and bodies; causes are cut off."""
    body = b"<html>upload_id=sesame"
    for error in (
        answered(403, body),
        requests.ConnectionError("https://storage.googleapis.com/?upload_id=sesame"),
        auth.RefreshError("sesame"),
        media.InvalidResponse(answered(400, body).response, "https://x/?upload_id=sesame"),
    ):
        with pytest.raises(StoreError) as caught, mapped("put gs://b/k as operator"):
            raise error
        assert "sesame" not in str(caught.value)
        assert caught.value.__cause__ is None
        assert caught.value.__suppress_context__


def test_retry_after_is_read_from_the_answer() -> None:
    """Seconds; None where there is no answer or no such header."""
    assert retry_after(answered(429, headers={"retry-after": "7"}), 0.0) == 7.0
    assert retry_after(answered(429), 0.0) is None
    assert retry_after(requests.Timeout("slow"), 0.0) is None


def test_every_kind_has_a_next_act() -> None:
    """No error of this store ends without saying what to do; regions and archives are no matter on Google.

    Damage is told by who joined the parts, with its own next act.
    """
    kinds = {*CODES.values(), *STATUSES.values(), *EXCEPTIONS.values()}
    assert kinds <= NEXT.keys()
    tree = set(StoreError.__subclasses__()) | {StoreError}
    assert tree - NEXT.keys() == {WrongRegionError, ObjectArchivedError, DamagedError}


def test_httpx_has_no_exception_that_the_wire_lets_through() -> None:
    """The wire catches two bases: nothing that a request may raise is beside them."""
    raised = [found for _, found in inspect.getmembers(httpx, inspect.isclass) if issubclass(found, Exception)]
    beside = {found.__name__ for found in raised if not issubclass(found, httpx.HTTPError)}
    assert beside == {
        "CookieConflict", "InvalidURL", "ResponseNotRead", "RequestNotRead", "StreamClosed", "StreamConsumed",
        "StreamError",
    }  # fmt: skip
