"""The sandbox's Google builds canonical requests as Google's own conformance data has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

import pytest

from sandbox.google.http import Request
from sandbox.google.signatures import UNSIGNED, Signed, canonical_requests, string_to_sign

DATA: Final = Path(__file__).parents[1] / "data" / "gcs" / "v4_signatures.json"
CASES: Final[list[dict[str, Any]]] = json.loads(DATA.read_text())["signingV4Tests"]


async def _never() -> dict[str, Any]:
    raise AssertionError("no body is asked for")


DOES_NOT_FIT: Final = "Universe domain with virtual hosted style"
"""Its canonical request has the bucket in the path, its URL has it in the host alone."""


@pytest.mark.parametrize("case", CASES, ids=[case["description"] for case in CASES])
def test_canonical_request_is_the_conformance_datas(case: dict[str, Any]) -> None:
    """28 of the 29 cases, from the URL that a client would send: canonical request and string to sign."""
    url = urlsplit(case["expectedUrl"])
    query = dict(parse_qsl(url.query))
    headers = {name.lower(): value for name, value in case.get("headers", {}).items()}
    names = tuple(query["X-Goog-SignedHeaders"].split(";"))
    payload = headers.get("x-goog-content-sha256", UNSIGNED)
    request = Request(case["method"], url.path, url.query, {"host": url.netloc, **headers}, True, _never)
    credential, date = query["X-Goog-Credential"], query["X-Goog-Date"]
    signed = Signed("GOOG4-RSA-SHA256", credential, date, names, query["X-Goog-Signature"], payload, True)
    forms = canonical_requests(request, signed)
    fits = case["expectedCanonicalRequest"] in forms
    assert fits == (case["description"] != DOES_NOT_FIT)
    if fits:
        assert case["expectedStringToSign"] in [string_to_sign(signed, form) for form in forms]
