"""A presigned URL leads to a public host over TLS, or nothing is connected to."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.errors import HmsError
from recordings.hosts import Hosts, Origin, is_public
from tests.unit.hms_fake import stack_outputs

SECRET = "X-Amz-Signature=canary"


@pytest.mark.parametrize(
    "url",
    [
        "http://bucket.s3.amazonaws.com/k",
        "ftp://bucket.s3.amazonaws.com/k",
        "https://user@bucket.s3.amazonaws.com/k",
        "https://user:pw@bucket.s3.amazonaws.com/k",
        "https://169.254.169.254/latest/meta-data",
        "https://127.0.0.1/k",
        "https://[::1]/k",
        "https://10.0.0.1/k",
        "https://52.216.1.1/k",
        "https://2130706433/k",
        "https://0x7f.1/k",
        "https://localhost/k",
        "https://metadata/k",
        "https://bücket.s3.amazonaws.com/k",
        "https://xn--bcket-kva.example.com/k",
        "https://bucket.s3.amazonaws.com:8443/k",
        "https://bucket.s3.amazonaws.com\\@evil.example/k",
        "https://[fe80::1%25eth0]/k",
        "https:///k",
        "https://a..b/k",
        "https://[::1/k",
        "/k",
    ],
)
def test_a_host_that_may_be_inside_is_refused(url: str) -> None:
    """By its name alone, before it is looked up; the message holds no query."""
    with pytest.raises(HmsError) as caught:
        Hosts().check(f"{url}?{SECRET}")
    assert "canary" not in str(caught.value)


def test_a_public_host_is_taken() -> None:
    """S3's and Google's, with and without the port of TLS."""
    for host in ("bucket.s3.eu-west-1.amazonaws.com", "storage.googleapis.com", "d111.cloudfront.net"):
        assert Hosts().check(f"https://{host}/k?{SECRET}") == Origin("https", host, 443)
        assert Hosts().check(f"https://{host}:443/k") == Origin("https", host, 443)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("52.216.1.1", True),
        ("2600:1f18::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),  # noqa: S104
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:52.216.1.1", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::a9fe:a9fe", False),
        ("no address", False),
    ],
)
def test_public_addresses_are_told_from_others(address: str, public: bool) -> None:
    """Also those that an IPv6 address wraps."""
    assert is_public(address) is public


@given(st.ip_addresses(v=4))
def test_no_private_address_passes_in_ipv6_clothes(address: Any) -> None:
    """A mapped, 6to4 or NAT64 address is as public as the one inside."""
    high, low = divmod(int(address), 1 << 16)
    for wrapped in (f"::ffff:{address}", f"2002:{high:x}:{low:x}::", f"64:ff9b::{high:x}:{low:x}"):
        assert is_public(str(address)) or not is_public(wrapped)


def resolving(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: entries)


def test_a_name_that_leads_inside_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One private address among public ones is enough; what is connected to is the address that was looked at."""
    origin = Hosts().check("https://rebind.example.com/k")
    resolving(monkeypatch, "52.216.1.1", "169.254.169.254")
    with pytest.raises(HmsError, match=r"169\.254\.169\.254"):
        Hosts().addresses(origin)
    resolving(monkeypatch, "52.216.1.1", "52.216.1.1")
    assert Hosts().addresses(origin) == ["52.216.1.1"]


def test_only_the_sandbox_has_an_exception() -> None:
    """Its own host and no other; on AWS, on Google and with any endpoint that is not on this machine, none."""
    assert Hosts.of(stack_outputs()).exception is None
    assert Hosts.of(stack_outputs(endpointUrl="https://10.0.0.5:9000")).exception is None
    sandbox = Hosts.of(stack_outputs(endpointUrl="https://127.0.0.1:4566"))
    assert sandbox.check("https://127.0.0.1:9999/k") == Origin("https", "127.0.0.1", 9999)
    for url in ("https://localhost/k", "https://127.0.0.2/k", "https://169.254.169.254/k"):
        with pytest.raises(HmsError):
            sandbox.check(url)
