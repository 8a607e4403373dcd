"""The embedded engine asks the guard rules: mandatory ones stop `up` before anything changes."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.engine import run
from sandbox.engine.digest import Digest
from sandbox.engine.errors import DeploymentError
from sandbox.values import Secret
from tests.unit.engine_kit import Bench

COMPONENT = """
class Storage(pulumi.ComponentResource):
    def __init__(self):
        super().__init__("recordings:index:S3RecordingStorage", "recordings")
        child = pulumi.ResourceOptions(parent=self)
        user = User("recordings-writer", name="writer", opts=child)
        {body}

Storage()
{after}
"""
POLICY = '{{"Statement": [{{"Effect": "Allow", "Action": "{action}", "Resource": "arn:aws:s3:::b/recordings/*"}}]}}'


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.configure()
    return made


def program(bench: Bench, action: str = "s3:PutObject", policy: str = "{text!r}", after: str = "") -> None:
    """A user in a storage component, with a policy; `policy` is the expression that gives it, `{text}` the document."""
    text = POLICY.format(action=action)
    body = f'UserPolicy("recordings-writer", user=user.name, policy={policy.format(text=text)}, opts=child)'
    bench.program(COMPONENT.format(body=body, after=after))


def waive(bench: Bench, *waivers: dict[str, Any]) -> None:
    file = bench.folder / "Pulumi.dev.yaml"
    content = yaml.safe_load(file.read_text())
    content["config"]["recordings:waivers"] = list(waivers)
    file.write_text(yaml.safe_dump(content))


def test_up_is_refused_before_anything_changes(bench: Bench) -> None:
    """The preview before `up` finds the broken rule; the cloud is not touched."""
    program(bench, "s3:*")
    with pytest.raises(
        DeploymentError, match=r"wildcard-action, mandatory\] s3:\* is allowed.*\n.*\nNothing was changed"
    ):
        bench.run(run.preview_update)
    assert bench.cloud.calls == []


def test_preview_tells_what_up_would_refuse(bench: Bench) -> None:
    """A preview ends well and has the finding among its messages, so that a report can be made of it."""
    program(bench, "s3:*")
    assert [message for message in bench.preview().messages if "wildcard-action" in message]


def test_update_without_a_preview_does_not_take_the_step(bench: Bench) -> None:
    """Asked again before each step: what a rule refuses is not done, although nobody looked ahead."""
    program(bench, "s3:*")
    with pytest.raises(DeploymentError, match="wildcard-action"):
        bench.up()
    assert [call[1] for call in bench.cloud.calls] == ["aws:iam/user:User"]


def test_value_that_becomes_known_is_judged_before_it_is_used(bench: Bench) -> None:
    """The preview cannot see a policy that is made from what the cloud answers; the update can, and stops."""
    program(bench, "s3:*", policy="user.id.apply(lambda _: {text!r})")
    assert bench.run(run.preview_update).messages == []
    with pytest.raises(DeploymentError, match="wildcard-action"):
        bench.up()
    assert "aws:iam/userPolicy:UserPolicy" not in {call[1] for call in bench.cloud.calls}


@pytest.mark.parametrize("operation", [run.preview_update, run.update])
def test_policy_that_is_marked_as_a_secret_is_judged_too(bench: Bench, operation: Any) -> None:
    """It stops `up` before or during it, and what it says is not told; one that breaks no rule goes through."""
    program(bench, "s3:*", policy="pulumi.Output.secret({text!r})")
    with pytest.raises(DeploymentError, match=r"wildcard-action.*marked as a secret breaks") as refused:
        bench.run(operation)
    assert "s3:*" not in str(refused.value)
    assert "aws:iam/userPolicy:UserPolicy" not in {call[1] for call in bench.cloud.calls}
    program(bench, policy="pulumi.Output.secret({text!r})")
    assert bench.run(operation).messages == []


def test_secret_that_nobody_marked_is_not_kept(bench: Bench) -> None:
    """The first preview cannot tell; the update refuses the output before it is written to the state."""
    key = 'key = AccessKey("recordings-writer-blue", user="writer")\n'
    program(bench, after=f'{key}pulumi.export("writerSecretAccessKey", key.id)')
    assert bench.run(run.preview_update).messages == []
    with pytest.raises(DeploymentError, match="writerSecretAccessKey is not marked as a secret"):
        bench.up()
    assert "writerSecretAccessKey" not in bench.state().outputs()
    program(bench, after=f'{key}pulumi.export("writerSecretAccessKey", pulumi.Output.secret(key.id))')
    bench.run(run.preview_update)
    bench.up()
    assert isinstance(bench.state().outputs()["writerSecretAccessKey"], Secret)


def test_waived_rule_stops_nothing_until_its_day(bench: Bench) -> None:
    """A waiver in the stack's configuration lets it through, and says so; one that has run out stops by itself."""
    program(bench, "s3:*")
    waiver = {"id": "wildcard-action", "reason": "agreed with security", "expires": "2999-01-01"}
    waive(bench, waiver)
    assert "agreed with security" in "".join(bench.run(run.preview_update).messages)
    bench.up()
    waive(bench, waiver | {"expires": "2020-01-01"})
    with pytest.raises(DeploymentError, match=r"(?s)waiver-expired.*wildcard-action"):
        bench.run(run.preview_update)


@pytest.mark.parametrize("show_sames", [False, True])
def test_unchanged_resources_are_shown_where_asked(show_sames: bool, bench: Bench) -> None:
    """The report can judge the age of a key only if the preview has the key in it."""
    program(bench)
    bench.up()
    printed = io.StringIO()
    run.preview(bench.open(), Digest(printed, {}, show_sames))
    shown = [step["urn"].rpartition("::")[2] for step in json.loads(printed.getvalue())["steps"]]
    assert ("recordings-writer" in shown) is show_sames


def test_other_stacks_are_not_ruled_and_pay_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without recordings in it a stack is none of the rules' business, and they are not even imported."""
    monkeypatch.setitem(sys.modules, "policy.evaluation", None)
    monkeypatch.setitem(sys.modules, "policy.plans", None)
    text = json.dumps({"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]})
    bench.program(f'User("writer", name="writer")\nUserPolicy("writer", user="writer", policy={text!r})')
    bench.run(run.preview_update)
    bench.up()
