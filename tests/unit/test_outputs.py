"""The contract between a deployed stack and everything after it: what is taken, and how the rest is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.errors import ConfigurationError
from recordings.outputs import StackOutputs

SECRET = "canary/Secret+of/a/writer"
RAW: dict[str, Any] = {
    "storageProvider": "s3",
    "bucketName": "our-bucket",
    "region": "eu-central-1",
    "pathPrefix": "recordings/",
    "writerAccessKeyId": "AKIAOURS",
    "writerSecretAccessKey": SECRET,
    "readerAccessKeyId": "AKIAREADER",
    "readerSecretAccessKey": SECRET,
    "writerKeys": {"blue": {"id": "AKIAOURS", "secret": SECRET, "status": "active"}},
    "readerKeys": {},
    "registeredKey": "blue",
    "writerAccess": "full",
    "environment": "dev",
}


def _refusal(raw: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        StackOutputs.from_json(raw if isinstance(raw, str) else json.dumps(raw))
    return str(caught.value)


def test_outputs_of_a_stack_are_taken() -> None:
    """With more beside them: a later version of the program may have others."""
    outputs = StackOutputs.from_json(json.dumps({**RAW, "laterOutput": 1}))
    assert (outputs.bucket_name, outputs.writer_secret_access_key.get_secret_value()) == ("our-bucket", SECRET)
    assert SECRET not in repr(outputs) + str(outputs)


def test_stack_without_outputs_is_told_to_be_deployed() -> None:
    """Before the first `up` and after `destroy` there are none; a list of missing names would not say so."""
    message = _refusal({})
    assert "pulumi up" in message
    assert "Field required" not in message


@pytest.mark.parametrize("text", ["", "{", "[1]", '"text"', "null", f"'{SECRET}'"])
def test_what_is_no_json_object_is_refused_unquoted(text: str) -> None:
    """It may hold secrets all the same."""
    message = _refusal(text)
    assert "stack outputs are" in message
    assert SECRET not in message


def test_every_fault_is_named_at_once_and_no_value() -> None:
    """Missing, wrong and masked outputs; as `pulumi stack output --json` without --show-secrets gives them."""
    raw = {**RAW, "storageProvider": "tape", "writerKeys": "[secret]", "pathPrefix": f"/{SECRET}"}
    del raw["region"]
    message = _refusal(raw)
    for name in ("storageProvider", "writerKeys", "pathPrefix", "region"):
        assert f"  {name}: " in message
    assert "--show-secrets" in message
    assert SECRET not in message


@pytest.mark.parametrize("change", [{"registeredKey": "green"}, {"writerAccessKeyId": "AKIAOTHER"}])
def test_registered_slot_is_that_of_the_writer(change: dict[str, str]) -> None:
    """100ms would be given one key, and another be proved."""
    message = _refusal({**RAW, **change})
    assert "registeredKey" in message
    assert "['blue']" in message
    assert SECRET not in message


@given(st.sampled_from(sorted(RAW)), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()))
def test_any_value_is_taken_or_refused_by_name(name: str, value: Any) -> None:
    """No other error comes out."""
    told = name
    try:
        StackOutputs.from_mapping({**RAW, name: value})
    except ConfigurationError as error:
        told = str(error)
    assert name in told or "registeredKey" in told


def test_stack_without_outputs_is_said_to_be_not_deployed() -> None:
    """Not a list of all that is missing: what happened, and what to run."""
    with pytest.raises(ConfigurationError, match="was destroyed, or its last `pulumi up` failed") as caught:
        StackOutputs.from_json("{}")
    assert "Field required" not in str(caught.value)
