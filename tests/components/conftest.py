"""What all component tests need: no ambient endpoint, as the outputs would show it."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "GOOGLE_STORAGE_CUSTOM_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
