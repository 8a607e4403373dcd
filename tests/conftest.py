"""The sandbox for functional tests: one for each session, and for each worker of pytest-xdist."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.servers import Sandbox


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A running sandbox: `.env` is what its clients need in their environment, `.dir` its folder."""
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running
