"""A stand-in provider set up on the sandbox, whichever it is, and what holds for each of its resources."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandbox.providers import load
from sandbox.providers.base import Provider, ResourceState
from sandbox.servers import Sandbox
from sandbox.values import Properties

REGIONS = {"aws": "us-east-1", "gcp": "europe-west1"}


@contextmanager
def configured(sandbox: Sandbox, name: str) -> Iterator[Provider]:
    """The provider `aws` or `gcp`, configured for the sandbox while the context lasts."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in sandbox.env.items():
            patch.setenv(variable, value)
        provider = load(name)
        provider.configure({"region": REGIONS[name]})
        yield provider


def assert_same(provider: Provider, type_: str, state: ResourceState, inputs: Properties) -> None:
    """A refresh finds the inputs and outputs that creation or update gave."""
    found = provider.read(type_, state.id, state.inputs, state.outputs)
    assert found is not None
    assert found.id == state.id
    assert not provider.diff(type_, found, inputs, []).changed
    assert found.outputs == state.outputs
