"""V4 signatures in query string and header: GOOG4-RSA-SHA256, GOOG4-HMAC-SHA256 and AWS4-HMAC-SHA256.

It says whose signature a request bears; what that account may do is asked elsewhere. V2 signatures are refused by
name. Sources: cloud.google.com/storage/docs/authentication/signatures, .../authentication/canonical-requests,
.../authentication/aws-simple-migration; error forms as users of the service published them.

Recent AWS clients add checksum headers and send bodies as `aws-chunked`; Google does not take those requests
(`SignatureDoesNotMatch`, "Invalid argument."), nor signatures over `Accept-Encoding`, which its front end rewrites.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote, unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from sandbox.google import accounts, hmac_keys
from sandbox.google.cloud import Cloud, now
from sandbox.google.errors import GoogleError, invalid, unsupported
from sandbox.google.http import Request
from sandbox.google.policies import Caller

UNSIGNED: Final = "UNSIGNED-PAYLOAD"
_SKEW: Final = timedelta(minutes=15)
_LONGEST: Final = 7 * 24 * 3600
_DATE: Final = "%Y%m%dT%H%M%SZ"
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_AUTHORIZATION: Final = re.compile(r"(\S+)\s+Credential=([^,]+),\s*SignedHeaders=([^,]+),\s*Signature=([^,\s]+)")
_REFUSED_HEADERS: Final = ("x-amz-sdk-checksum-algorithm", "x-amz-trailer", "x-amz-decoded-content-length")
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your Google secret key and signing method."
)


@dataclass(frozen=True)
class _Family:
    """How one of the two dialects names things."""

    prefix: str
    scope: str
    secret: str

    @property
    def payload_header(self) -> str:
        return f"x-{self.prefix}-content-sha256"


_FAMILIES: Final = {
    "GOOG4": _Family("goog", "storage/goog4_request", "GOOG4"),
    "AWS4": _Family("amz", "s3/aws4_request", "AWS4"),
}
ALGORITHMS: Final = ("GOOG4-RSA-SHA256", "GOOG4-HMAC-SHA256", "AWS4-HMAC-SHA256")


@dataclass(frozen=True)
class Signed:
    """A signature as the request presents it. `payload` is the last line of the canonical request."""

    algorithm: str
    credential: str
    date: str
    headers: tuple[str, ...]
    signature: str
    payload: str
    query: bool

    @property
    def family(self) -> _Family:
        """The dialect of the algorithm."""
        return _FAMILIES[self.algorithm.partition("-")[0]]

    @property
    def account(self) -> str:
        """E-mail or access id: what stands before the last four parts of the credential."""
        return self.credential.rsplit("/", 4)[0]

    @property
    def scope(self) -> str:
        """Date, location, service and terminator."""
        return "/".join(self.credential.rsplit("/", 4)[1:])


def is_signed(request: Request) -> bool:
    """Whether the request bears a signature of any kind, supported or not."""
    query = {name.lower() for name in request.query}
    scheme = request.headers.get("authorization", "").partition(" ")[0]
    return bool(
        query & {"x-goog-algorithm", "x-amz-algorithm", "x-goog-signature", "x-amz-signature", "googleaccessid"}
        or scheme.startswith(("GOOG", "AWS"))
    )


def caller_of(cloud: Cloud, request: Request) -> tuple[Caller, str]:
    """Whose signature it is, and the hash that the body must have (or UNSIGNED). Raises GoogleError."""
    signed = _presented(request)
    _check_scope(signed)
    _check_headers(request, signed)
    moment = _moment(signed)
    if not signed.query and abs(now() - moment) > _SKEW:
        raise GoogleError(
            403,
            "forbidden",
            "The difference between the request time and the server's time is too large.",
            code="RequestTimeTooSkewed",
        )
    email = _signer(cloud, signed, canonical_requests(request, signed))
    if signed.query:
        _check_expiry(request, signed, moment)
    return Caller(email, aws=signed.family.prefix == "amz"), signed.payload


def canonical_requests(request: Request, signed: Signed) -> list[str]:
    """The canonical forms that a client may have signed.

    The host is as it was sent, or without its port: some of Google's libraries sign it so (see its conformance data).
    """
    query = "&".join(
        sorted(
            f"{_quoted(name)}={_quoted(value)}"
            for name, value in request.query_items
            if name.lower() not in ("x-goog-signature", "x-amz-signature")
        )
    )
    path = quote(unquote(request.path), safe="/~")
    host = request.headers["host"]
    forms = []
    for name in dict.fromkeys((host, host.partition(":")[0])):
        sent = {**request.headers, "host": name}
        headers = "".join(f"{header}:{' '.join(sent[header].split())}\n" for header in signed.headers)
        forms.append("\n".join([request.method, path, query, headers, ";".join(signed.headers), signed.payload]))
    return forms


def string_to_sign(signed: Signed, canonical: str) -> str:
    """What the signature is of."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    return f"{signed.algorithm}\n{signed.date}\n{signed.scope}\n{digest}"


def _quoted(text: str) -> str:
    return quote(text, safe="~")


def _presented(request: Request) -> Signed:
    query = {name.lower(): value for name, value in request.query_items}
    for prefix in ("goog", "amz"):
        if f"x-{prefix}-algorithm" in query:
            return _from_query(request, query, prefix)
    match = _AUTHORIZATION.fullmatch(request.headers.get("authorization", "").strip())
    if match is None or match[1] not in ALGORITHMS:
        if "googleaccessid" in query or request.headers.get("authorization", "").startswith(("GOOG1 ", "AWS ")):
            raise unsupported("V2 signatures; sign with V4")
        raise _malformed("Authorization", f"Unsupported or incomplete; supported are {', '.join(ALGORITHMS)}.")
    family = _FAMILIES[match[1].partition("-")[0]]
    date = request.headers.get(f"x-{family.prefix}-date") or request.headers.get("date", "")
    payload = request.headers.get(family.payload_header)
    if payload is None:
        raise invalid(f"Missing required header for this request: {family.payload_header}", "MissingSecurityHeader")
    return Signed(match[1], unquote(match[2]), date, tuple(match[3].lower().split(";")), match[4], payload, False)


def _from_query(request: Request, query: dict[str, str], prefix: str) -> Signed:
    names = ("algorithm", "credential", "date", "expires", "signedheaders", "signature")
    missing = [name for name in names if f"x-{prefix}-{name}" not in query]
    if missing:
        raise _malformed(f"X-{prefix.title()}-{missing[0].title()}", "A signed URL needs this parameter.")
    algorithm = query[f"x-{prefix}-algorithm"]
    if algorithm not in ALGORITHMS or _FAMILIES[algorithm.partition("-")[0]].prefix != prefix:
        raise _malformed(f"X-{prefix.title()}-Algorithm", f"Supported are {', '.join(ALGORITHMS)}.")
    headers = tuple(query[f"x-{prefix}-signedheaders"].lower().split(";"))
    payload_header = f"x-{prefix}-content-sha256"
    payload = request.headers.get(payload_header, UNSIGNED) if payload_header in headers else UNSIGNED
    return Signed(
        algorithm, query[f"x-{prefix}-credential"], query[f"x-{prefix}-date"], headers,
        query[f"x-{prefix}-signature"], payload, True,
    )  # fmt: skip


def _check_scope(signed: Signed) -> None:
    parts = signed.scope.split("/")
    if len(parts) != 4 or not signed.account:
        raise _malformed("Credential", "The credential is not <id>/<date>/<location>/<service>/<terminator>.")
    if "/".join(parts[2:]) != signed.family.scope:
        raise _malformed("Credential", f"The credential's scope does not end in {signed.family.scope}.")
    if not signed.date.startswith(parts[0]):
        raise _malformed("Credential", "The credential's date is not the request's date.")


def _check_headers(request: Request, signed: Signed) -> None:
    """Refuse what Google cannot verify, missing signed headers and unsigned extension headers."""
    if (
        any(name in request.headers for name in _REFUSED_HEADERS)
        or signed.payload.startswith("STREAMING-")
        or "accept-encoding" in signed.headers
    ):
        raise _mismatch(400, ())
    for name in signed.headers:
        if name not in request.headers:
            raise _malformed(name, "Header was included in signedheaders, but not in the request.")
    if "host" not in signed.headers:
        raise _malformed("host", "Header must be included in signedheaders.")
    extensions = {name for name in request.headers if name.startswith(("x-goog-", "x-amz-"))}
    unsigned = sorted(extensions - set(signed.headers))
    if unsigned:
        raise _malformed(unsigned[0], "Header was included in the request, but not in signedheaders.")


def _malformed(parameter: str, why: str) -> GoogleError:
    return GoogleError(400, "invalid", why, code="MalformedSecurityHeader", extra=[("ParameterName", parameter)])


def _mismatch(http: int, shown: Iterable[tuple[str, str]]) -> GoogleError:
    return GoogleError(http, "forbidden", _MISMATCH, code="SignatureDoesNotMatch", extra=tuple(shown))


def _moment(signed: Signed) -> datetime:
    try:
        return datetime.strptime(signed.date, _DATE).replace(tzinfo=UTC)
    except ValueError:
        raise _malformed("Date", "The date is not of the form YYYYMMDD'T'HHMMSS'Z'.") from None


def _check_expiry(request: Request, signed: Signed, moment: datetime) -> None:
    query = {name.lower(): value for name, value in request.query_items}
    text = query[f"x-{signed.family.prefix}-expires"]
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= _LONGEST:
        raise invalid(f"X-{signed.family.prefix.title()}-Expires must be between 1 and {_LONGEST} seconds (7 days).")
    if moment > now() + _SKEW:
        raise GoogleError(403, "forbidden", "The request is not yet valid.", code="AccessDenied")
    end = moment + timedelta(seconds=int(text))
    if now() > end:
        raise invalid(
            f"The provided token has expired. Request signature expired at: {end.isoformat()}", "ExpiredToken"
        )


def _signer(cloud: Cloud, signed: Signed, forms: list[str]) -> str:
    """The e-mail of the account whose key signed one of the canonical forms. Raises GoogleError 403."""
    texts = [string_to_sign(signed, canonical) for canonical in forms]
    mismatch = _mismatch(403, [("StringToSign", texts[0]), ("CanonicalRequest", forms[0])])
    if "RSA" in signed.algorithm:
        keys = accounts.keys(cloud, signed.account)
        if not any(_verifies(key["public"], signed.signature, text) for key in keys for text in texts):
            raise mismatch
        return signed.account
    if cloud.enforces("storage.restrictAuthTypes"):
        message = "Request violates constraint 'constraints/storage.restrictAuthTypes'"
        raise GoogleError(403, "forbidden", message, code="AccessDenied")
    key = hmac_keys.usable(cloud, signed.account)
    if key is None:
        message = "The provided security credentials are not valid."
        raise GoogleError(403, "forbidden", message, code="InvalidSecurity")
    made = [_hmac_signature(signed, key["secret"], text).encode() for text in texts]
    if not any(hmac.compare_digest(one, signed.signature.encode()) for one in made):
        raise mismatch
    return str(key["email"])


def _hmac_signature(signed: Signed, secret: str, to_sign: str) -> str:
    key = (signed.family.secret + secret).encode()
    for part in signed.scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def _verifies(public: str, signature: str, to_sign: str) -> bool:
    key = serialization.load_pem_public_key(public.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    try:
        key.verify(bytes.fromhex(signature), to_sign.encode(), padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError):
        return False
    return True


def is_hash(payload: str) -> bool:
    """Whether the body's hash is signed."""
    return _HASH.fullmatch(payload) is not None
