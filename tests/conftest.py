"""What every test shares: how hypothesis works, and the sandbox, one for each session and worker of pytest-xdist."""

from __future__ import annotations

from collections.abc import Iterator

import hypothesis
import pytest

from sandbox.servers import Sandbox

hypothesis.settings.register_profile("suite", deadline=None, max_examples=50)
"""A busy machine is no failure: no test depends on how long an example takes."""
hypothesis.settings.load_profile("suite")


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A running sandbox: `.env` is what its clients need in their environment, `.dir` its folder."""
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running
