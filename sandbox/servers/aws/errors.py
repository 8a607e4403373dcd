"""Errors in the words of S3 (XML) and of IAM and STS (the query protocol's XML)."""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Final
from xml.sax.saxutils import escape

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers, body."""

_XML: Final = "application/xml"


def s3_error(status: int, code: str, message: str, **fields: str) -> Answer:
    """An S3 error; `fields` are further elements such as Region or Resource."""
    request_id = uuid.uuid4().hex[:16].upper()
    parts = {"Code": code, "Message": message, **fields, "RequestId": request_id, "HostId": request_id}
    inner = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in parts.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{inner}</Error>'
    headers = {"Content-Type": _XML, "x-amz-request-id": request_id}
    if "Region" in fields:
        headers["x-amz-bucket-region"] = fields["Region"]
    return status, headers, body.encode()


def query_error(service: str, status: int, code: str, message: str) -> Answer:
    """An error of IAM or STS."""
    request_id = str(uuid.uuid4())
    version = {"iam": "2010-05-08", "sts": "2011-06-15"}.get(service, "2011-06-15")
    namespace = f"https://{service or 'iam'}.amazonaws.com/doc/{version}/"
    inner = f"<Type>Sender</Type><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    body = (
        f'<ErrorResponse xmlns="{namespace}"><Error>{inner}</Error><RequestId>{request_id}</RequestId></ErrorResponse>'
    )
    return status, {"Content-Type": "text/xml", "x-amzn-RequestId": request_id}, body.encode()


def unknown_key(service: str) -> Answer:
    """The refusal of an access key that does not exist, or not yet."""
    if service in ("s3", ""):
        message = "The AWS Access Key Id you provided does not exist in our records."
        return s3_error(403, "InvalidAccessKeyId", message)
    return query_error(service, 403, "InvalidClientTokenId", "The security token included in the request is invalid.")


def status_error(status: int) -> tuple[str, bytes]:
    """Content type and body for a fault of the sandbox's choosing, in S3's form."""
    codes = {429: "TooManyRequests", 500: "InternalError", 503: "SlowDown"}
    phrase = HTTPStatus(status).phrase
    _, headers, body = s3_error(status, codes.get(status, phrase.replace(" ", "")), phrase)
    return headers["Content-Type"], body
