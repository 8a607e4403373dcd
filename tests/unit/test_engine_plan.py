"""What a preview shows and a state keeps is what the real engine shows and keeps, where that is easily got wrong."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.engine import run
from sandbox.engine.digest import Digest
from sandbox.engine.errors import DeploymentError
from sandbox.values import Secret
from tests.unit.engine_kit import Bench

BUCKET = 'Bucket("b", bucket=config.get("bucket") or "one", opts=opts)'


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.configure()
    return bench


def _with(bench: Bench, options: str, resource: str = BUCKET) -> None:
    bench.program(f"opts = pulumi.ResourceOptions({options})\n{resource}\n")


def _planned(bench: Bench) -> dict[str, Any]:
    """The steps of `preview --json` by operation and name, whether or not it comes to its end."""
    printed, stack = io.StringIO(), bench.open()
    shown = Digest(printed, {})
    try:
        run.preview(stack, shown)
    except DeploymentError:
        shown.diagnostics()
    steps = json.loads(printed.getvalue())["steps"]
    return {f"{step['op']} {step['urn'].rpartition('::')[2]}": step for step in steps}


@pytest.mark.parametrize(
    ("before", "after", "property_", "expected"),
    [
        ("name='n'", "name=pulumi.Output.secret('n')", "name", Secret("n")),
        (
            "name='n', tags={'a': 'b'}",
            "name='n', tags={'a': pulumi.Output.secret('b')}",
            "tags",
            {"a": Secret("b")},
        ),
        ("name='n'", "name='n', opts=pulumi.ResourceOptions(additional_secret_outputs=['name'])", "name", Secret("n")),
    ],
)
def test_value_that_becomes_a_secret_and_stays_the_same(
    bench: Bench, before: str, after: str, property_: str, expected: object
) -> None:
    """It is sealed in the outputs too, although nothing is done to the resource; the stack's outputs know it."""
    bench.program(f"User('u', {before})\n")
    bench.up()
    bench.program(f"pulumi.export('out', User('u', {after}).{property_})\n")
    seen = bench.up()
    assert bench.resource("u").outputs[property_] == expected
    assert isinstance(seen.outputs["out"], Secret)
    assert seen.changes["update"] == 0


def test_run_in_which_nothing_changes_writes_little(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resource that stays as it is is not written for itself, or a stack of hundreds were hundreds of times."""
    bench.program("for each in range(30): User(f'u{each}', name=f'u{each}')\n")
    bench.up()
    writes: list[object] = []
    plain = type(bench.open().backend).write

    def write(*arguments: Any) -> None:
        writes.append(arguments)
        plain(*arguments)

    monkeypatch.setattr(type(bench.open().backend), "write", write)
    bench.up()
    assert len(writes) < 5


def test_replacement_that_protect_refuses_is_in_the_plan(bench: Bench) -> None:
    """Whoever reads the failed preview sees which resource would have been replaced, and why."""
    _with(bench, "protect=True")
    bench.up()
    bench.configure(bucket="two")
    assert _planned(bench)["replace b"]["replaceReasons"] == ["bucket"]
    with pytest.raises(DeploymentError, match="protect"):
        bench.up()
    assert bench.resource("b").id == "one"


def test_replacement_with_another_protection_is_shown_once(bench: Bench) -> None:
    """The halves of a replacement are no steps of the plan, whatever else about the resource changes."""
    _with(bench, "protect=True")
    bench.up()
    bench.configure(bucket="two")
    _with(bench, "protect=False")
    assert [key for key in _planned(bench) if key.endswith(" b")] == ["replace b"]


def test_component_that_changes_has_no_reasons(bench: Bench) -> None:
    """The engine alone compares a component's inputs; as the real one, it does not say which differ."""
    component = """
        class Store(pulumi.ComponentResource):
            def __init__(self, size):
                super().__init__("golden:index:Store", "store", {"size": size})
                self.register_outputs({})
    """
    bench.program(f"{component}\n        Store(1)\n")
    bench.up()
    bench.program(f"{component}\n        Store(2)\n")
    assert "diffReasons" not in _planned(bench)["update store"]


@pytest.mark.parametrize("renamed", [False, True])
def test_replaced_provider_that_waits_to_be_deleted_still_serves(bench: Bench, renamed: bool) -> None:
    """After a run that failed in the middle, what the old provider made is deleted with it, under whatever name."""
    program = """
        import pulumi_aws.provider
        opts = pulumi.ResourceOptions(aliases=[pulumi.Alias(name="there")])
        there = pulumi_aws.provider.Provider(config.require("provider"), region=config.require("place"), opts=opts)
        b = Bucket("b", bucket=config.require("bucket"), opts=pulumi.ResourceOptions(provider=there))
        if config.get("more"):
            User("u", name="taken", opts=pulumi.ResourceOptions(depends_on=[b]))
    """
    bench.program(program)
    bench.configure(provider="there", place="eu-west-1", bucket="one")
    bench.up()
    bench.cloud.things["aws:iam/user:User", "taken"] = {"name": "taken"}
    bench.configure(place="eu-west-3", bucket="two", more="yes")
    with pytest.raises(DeploymentError, match="taken exists already"):
        bench.up()
    if renamed:
        bench.configure(provider="thither")
        with pytest.raises(DeploymentError, match="taken exists already"):
            bench.up()
    bench.destroy()
    assert bench.state().resources == []
    assert bench.cloud.ids("aws:s3/bucket:Bucket") == []


def test_reading_what_somebody_else_has_is_no_change(bench: Bench) -> None:
    """A program with `Type.get` in it can be expected to change nothing."""
    bench.cloud.things["aws:s3/bucket:Bucket", "theirs"] = {"bucket": "theirs"}
    bench.program('Bucket.get("b", "theirs")\n')
    bench.up()
    printed = io.StringIO()
    shown = Digest(printed, {})
    run.preview(bench.open(), shown)
    assert set(shown.changes) == {"same"}
    assert set(json.loads(printed.getvalue())["changeSummary"]) == {"same"}


def test_own_resource_that_gives_way_to_anothers_is_replaced(bench: Bench) -> None:
    """The plan says that the own one goes, and it does."""
    bench.cloud.things["aws:s3/bucket:Bucket", "theirs"] = {"bucket": "theirs"}
    _with(bench, "")
    bench.up()
    bench.program('Bucket.get("b", "theirs")\n')
    assert [key for key in _planned(bench) if key.endswith(" b")] == ["replace b"]
    bench.up()
    assert bench.cloud.ids("aws:s3/bucket:Bucket") == ["theirs"]
    assert bench.resource("b").external


def test_anothers_resource_that_gives_way_to_an_own_one_is_replaced(bench: Bench) -> None:
    """It is one step of the plan, and what is another's stays in the cloud."""
    bench.cloud.things["aws:s3/bucket:Bucket", "theirs"] = {"bucket": "theirs"}
    bench.program('Bucket.get("b", "theirs")\n')
    bench.up()
    _with(bench, "")
    assert [key for key in _planned(bench) if key.endswith(" b")] == ["replace b"]
    assert dict(bench.up().changes)["replace"] == 1
    assert bench.cloud.ids("aws:s3/bucket:Bucket") == ["one", "theirs"]
