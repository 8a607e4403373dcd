"""Where a browser is sent for what is still in 100ms' storage: to a public host, or nowhere."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from recordings.catalog_entries import HMS, CatalogEntry
from recordings.downloads import Downloads
from recordings.web.answers import Refusal
from recordings.web.delivery import Delivered, Delivery
from tests.unit.hms_fake import stack_outputs


def delivered(url: str) -> Delivered:
    """What is made of a presigned URL of 100ms'."""
    signed = SimpleNamespace(url=SecretStr(url), expiry=60)
    hms: Any = SimpleNamespace(presigned_url=lambda asset_id, seconds: signed)
    looks: Any = None
    delivery = Delivery(Downloads(stack_outputs()), looks, hms, timedelta(hours=1))
    return asyncio.run(delivery.deliver(CatalogEntry("a", HMS, status="completed"), inline=False))


def test_public_host_is_followed() -> None:
    """As it came, and said to be 100ms' own."""
    url = "https://hms-recordings.s3.ap-south-1.amazonaws.com/k.mp4?X-Amz-Signature=x"
    assert (delivered(url).url.reveal(), delivered(url).storage) == (url, HMS)


@pytest.mark.parametrize(
    "url",
    [
        "http://storage.example.com/k",
        "https://127.0.0.1/k",
        "https://169.254.169.254/latest/meta-data",
        "https://localhost/k",
        "https://[::1]/k",
        "https://user@storage.example.com/k",
        "https://storage.example.com:8443/k",
        "https://xn--80ak6aa92e.com/k",
        "https://storage.example.com/k\n.evil",
        "javascript:alert(1)",
        "https://",
    ],
)
def test_url_that_leads_elsewhere_is_not_followed(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """502, and a line in the log that holds no query."""
    with pytest.raises(Refusal) as refused:
        delivered(f"{url}?X-Amz-Signature=canary")
    assert refused.value.status == 502
    assert "presigned URL" in caplog.text
    assert "canary" not in caplog.text
