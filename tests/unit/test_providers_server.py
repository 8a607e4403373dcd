"""The gRPC servicer translates refusals, and tells nothing of a fault of ours but its type and place."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc
import pytest
from pulumi.runtime.proto import provider_pb2

from sandbox.providers.aws import AwsProvider
from sandbox.providers.base import ProviderError, ResourceState
from sandbox.providers.server import Servicer
from sandbox.values import Properties

URN = "urn:pulumi:dev::p::aws:iam/user:User::user"


class AbortedError(Exception):
    """What the fake context raises; gRPC's own raises a bare Exception."""


class Context:
    """As much of a servicer context as is used."""

    def abort(self, code: grpc.StatusCode, details: str) -> NoReturn:
        raise AbortedError(code, details)

    def abort_with_status(self, status: Any) -> NoReturn:
        raise AbortedError(status.code, status.details)


class Faulty(AwsProvider):
    """Fails as it is told to."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def create(self, type_: str, inputs: Properties, *, preview: bool) -> ResourceState:
        raise self._error


def refusal(error: Exception) -> tuple[grpc.StatusCode, str]:
    context: Any = Context()
    with pytest.raises(AbortedError) as caught:
        Servicer(Faulty(error)).Create(provider_pb2.CreateRequest(urn=URN), context)
    code, details = caught.value.args
    return code, details


def test_refusal_is_told_in_the_providers_words() -> None:
    """The message reaches the user as it is, partly made or not."""
    assert refusal(ProviderError("no")) == (grpc.StatusCode.UNKNOWN, "no")
    partial = ResourceState("id", {}, {})
    assert refusal(ProviderError("half", partial=partial)) == (grpc.StatusCode.UNKNOWN, "half")


def test_fault_of_ours_tells_type_and_place_and_no_value() -> None:
    """Its text may quote a secret."""
    code, details = refusal(KeyError("hunter2"))
    assert code == grpc.StatusCode.INTERNAL
    assert details.startswith("KeyError in the stand-in provider at test_providers_server.py:")
    assert "hunter2" not in details
