"""Every way in which botocore can fail lands on purpose in the error tree, and no message holds a secret."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from botocore import exceptions as foreign
from botocore.exceptions import BotoCoreError, ClientError

from recordings.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    CredentialsError,
    ObjectArchivedError,
    ObjectNotFoundError,
    PreconditionError,
    StoreError,
    StoreUnreachableError,
    WrongRegionError,
)
from recordings.stores.s3_errors import CODES, EXCEPTIONS, NEXT, from_response, mapped, translate

PLAIN = {
    "AliasConflictParameterError", "ApiVersionNotFoundError", "AwsChunkedWrapperError", "BaseEndpointResolverError",
    "BotoCoreError", "DataNotFoundError", "EndpointProviderError", "EndpointResolutionError", "EndpointVariantError",
    "InvalidChecksumConfigError", "InvalidDNSNameError", "InvalidDefaultsMode", "InvalidEndpointConfigurationError",
    "InvalidEndpointDiscoveryConfigurationError", "InvalidExpressionError", "InvalidHostLabelError",
    "InvalidMaxRetryAttemptsError", "InvalidProxiesConfigError", "InvalidRegionError", "InvalidRetryConfigurationError",
    "InvalidRetryModeError", "InvalidS3AddressingStyleError", "InvalidS3UsEast1RegionalEndpointConfigError",
    "InvalidSTSRegionalEndpointsConfigError", "MD5UnavailableError", "MissingDependencyException",
    "MissingParametersError", "NoRegionError", "OperationNotPageableError", "PaginationError", "ParamValidationError",
    "RangeError", "ServiceNotInRegionError", "StubAssertionError", "StubResponseError", "UnStubbedResponseError",
    "UnknownClientMethodError", "UnknownEndpointError", "UnknownEndpointResolutionBuiltInName",
    "UnknownFIPSEndpointError", "UnknownKeyError", "UnknownParameterError", "UnknownRegionError",
    "UnknownServiceError", "UnknownServiceStyle", "UnknownSignatureVersionError", "UnknownTokenProviderError",
    "UnseekableStreamError", "UnsupportedOutpostResourceError", "UnsupportedS3AccesspointConfigurationError",
    "UnsupportedS3ArnError", "UnsupportedS3ConfigurationError", "UnsupportedS3ControlArnError",
    "UnsupportedS3ControlConfigurationError", "UnsupportedServiceProtocolsError", "UnsupportedSignatureVersionError",
    "ValidationError", "WaiterConfigError", "WaiterError",
}  # fmt: skip
"""Wrong calls and broken set-ups: they have no class of their own in our tree."""


def every_exception() -> list[type[BotoCoreError]]:
    classes = (found for _, found in inspect.getmembers(foreign, inspect.isclass))
    return [found for found in classes if issubclass(found, BotoCoreError)]


@pytest.mark.parametrize("kind", every_exception(), ids=lambda kind: kind.__name__)
def test_every_botocore_exception_is_mapped_on_purpose(kind: type[BotoCoreError]) -> None:
    """Either the table names it (or a base of it), or the list above says that it means a wrong call."""
    in_table = any(base in EXCEPTIONS for base in kind.__mro__)
    assert in_table != (kind.__name__ in PLAIN)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            foreign.EndpointConnectionError(endpoint_url="https://s3.example/?X-Amz-Signature=1234"),
            StoreUnreachableError,
        ),
        (foreign.ConnectTimeoutError(endpoint_url="https://s3.example"), StoreUnreachableError),
        (foreign.ReadTimeoutError(endpoint_url="https://s3.example"), StoreUnreachableError),
        (foreign.ConnectionClosedError(endpoint_url="https://s3.example"), StoreUnreachableError),
        (foreign.SSLError(endpoint_url="https://s3.example", error=OSError("x")), StoreUnreachableError),
        (foreign.ProxyConnectionError(proxy_url="https://user:word@proxy"), StoreUnreachableError),
        (foreign.IncompleteReadError(actual_bytes=1, expected_bytes=2), StoreUnreachableError),
        (foreign.FlexibleChecksumError(error_msg="x"), StoreUnreachableError),
        (foreign.NoCredentialsError(), CredentialsError),
        (foreign.PartialCredentialsError(provider="env", cred_var="x"), CredentialsError),
        (foreign.ProfileNotFound(profile="x"), CredentialsError),
        (foreign.UnauthorizedSSOTokenError(), CredentialsError),
        (foreign.ParamValidationError(report="x"), StoreError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_exception_becomes_the_error_that_it_means(error: BotoCoreError, expected: type[StoreError]) -> None:
    """Network faults, missing logins and wrong calls are three different things to whoever reads the message."""
    translated = translate(error, "PutObject on s3://b/k as writer")
    assert type(translated) is expected
    assert "PutObject on s3://b/k as writer" in str(translated)
    assert "X-Amz-Signature" not in str(translated)


@pytest.mark.parametrize(
    ("code", "status", "expected"),
    [
        ("AccessDenied", 403, AccessDeniedError),
        ("InvalidAccessKeyId", 403, CredentialsError),
        ("SignatureDoesNotMatch", 403, CredentialsError),
        ("RequestTimeTooSkewed", 403, CredentialsError),
        ("ExpiredToken", 400, CredentialsError),
        ("NoSuchKey", 404, ObjectNotFoundError),
        ("NoSuchUpload", 404, ObjectNotFoundError),
        ("NoSuchBucket", 404, BucketNotFoundError),
        ("PermanentRedirect", 301, WrongRegionError),
        ("AuthorizationHeaderMalformed", 400, WrongRegionError),
        ("InvalidObjectState", 403, ObjectArchivedError),
        ("PreconditionFailed", 412, PreconditionError),
        ("ConditionalRequestConflict", 409, PreconditionError),
        ("SlowDown", 503, StoreUnreachableError),
        ("InternalError", 500, StoreUnreachableError),
        ("301", 301, WrongRegionError),
        ("403", 403, AccessDeniedError),
        ("404", 404, ObjectNotFoundError),
        ("", 429, StoreUnreachableError),
        ("", 502, StoreUnreachableError),
        ("NeverHeardOf", 403, AccessDeniedError),
        ("NeverHeardOf", 503, StoreUnreachableError),
        ("NeverHeardOf", 400, StoreError),
        ("MalformedXML", 400, StoreError),
    ],
)
def test_answer_becomes_the_error_that_it_means(code: str, status: int, expected: type[StoreError]) -> None:
    """The code decides; where it is missing or unknown, the HTTP status does."""
    answer: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert type(translate(ClientError(answer, "PutObject"), "what")) is expected


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (403, b"<Error><Code>InvalidAccessKeyId</Code><Message>m</Message></Error>", CredentialsError),
        (403, b"<Error><Code>AccessDenied</Code></Error>", AccessDeniedError),
        (403, b"", AccessDeniedError),
        (404, b"<html>", ObjectNotFoundError),
    ],
)
def test_answer_to_another_client_is_the_same_error(status: int, body: bytes, expected: type[StoreError]) -> None:
    """A signed URL is not fetched by botocore; what S3 answers means the same."""
    assert type(from_response(status, body, "GET k")) is expected


@pytest.mark.parametrize("kind", sorted({*CODES.values(), *EXCEPTIONS.values(), StoreError}, key=str))
def test_every_error_names_the_next_act(kind: type[StoreError]) -> None:
    """No class of the map is without advice."""
    assert NEXT[kind]


def test_mapped_cuts_the_cause_off() -> None:
    """The foreign exception, whose request holds a signature, is not chained to ours."""
    with pytest.raises(StoreUnreachableError) as caught, mapped("what"):
        raise foreign.EndpointConnectionError(endpoint_url="https://s3.example/?X-Amz-Signature=1234")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_mapped_lets_other_errors_through() -> None:
    """A bug of ours stays visible as what it is."""
    with pytest.raises(ZeroDivisionError), mapped("what"):
        _ = 1 / 0
