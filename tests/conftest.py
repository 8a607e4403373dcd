"""What every test shares: how hypothesis works, and the sandbox, one for each session and worker of pytest-xdist."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator

import hypothesis
import pytest
import typer.main
from hypothesis.internal.constants_ast import Constants

from sandbox.servers import Sandbox
from sandbox.servers.aws.environment import CLIENT_FILE

# A boto3 session remembers the profile that was named when it was made, and looks for it when it is used: whatever a
# test sets meanwhile, these files have it, and nothing of the machine's own configuration gets into a test.
os.environ.pop("AWS_PROFILE", None)
# Nor does a wide, narrow or coloured terminal, or that of a CI, change what a command says to a test.
for _name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(_name, None)
for _name in [name for name in os.environ if name.startswith("GITHUB_")]:
    del os.environ[_name]
os.environ["BOTO_DISABLE_CRT"] = "true"  # with it botocore signs as well, but writes parameters in another order
os.environ.update(AWS_CONFIG_FILE=str(CLIENT_FILE), AWS_SHARED_CREDENTIALS_FILE=str(CLIENT_FILE))

# A busy machine is no failure: no test depends on how long an example takes. The suite tries the same examples each
# time, so that what makes it fail is a change; the search for new ones is asked for.
hypothesis.settings.register_profile("suite", deadline=None, max_examples=50, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None, max_examples=300, print_blob=True)
EXAMPLES = os.environ.get("EXAMPLES", "suite")
hypothesis.settings.load_profile(EXAMPLES)


@pytest.fixture(scope="session", autouse=True)
def same_examples() -> Iterator[None]:
    """Hypothesis tries constants of modules too, of those that the tests before have happened to import."""
    with pytest.MonkeyPatch.context() as patch:
        if EXAMPLES == "suite":
            patch.setattr("hypothesis.internal.conjecture.providers._get_local_constants", Constants)
        yield


@pytest.fixture(scope="session", autouse=True)
def loaded_once() -> Iterator[None]:
    """What a process reads or builds once, a process of tests would a thousand times.

    Botocore's descriptions of the services (0.1 s) for each session, and the parsers of all commands (0.05 s) for each
    that is run. Neither holds anything that a command gives or is given.
    """
    from botocore.loaders import create_loader  # after the environment is set: it is read on import

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", functools.cache(create_loader))
        patch.setattr("typer.testing._get_command", functools.cache(typer.main.get_command))
        yield


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A running sandbox: `.env` is what its clients need in their environment, `.dir` its folder."""
    with Sandbox(tmp_path_factory.mktemp("sandbox")) as running:
        yield running
