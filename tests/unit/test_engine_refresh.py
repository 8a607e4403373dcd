"""Refresh: what the cloud has is found, shown by property, and taken into the state; nothing in the cloud changes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from sandbox.engine import run
from sandbox.engine.display import Display
from sandbox.engine.errors import DeploymentError
from sandbox.providers.base import ProviderError
from tests.unit.engine_kit import Bench, assert_same_as_cloud, assert_sound
from tests.unit.memory_cloud import MemoryProvider

BUCKET = "aws:s3/bucket:Bucket"
PROGRAM = """
bucket = Bucket("b", bucket="b", tags={"env": "a", "hidden": pulumi.Output.secret("canary")})
user = User("u", name="u", opts=pulumi.ResourceOptions(depends_on=[bucket]))
AccessKey("k", user=user.name)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.configure()
    bench.program(PROGRAM)
    bench.up()
    bench.cloud.calls.clear()
    return bench


def test_nothing_changed_is_nothing_found(bench: Bench) -> None:
    """And the secret of a key, which cannot be read again, survives."""
    secret = bench.resource("k").outputs["secret"]
    assert bench.run(run.refresh).done == []
    assert bench.resource("k").outputs["secret"] == secret
    assert bench.cloud.calls == []


def test_drift_is_taken_into_the_state_and_undone_by_the_next_update(bench: Bench) -> None:
    """Shown by property, from what the state has to what the cloud has."""
    bench.cloud.things[BUCKET, "b"]["tags"]["env"] = "by hand"
    shown = io.StringIO()
    run.preview_refresh(bench.open(), Display(shown, "dev", "refresh", diff=True))
    assert '~ env: "a" => "by hand"' in shown.getvalue()
    assert "canary" not in shown.getvalue()
    assert bench.resource("b").inputs["tags"]["env"] == "a"
    assert bench.run(run.refresh).done == [("update", "b")]
    assert bench.resource("b").inputs["tags"]["env"] == "by hand"
    assert "canary" not in bench.open().backend.stack_path("dev").read_text()
    assert bench.up().done == [("update", "b")]
    assert bench.cloud.things[BUCKET, "b"]["tags"]["env"] == "a"


def test_what_was_deleted_by_hand_leaves_the_state(bench: Bench) -> None:
    """Nothing in the state refers to it any more, and the next update makes it again."""
    del bench.cloud.things[BUCKET, "b"]
    assert bench.run(run.refresh).done == [("delete", "b")]
    assert_sound(bench.state())
    assert_same_as_cloud(bench.state(), bench.cloud)
    assert bench.up().done == [("create", "b")]
    assert_sound(bench.state())


def test_refresh_that_cannot_read_changes_nothing(bench: Bench) -> None:
    """One resource that cannot be read stops it, and is named."""
    before = bench.open().backend.stack_path("dev").read_text()

    class Blind(MemoryProvider):
        def read(self, *_: object) -> None:
            raise ProviderError("AccessDenied")

    stack = bench.open()
    stack.load = lambda _: Blind(bench.cloud)
    with pytest.raises(DeploymentError, match="AccessDenied"):
        run.refresh(stack, Display(io.StringIO(), "dev", "refresh"))
    assert bench.open().backend.stack_path("dev").read_text() == before
