"""What S3 and botocore say, in the words of `recordings.errors`: the one edge where foreign exceptions are mapped.

Owns the tables of error codes and exception classes, and the messages. A test holds that every botocore exception
class lands somewhere on purpose. A message holds the operation, the thing, S3's code and the next act; never a
secret, never the query of a URL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from xml.etree import ElementTree

from botocore import exceptions as foreign

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
from recordings.redact import redact

CODES: Final[Mapping[str, type[StoreError]]] = {
    **dict.fromkeys(
        ("AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AccountProblem", "NotSignedUp"),
        AccessDeniedError,
    ),
    **dict.fromkeys(
        (
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
            "IncompleteSignature",
            "AuthFailure",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidToken",
            "TokenRefreshRequired",
            "InvalidSecurity",
            "RequestTimeTooSkewed",
            "RequestExpired",
        ),
        CredentialsError,
    ),
    **dict.fromkeys(("NoSuchKey", "NoSuchVersion", "NoSuchUpload"), ObjectNotFoundError),
    "NoSuchBucket": BucketNotFoundError,
    **dict.fromkeys(
        (
            "PermanentRedirect",
            "TemporaryRedirect",
            "Redirect",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "IncorrectEndpoint",
        ),
        WrongRegionError,
    ),
    **dict.fromkeys(("InvalidObjectState", "ObjectNotInActiveTierError"), ObjectArchivedError),
    **dict.fromkeys(("PreconditionFailed", "ConditionalRequestConflict"), PreconditionError),
    **dict.fromkeys(
        (
            "InternalError",
            "ServiceUnavailable",
            "SlowDown",
            "RequestTimeout",
            "RequestTimeoutException",
            "Throttling",
            "ThrottlingException",
            "RequestLimitExceeded",
            "BandwidthLimitExceeded",
            "TooManyRequestsException",
            "OperationAborted",
        ),
        StoreUnreachableError,
    ),
}
"""S3's error codes (API Reference, "Error responses") and the common ones of STS; others go by HTTP status."""

STATUSES: Final[Mapping[int, type[StoreError]]] = {
    301: WrongRegionError,
    307: WrongRegionError,
    401: CredentialsError,
    403: AccessDeniedError,
    404: ObjectNotFoundError,
    408: StoreUnreachableError,
    412: PreconditionError,
    429: StoreUnreachableError,
}
"""For answers with no code: a HEAD has no body."""

EXCEPTIONS: Final[Mapping[type[Exception], type[StoreError]]] = {
    foreign.HTTPClientError: StoreUnreachableError,
    foreign.ConnectionError: StoreUnreachableError,
    foreign.IncompleteReadError: StoreUnreachableError,
    foreign.CapacityNotAvailableError: StoreUnreachableError,
    foreign.ChecksumError: StoreUnreachableError,
    foreign.FlexibleChecksumError: StoreUnreachableError,
    foreign.NoCredentialsError: CredentialsError,
    foreign.PartialCredentialsError: CredentialsError,
    foreign.CredentialRetrievalError: CredentialsError,
    foreign.ProfileNotFound: CredentialsError,
    foreign.ConfigNotFound: CredentialsError,
    foreign.ConfigParseError: CredentialsError,
    foreign.RefreshWithMFAUnsupportedError: CredentialsError,
    foreign.MetadataRetrievalError: CredentialsError,
    foreign.InfiniteLoopConfigError: CredentialsError,
    foreign.InvalidConfigError: CredentialsError,
    foreign.TokenRetrievalError: CredentialsError,
    foreign.NoAuthTokenError: CredentialsError,
    foreign.SSOError: CredentialsError,
    foreign.LoginError: CredentialsError,
    foreign.UnknownCredentialError: CredentialsError,
    foreign.InvalidIMDSEndpointError: CredentialsError,
    foreign.InvalidIMDSEndpointModeError: CredentialsError,
}
"""Bases count for their subclasses; any other botocore error means a wrong call or a broken set-up: StoreError."""

NEXT: Final[Mapping[type[StoreError], str]] = {
    AccessDeniedError: "this key is valid but not allowed to: check its policy, the bucket policy, and `pulumi up`",
    CredentialsError: "check that the key is active and of this stack, that the clock is right, and the AWS login "
    "(`aws sts get-caller-identity`)",
    ObjectNotFoundError: "check the key with `aws s3 ls`, letter by letter",
    BucketNotFoundError: "check bucketName in the stack outputs; was the stack destroyed?",
    WrongRegionError: "the bucket lies in another region: correct `aws:region` and run `pulumi up`",
    ObjectArchivedError: "restore it first (`aws s3api restore-object`)",
    PreconditionError: "somebody else wrote it meanwhile: read it again, then decide",
    StoreUnreachableError: "retries are used up: check the network and the provider's status, then try again",
    StoreError: "see the code above in the S3 API Reference",
}


@contextmanager
def mapped(what: str) -> Iterator[None]:
    """Turn any botocore exception inside into a StoreError about `what`, its cause cut off (it may hold a URL)."""
    try:
        yield
    except (foreign.ClientError, foreign.BotoCoreError) as error:
        raise translate(error, what) from None
    except ValueError as error:
        if not str(error).startswith(_BAD_ENDPOINT):
            raise
        raise StoreError(
            f"{what}: {redact(str(error))}; an address has https:// and a host: correct AWS_ENDPOINT_URL, or that of "
            "the service, AWS_ENDPOINT_URL_IAM, or leave it out"
        ) from None


_BAD_ENDPOINT: Final = "Invalid endpoint"
"""How botocore begins a bare ValueError when it makes a client."""


def translate(error: foreign.ClientError | foreign.BotoCoreError, what: str) -> StoreError:
    """The StoreError for a botocore exception; `what` says who did what to which thing."""
    if isinstance(error, foreign.ClientError):
        kind, said = _of_answer(error)
    else:
        kind, said = _of_exception(error), f"{type(error).__name__}: {error}"
    return kind(f"{what}: {redact(said)}; {NEXT[kind]}")


def code_of(error: foreign.ClientError) -> str:
    """S3's error code, or the HTTP status as text where the answer had no body."""
    return str(_answer(error).get("Error", {}).get("Code", ""))


def translate_code(code: str, message: str, what: str) -> StoreError:
    """The StoreError for an error code inside a successful answer, such as one key of a batch deletion."""
    kind = CODES.get(code, StoreError)
    return kind(f"{what}: {code}: {redact(message)}; {NEXT[kind]}")


def from_response(status: int, body: bytes, what: str) -> StoreError:
    """The StoreError for an answer that another client than botocore got, such as one to a signed URL."""
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - the provider's own answer; expat bounds entities
        error = {"Code": root.findtext("Code") or "", "Message": root.findtext("Message") or ""}
    except ElementTree.ParseError:
        error = {}
    answer: Any = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": status}}
    return translate(foreign.ClientError(answer, "GetObject"), what)


def _of_answer(error: foreign.ClientError) -> tuple[type[StoreError], str]:
    answer = _answer(error)
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    code, message = code_of(error), str(answer.get("Error", {}).get("Message", ""))
    kind = CODES.get(code) or STATUSES.get(status) or (StoreUnreachableError if status >= 500 else StoreError)
    return kind, f"{code or status}{f' ({message})' if message else ''}"


def _of_exception(error: foreign.BotoCoreError) -> type[StoreError]:
    return next((EXCEPTIONS[base] for base in type(error).__mro__ if base in EXCEPTIONS), StoreError)


def _answer(error: foreign.ClientError) -> Mapping[str, Any]:
    return error.response
