"""The stand-in clouds tell a refusal from an answer that says nothing of what became of the request."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from sandbox.providers.aws.cloud import Cloud
from sandbox.providers.base import ProviderError
from sandbox.providers.gcp import cloud as google


def _answer(code: str, status: int, retries: int) -> ClientError:
    about = {"HTTPStatusCode": status, "RetryAttempts": retries}
    return ClientError({"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": about}, "CreateUser")  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("error", "uncertain"),
    [
        (_answer("EntityAlreadyExists", 409, 0), False),
        (_answer("EntityAlreadyExists", 409, 1), True),
        (_answer("MalformedPolicyDocument", 400, 0), False),
        (_answer("InternalError", 500, 4), True),
        (ReadTimeoutError(endpoint_url="https://127.0.0.1:1"), True),
    ],
)
def test_amazon_may_have_done_what_was_asked_twice(error: Exception, uncertain: bool) -> None:
    """That a name is taken is certain at the first try alone; no answer, or a broken one, never is."""
    with pytest.raises(ProviderError) as told, Cloud().asking("creating IAM user 'u'"):
        raise error
    assert told.value.uncertain is uncertain
    assert ("run again" in str(told.value)) is (uncertain and isinstance(error, ClientError))


@pytest.mark.parametrize(("status", "uncertain"), [(0, True), (409, False), (403, False), (503, True)])
def test_google_says_what_became_of_it_or_not(status: int, uncertain: bool) -> None:
    """Google's client repeats nothing that could make a second thing: only no answer and a broken server are open."""
    assert google.CloudError("creating", status).uncertain is uncertain
