"""What the gateway reads off requests, and the words it refuses in."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from defusedxml.ElementTree import fromstring
from hypothesis import given
from hypothesis import strategies as st

from sandbox.servers.aws.errors import query_error, s3_error, status_error, unknown_key
from sandbox.servers.aws.request import Claim, bucket_of, looks_real
from sandbox.servers.faults import Rule
from sandbox.servers.serving import tls_version

SCOPE = "AKIAABCDEFGHIJKLMNOP/20260101/eu-west-1/s3/aws4_request"


def scope(query: str = "", **headers: str) -> dict[str, Any]:
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    return {"headers": encoded, "query_string": query.encode("latin-1")}


def test_claim_is_read_from_a_header_signature() -> None:
    """Key, region and service of the credential's scope."""
    claim = Claim.of(scope(authorization=f"AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders=host, Signature=0"))
    assert claim == Claim(("AKIAABCDEFGHIJKLMNOP",), "eu-west-1", "s3")


def test_claim_is_read_from_a_presigned_url() -> None:
    """The same from the query, and that it is one."""
    claim = Claim.of(scope(urlencode({"X-Amz-Credential": SCOPE})))
    assert claim == Claim(("AKIAABCDEFGHIJKLMNOP",), "eu-west-1", "s3", presigned=True)


def test_claim_names_every_key_of_a_request_that_names_several() -> None:
    """A good key in the header does not hide a bad one in the query."""
    query = urlencode({"X-Amz-Credential": "test/20260101/us-east-1/s3/aws4_request", "AWSAccessKeyId": "000000000000"})
    claim = Claim.of(scope(query, authorization=f"AWS4-HMAC-SHA256 Credential={SCOPE}, Signature=0"))
    assert set(claim.keys) == {"AKIAABCDEFGHIJKLMNOP", "test", "000000000000"}
    assert claim.version_2


@given(st.text(st.characters(max_codepoint=255)), st.text(st.characters(max_codepoint=255)))
def test_claim_of_nonsense_is_nobody(authorization: str, query: str) -> None:
    """Whatever a client sends, reading it raises nothing."""
    assert isinstance(Claim.of(scope(query, authorization=authorization)), Claim)


@pytest.mark.parametrize("key", ["", "test", "000000000000", "akiaabcdefghijklmnop", "AKIASHORT", "root-1"])
def test_key_of_another_form_is_not_real(key: str) -> None:
    """AWS gives out AKIA or ASIA and sixteen capitals or digits."""
    assert not looks_real(key)
    assert looks_real("AKIAABCDEFGHIJKLMNOP")


@given(st.text(st.characters(exclude_characters="/"), min_size=1), st.text())
def test_bucket_is_the_first_segment(bucket: str, key: str) -> None:
    """Whatever the key holds."""
    assert bucket_of(f"/{bucket}/{key}") == bucket_of(f"/{bucket}") == bucket


def test_errors_are_xml_that_parses() -> None:
    """What a caller names cannot break the document."""
    status, headers, body = s3_error(400, "Code", "<&>", Region="eu-west-1")
    root = fromstring(body)
    assert (status, root.findtext("Code"), root.findtext("Message")) == (400, "Code", "<&>")
    assert headers["x-amz-bucket-region"] == "eu-west-1"
    _, _, body = query_error("iam", 409, "LimitExceeded", "<&>")
    namespace = "{https://iam.amazonaws.com/doc/2010-05-08/}"
    assert fromstring(body).findtext(f"{namespace}Error/{namespace}Message") == "<&>"


def test_unknown_key_is_worded_by_service() -> None:
    """S3 and the query services have different codes for it."""
    assert b"InvalidAccessKeyId" in unknown_key("s3")[2]
    assert b"InvalidClientTokenId" in unknown_key("sts")[2]


def test_faults_are_worded_as_s3_does() -> None:
    """503 is SlowDown."""
    assert b"<Code>SlowDown</Code>" in status_error(503)[1]
    assert b"<Code>InternalError</Code>" in status_error(500)[1]


@pytest.mark.parametrize(("number", "text"), [(0x0303, "1.2"), (0x0304, "1.3")])
def test_tls_version_is_written_as_policies_do(number: int, text: str) -> None:
    """And is nothing for plain HTTP."""
    assert tls_version({"extensions": {"tls": {"tls_version": number}}}) == text
    assert tls_version({}) is None


@given(skip=st.integers(0, 5), times=st.integers(0, 5))
def test_fault_passes_and_then_fails_as_often_as_told(skip: int, times: int) -> None:
    """`times` 0 is for ever; requests of another form do not count."""
    rule = Rule("GET /a", "500", times=times, skip=skip)
    assert not rule.takes("GET /ab")
    taken = 0
    for number in range(12):
        if rule.times >= 0 and rule.takes("GET /a"):
            taken += 1
            assert number >= skip
    assert taken == (12 - skip if times == 0 else times)
