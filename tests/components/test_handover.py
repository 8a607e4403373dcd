"""Keys in slots, against what is deployed: what 100ms uploads with is never taken away in the `up` that moves it."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pytest

from components.handover import check_moved
from components.settings import parse_settings
from components.settings_model import Settings
from recordings.errors import ConfigurationError
from tests.components.deploying import Deployment, run_main, stack_config

BOTH = {"blue": "active", "green": "active"}
STACKS = ("dev", "dev-gcs")


def run(stack: str, before: dict[str, Any], **config: Any) -> Deployment:
    values = {f"recordings:{key}": v if isinstance(v, str) else json.dumps(v) for key, v in config.items()}
    deployment = Deployment(before=before)
    return run_main(stack_config(stack) | values, stack=stack, into=deployment)


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("keys", [{"green": "active"}, {"blue": "inactive", "green": "active"}])
def test_key_of_100ms_goes_with_its_name(stack: str, keys: dict[str, str]) -> None:
    """Moving registeredKey while the old slot goes, or sleeps, is refused before anything is declared."""
    deployment = Deployment(before={"registeredKey": "blue"})
    values = {"recordings:registeredKey": "green", "recordings:writerKeys": json.dumps(keys)}
    with pytest.raises(pulumi.RunError, match=r"registeredKey = 'green'.*slot 'blue'.*recordings rotate --stack"):
        run_main(stack_config(stack) | values, stack=stack, into=deployment)
    assert (deployment.resources, deployment.outputs) == ({}, {})


@pytest.mark.parametrize(
    ("before", "registered", "keys"),
    [
        ({}, "blue", {"blue": "active"}),
        ({}, "green", {"green": "active"}),
        ({"registeredKey": "blue"}, "blue", {"blue": "active"}),
        ({"registeredKey": "blue"}, "blue", BOTH),
        ({"registeredKey": "blue"}, "green", BOTH),
        ({"registeredKey": "green"}, "green", {"blue": "inactive", "green": "active"}),
        ({"registeredKey": "green"}, "green", {"green": "active"}),
    ],
)
def test_steps_of_a_rotation_pass(before: dict[str, Any], registered: str, keys: dict[str, str]) -> None:
    """The first deployment and every single step are as legal as before."""
    check_moved(before, parsed(registeredKey=registered, writerKeys=keys))


@pytest.mark.parametrize("stack", STACKS)
def test_deployed_outputs_are_asked_for(stack: str) -> None:
    """Nothing is in the way of who moves nothing, at first and later."""
    for before in ({}, {"registeredKey": "blue"}):
        assert run(stack, before).outputs["registeredKey"] == "blue"


def test_stale_file_is_refused() -> None:
    """A repository that lacks a rotation's steps would take the new key away: it is refused, and told why."""
    with pytest.raises(pulumi.RunError, match="take over the committed one"):
        run("dev", {"registeredKey": "green"})


def test_external_key_is_its_owners() -> None:
    """With a key that somebody else looks after there is no slot of ours to keep."""
    check_moved({}, parsed())
    external = {"principal": "p", "accessKeyId": "a" * 20, "secretAccessKey": "s" * 16}
    external["principal"] = "arn:aws:iam::123456789012:user/w"
    external["accessKeyId"] = "AKIAIOSFODNN7EXAMPLE"
    config = stack_config("dev") | {"recordings:writerExternal": json.dumps(external)}
    deployment = Deployment(before={"registeredKey": "green"})
    assert run_main(config, secret_keys=("recordings:writerExternal",), into=deployment).outputs


def parsed(**values: Any) -> Settings:
    raw = {"bucketName": "acme", **{key: v if isinstance(v, str) else json.dumps(v) for key, v in values.items()}}
    return parse_settings(raw, stack="dev", region="us-east-1")


def test_unreadable_state_declares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is not known what is deployed, nothing is guessed."""

    def fails(*_: object) -> None:
        raise Exception("the backend is away")  # as the SDK does

    monkeypatch.setattr(pulumi.runtime, "invoke", fails)
    with pytest.raises(pulumi.RunError, match=r"cannot be read.*the backend is away"):
        run("dev", {})


def test_state_that_is_being_written_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pulumi` writes the state while it begins: an answer that fails once or twice stops no `up`."""
    failing = [Exception("failed to load checkpoint: EOF")] * 2
    invoke = pulumi.runtime.invoke

    def fails_at_first(*args: Any) -> Any:
        if failing:
            raise failing.pop()
        return invoke(*args)

    monkeypatch.setattr(pulumi.runtime, "invoke", fails_at_first)
    run("dev", {"registeredKey": "blue"})
    assert not failing


def test_moved_says_which_slot_stays() -> None:
    """The message names the slot, and the next act."""
    with pytest.raises(ConfigurationError, match="Keep green: active in recordings:writerKeys"):
        check_moved({"registeredKey": "green"}, parsed())


@pytest.mark.parametrize("stack", STACKS)
def test_signing_key_is_the_configured_one(stack: str) -> None:
    """With `signingKey` the reader is handed over when its owner says so, and not when the writer's key moves."""
    config = {"readerKeys": BOTH, "writerKeys": BOTH, "registeredKey": "green"}
    follows, stays = run(stack, {}, **config), run(stack, {}, **config, signingKey="blue")
    assert follows.outputs["readerAccessKeyId"] == "id-of-recordings-reader-green"
    assert stays.outputs["readerAccessKeyId"] == "id-of-recordings-reader-blue"


@pytest.mark.parametrize("keys", [{"blue": "active"}, {"blue": "active", "green": "inactive"}])
def test_signing_key_must_be_active(keys: dict[str, str]) -> None:
    """Nothing signs with a key that is refused."""
    with pytest.raises(ConfigurationError, match=r"signingKey = 'green': must be an active slot of readerKeys: blue"):
        parse_settings(
            {"bucketName": "acme", "signingKey": "green", "readerKeys": json.dumps(keys)},
            stack="dev",
            region="us-east-1",
        )
