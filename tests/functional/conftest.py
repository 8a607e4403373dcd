"""Stacks deployed in the sandbox, for functional tests."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from recordings.outputs import StackOutputs
from sandbox.servers import Sandbox
from tests.functional.databases import migrated_database, temporary_database
from tests.functional.project import Project
from tests.functional.warm import warm_python

if TYPE_CHECKING:
    from tests.functional.google_lab import Lab


@pytest.fixture(scope="session")
def python() -> Iterator[Sequence[str]]:
    """What runs Python with everything imported already: for commands whose start is not what a test is about."""
    with warm_python() as command:
        yield command


@pytest.fixture(scope="session")
def project_at(sandbox: Sandbox, python: Sequence[str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Any]:
    """A new project folder for each call, of a kind of Project; other keyword arguments are its configuration."""

    def make(stack: str = "dev", *, kind: type[Project] = Project, **config: Any) -> Project:
        folder: Path = tmp_path_factory.mktemp("project")
        state = folder / "state"
        state.mkdir()
        engine = shlex.join([*python, "-m", "sandbox"])
        env = {**sandbox.env, "PULUMI_BACKEND_URL": state.as_uri(), "PULUMI_COMMAND": engine}
        project = kind(folder=folder, env=env, stack=stack, python=python)
        project.configure(**config)
        return project

    return make


@pytest.fixture(scope="session")
def deployed_project(project_at: Callable[..., Project]) -> Iterator[Project]:
    """One S3 stack, deployed once a session with every default that dev has; tests leave it as they found it."""
    project = project_at(bucketName="functional-recordings", forceDestroy=True)
    project.up()
    yield project
    project.destroy()


@pytest.fixture(scope="session")
def deployed(deployed_project: Project) -> StackOutputs:
    """The outputs of `deployed_project`."""
    return StackOutputs.from_json(deployed_project.raw_outputs())


@pytest.fixture(scope="session")
def lab(sandbox: Sandbox) -> Iterator[Lab]:
    """The sandbox's Google, seen by its operator. Google's client is slow to import: only its tests pay for it."""
    from tests.functional.google_lab import Lab

    made = Lab(sandbox)
    yield made
    made.close()


@pytest.fixture
def empty_database(sandbox: Sandbox) -> Iterator[str]:
    """The connection string of a new, empty database in the sandbox's Postgres; it is dropped after the test."""
    with temporary_database(sandbox) as url:
        yield url


@pytest.fixture
def database(sandbox: Sandbox) -> Iterator[str]:
    """The connection string of a new database that `recordings migrate` has prepared."""
    with migrated_database(sandbox) as url:
        yield url
