"""Resource options: each one acts as Pulumi's does, or is refused by name."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.engine import run
from sandbox.engine.digest import Digest
from sandbox.engine.errors import DeploymentError, EngineError, UnsupportedError
from sandbox.providers.base import DiffKind, DiffResult
from tests.unit.engine_kit import Bench, assert_same_as_cloud, assert_sound
from tests.unit.memory_cloud import MemoryProvider

BUCKET = 'Bucket("b", bucket=config.get("bucket") or "one", tags={"env": config.get("env") or "a"}, opts=opts)'


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.configure()
    return bench


def _with(bench: Bench, options: str) -> None:
    bench.program(f"opts = pulumi.ResourceOptions({options})\n{BUCKET}\n")


def test_protect_refuses_replacement_and_deletion(bench: Bench) -> None:
    """A protected resource survives its replacement, its removal from the program, and destroy."""
    _with(bench, "protect=True")
    bench.up()
    bench.configure(bucket="two")
    with pytest.raises(DeploymentError, match="marked for protection"):
        bench.up()
    bench.program("")
    with pytest.raises(DeploymentError, match="cannot be deleted because it is protected"):
        bench.up()
    with pytest.raises(DeploymentError, match="cannot be deleted because it is protected"):
        bench.destroy()
    assert bench.cloud.ids("aws:s3/bucket:Bucket") == ["one"]
    _with(bench, "protect=False")
    bench.configure(bucket=None)
    bench.up()
    bench.destroy()
    assert bench.cloud.things == {}


def test_plan_that_protect_refuses_is_listed(bench: Bench) -> None:
    """As the real engine has it: every deletion is in the plan, the refused one is not counted, the rest can go."""
    bench.program("""
        a = User("a", name="a", opts=pulumi.ResourceOptions(protect=True))
        User("b", name="b")
        User("c", name="c", opts=pulumi.ResourceOptions(depends_on=[a]))
    """)
    bench.up()
    bench.program("")
    printed, stack = io.StringIO(), bench.open()
    shown = Digest(printed, {})
    with pytest.raises(DeploymentError, match="'a': cannot be deleted because it is protected"):
        run.preview(stack, shown)
    shown.diagnostics()
    digest = json.loads(printed.getvalue())
    planned = [(step["op"], step["urn"].rpartition("::")[2]) for step in digest["steps"] if step["op"] != "same"]
    assert planned[0] == ("delete", "c")
    assert sorted(planned[1:]) == [("delete", "a"), ("delete", "b")]
    assert digest["changeSummary"]["delete"] == 2
    with pytest.raises(DeploymentError, match="is protected"):
        bench.up()
    assert bench.cloud.ids("aws:iam/user:User") == ["a"]
    assert bench.resource("a").protect


def test_delete_before_replace_deletes_first(bench: Bench) -> None:
    """The original goes before the successor comes."""
    _with(bench, "delete_before_replace=True")
    bench.up()
    bench.configure(bucket="two")
    assert bench.up().done == [("delete-replaced", "b"), ("replace", "b"), ("create-replacement", "b")]
    assert_same_as_cloud(bench.state(), bench.cloud)


def test_delete_before_replace_takes_dependents_along(bench: Bench) -> None:
    """What must be replaced with it is deleted before it; what only depends on it is not touched."""
    bench.program("""
        user = User("u", name=config.get("user") or "one", opts=pulumi.ResourceOptions(delete_before_replace=True))
        UserPolicy("p", user=user.name, name="p", policy="{}")
        Bucket("b", bucket="b", opts=pulumi.ResourceOptions(depends_on=[user]))
    """)
    bench.up()
    bench.configure(user="two")
    done = bench.up().done
    assert done[:2] == [("delete-replaced", "p"), ("delete-replaced", "u")]
    assert ("create-replacement", "p") in done
    assert not [step for step in done if step[1] == "b"]
    assert_sound(bench.state())
    assert_same_as_cloud(bench.state(), bench.cloud)


def test_provider_may_ask_for_delete_before_replace(bench: Bench) -> None:
    """The provider's wish holds unless the program says otherwise."""
    bench.cloud.delete_before_replace = True
    _with(bench, "")
    bench.up()
    bench.configure(bucket="two")
    assert bench.preview().done[0] == ("delete-replaced", "b")
    _with(bench, "delete_before_replace=False")
    assert bench.preview().done[0] == ("create-replacement", "b")


def test_ignore_changes_keeps_the_old_value(bench: Bench) -> None:
    """An ignored property stays as deployed, one below it changes."""
    _with(bench, 'ignore_changes=["tags.env"]')
    bench.up()
    bench.configure(env="b")
    assert bench.preview().done == []
    bench.program(BUCKET.replace('"env":', '"new": "x", "env":').replace("opts=opts", "") + "\n")
    assert bench.preview().done == [("update", "b")]


def test_replace_on_changes_replaces(bench: Bench) -> None:
    """A property that could change in place forces a replacement."""
    _with(bench, 'replace_on_changes=["tags"], delete_before_replace=True')
    bench.up()
    bench.configure(env="b")
    assert ("replace", "b") in bench.preview().done


def test_replace_on_changes_inside_a_property(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path inside a property replaces too; as in the real engine the diff says so, and no property is the reason."""
    plain = MemoryProvider.diff

    def with_paths(*arguments: Any) -> DiffResult:
        return replace(plain(*arguments), detailed={"tags.env": (DiffKind.UPDATE, True)})

    _with(bench, 'replace_on_changes=["tags.env"], delete_before_replace=True')
    bench.up()
    bench.configure(env="b")
    monkeypatch.setattr(MemoryProvider, "diff", with_paths)
    (step,) = [step for step in bench.preview().steps if step.op.value == "replace"]
    assert step.diff is not None
    assert list(step.diff.replaces) == []
    assert {path: kind.value for path, (kind, _) in step.diff.detailed.items()} == {"tags.env": "update-replace"}
    assert step.diff.forcing == ["tags.env"]


def test_retain_on_delete_leaves_it_in_the_cloud(bench: Bench) -> None:
    """It leaves the state and stays in the cloud."""
    _with(bench, "retain_on_delete=True")
    bench.up()
    bench.destroy()
    assert bench.state().resources == []
    assert bench.cloud.ids("aws:s3/bucket:Bucket") == ["one"]


def test_alias_by_name_keeps_the_resource(bench: Bench) -> None:
    """A renamed resource is neither created nor deleted, and what refers to it follows."""
    bench.program("""
        user = User("old", name="u")
        UserPolicy("p", user=user.name, name="p", policy="{}")
    """)
    bench.up()
    bench.program("""
        user = User("new", name="u", opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name="old")]))
        UserPolicy("p", user=user.name, name="p", policy="{}")
    """)
    assert bench.up().done == []
    assert_sound(bench.state())
    assert bench.resource("p").dependencies == [bench.resource("new").urn]


def test_alias_is_followed_by_what_a_failed_run_did_not_reach(bench: Bench) -> None:
    """A dependent that was not registered again refers to the new URN, or the state would be broken."""
    bench.program("""
        user = User("old", name="u")
        UserPolicy("p", user=user.name, name="p", policy="{}")
    """)
    bench.up()
    bench.program("""
        user = User("new", name="u", opts=pulumi.ResourceOptions(aliases=[pulumi.Alias(name="old")]))
        user.id.apply(lambda _: 1 / 0)
    """)
    with pytest.raises(DeploymentError, match="ZeroDivisionError"):
        bench.up()
    assert_sound(bench.state())
    assert bench.resource("p").dependencies == [bench.resource("new").urn]


def test_alias_of_a_parent_reaches_its_children(bench: Bench) -> None:
    """A component renamed with an alias keeps its children, also those named after it."""
    body = """
        class Box(pulumi.ComponentResource):
            def __init__(self, name, opts=None):
                super().__init__("golden:index:Box", name, None, opts)
                Bucket(f"{name}-bucket", bucket="b", opts=pulumi.ResourceOptions(parent=self))
        """
    bench.program(body + 'Box("old")\n')
    bench.up()
    bench.program(body + 'Box("new", pulumi.ResourceOptions(aliases=[pulumi.Alias(name="old")]))\n')
    assert bench.up().done == []
    assert_sound(bench.state())


def test_alias_to_a_new_parent_keeps_the_resource(bench: Bench) -> None:
    """A resource moved under a component with an alias is kept."""
    bench.program('Bucket("b", bucket="b")\n')
    bench.up()
    bench.program("""
        box = pulumi.ComponentResource("golden:index:Box", "box")
        Bucket("b", bucket="b", opts=pulumi.ResourceOptions(
            parent=box, aliases=[pulumi.Alias(parent=pulumi.ROOT_STACK_RESOURCE)]))
    """)
    assert bench.up().done == [("create", "box")]
    assert_sound(bench.state())


def test_additional_secret_outputs_are_encrypted(bench: Bench) -> None:
    """A named output is a secret in the state and masked in the outputs."""
    bench.program("""
        bucket = Bucket("b", bucket="b", opts=pulumi.ResourceOptions(additional_secret_outputs=["arn"]))
        pulumi.export("arn", bucket.arn)
    """)
    bench.up()
    assert "arn:aws:s3" not in bench.open().backend.stack_path("dev").read_text()
    assert bench.place().outputs(show_secrets=False) == {"arn": "[secret]"}
    assert bench.place().outputs(show_secrets=True) == {"arn": "arn:aws:s3:::b"}


def test_secret_inputs_stay_secret_in_outputs(bench: Bench) -> None:
    """A secret input, nested ones too, is encrypted in inputs and in the output of the same name."""
    bench.program('Bucket("b", bucket="b", tags={"open": "seen", "hidden": pulumi.Output.secret("canary")})\n')
    bench.up()
    text = bench.open().backend.stack_path("dev").read_text()
    assert "canary" not in text
    assert bench.resource("b").inputs["tags"]["hidden"].value == "canary"
    assert bench.cloud.things["aws:s3/bucket:Bucket", "b"]["tags"]["hidden"] == "canary"
    assert bench.preview().done == []


def test_depends_on_and_parent_are_recorded(bench: Bench) -> None:
    """Dependencies and parents are in the state, and deletion goes against them."""
    bench.program("""
        box = pulumi.ComponentResource("golden:index:Box", "box")
        first = Bucket("first", bucket="first", opts=pulumi.ResourceOptions(parent=box))
        Bucket("second", bucket="second", opts=pulumi.ResourceOptions(depends_on=[first]))
    """)
    bench.up()
    first, second = bench.resource("first"), bench.resource("second")
    assert first.parent == bench.resource("box").urn
    assert second.dependencies == [first.urn]
    names = [name for _, name in bench.destroy().done]
    assert names.index("second") < names.index("first") < names.index("box")


def test_explicit_provider_serves_its_resources(bench: Bench) -> None:
    """Its configuration is kept, its resources refer to it, and a new region replaces both."""
    bench.program("""
        import pulumi_aws
        there = pulumi_aws.Provider("there", region=config.get("region") or "eu-west-1")
        Bucket("b", bucket="b", opts=pulumi.ResourceOptions(provider=there, delete_before_replace=True))
    """)
    bench.up()
    provider = next(item for item in bench.state().resources if item.name == "there")
    assert bench.resource("b").provider == provider.reference
    assert bench.preview().done == []
    bench.configure(region="eu-north-1")
    replaced = {name for op, name in bench.up().done if op == "replace"}
    assert replaced == {"there", "b"}
    assert_sound(bench.state())


def test_import_takes_over_what_exists(bench: Bench) -> None:
    """An existing resource enters the state; where the program differs it is changed in place."""
    bench.cloud.things["aws:s3/bucket:Bucket", "mine"] = {"bucket": "mine", "tags": {"env": "a"}}
    bench.configure(bucket="mine")
    _with(bench, 'import_="mine"')
    assert bench.up().done == [("create", "golden-dev"), ("import", "b")]
    bench.configure(env="b")
    assert bench.up().done == [("update", "b")]
    assert bench.cloud.calls == [("update", "aws:s3/bucket:Bucket", "mine")]


def test_import_with_a_difference_updates_after_it(bench: Bench) -> None:
    """Import and update in one run, and the preview shows both."""
    bench.cloud.things["aws:s3/bucket:Bucket", "one"] = {"bucket": "one", "tags": {"env": "z"}}
    _with(bench, 'import_="one"')
    assert bench.preview().done[1:] == [("import", "b"), ("update", "b")]
    assert bench.up().done[1:] == [("import", "b"), ("update", "b")]
    assert_sound(bench.state())


def test_import_that_would_replace_is_refused(bench: Bench) -> None:
    """An imported resource is never replaced: the difference is named instead. A preview warns, as `pulumi` has it."""
    bench.cloud.things["aws:s3/bucket:Bucket", "other"] = {"bucket": "other"}
    _with(bench, 'import_="other"')
    seen = bench.preview()
    assert ("replace", "b") in seen.done
    assert any("may not be replaced" in message and "bucket" in message for message in seen.messages)
    with pytest.raises(DeploymentError, match=r"may not be replaced.*bucket"):
        bench.up()
    assert [item.name for item in bench.state().resources if item.type == "aws:s3/bucket:Bucket"] == []


def test_import_of_what_is_not_there_is_refused(bench: Bench) -> None:
    """A wrong id is named."""
    _with(bench, 'import_="nowhere"')
    with pytest.raises(DeploymentError, match="'nowhere' does not exist"):
        bench.up()


def test_get_reads_without_owning(bench: Bench) -> None:
    """`Type.get` gives the outputs, and destroy leaves the thing alone."""
    bench.cloud.things["aws:s3/bucket:Bucket", "theirs"] = {"bucket": "theirs"}
    bench.program('pulumi.export("arn", Bucket.get("theirs", "theirs").arn)\n')
    assert bench.up().outputs == {"arn": "arn:aws:s3:::theirs"}
    assert bench.preview().done == [("read", "theirs")]
    bench.destroy()
    assert bench.cloud.ids("aws:s3/bucket:Bucket") == ["theirs"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ("deleted_with=other", "deleted_with"),
        ("replace_with=[other]", "replace_with"),
        ("replacement_trigger='x'", "replacement_trigger"),
        ("hide_diffs=['tags']", "hide_diffs"),
        ("plugin_download_url='https://example.com'", "plugin_download_url"),
    ],
)
def test_unsupported_option_is_refused_by_name(bench: Bench, options: str, named: str) -> None:
    """An option that would not act is an error, not a surprise."""
    bench.program(f'other = Bucket("o", bucket="o")\nopts = pulumi.ResourceOptions({options})\n{BUCKET}\n')
    with pytest.raises(UnsupportedError, match=named):
        bench.preview()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("pulumi.runtime.register_stack_transform(lambda args: None)", "transforms"),
        (f"opts = pulumi.ResourceOptions(transforms=[lambda args: None])\n{BUCKET}", "transforms"),
        ("pulumi.StackReference('organization/golden/prod')", "StackReference"),
        ("pulumi.require_pulumi_version('>=3.0.0')", "version"),
    ],
)
def test_unsupported_feature_is_refused_by_name(bench: Bench, body: str, named: str) -> None:
    """So is anything else of Pulumi's that this engine has not."""
    bench.program(body + "\n")
    with pytest.raises(EngineError, match=named):
        bench.preview()


def test_custom_timeouts_are_recorded(bench: Bench) -> None:
    """They are kept in the state and not applied: the stand-ins answer at once."""
    _with(bench, 'custom_timeouts=pulumi.CustomTimeouts(create="5m")')
    bench.up()
    assert bench.resource("b").custom_timeouts == {"create": 300}
    assert bench.preview().done == []


def test_two_resources_of_one_name_are_refused(bench: Bench) -> None:
    """A URN is given once."""
    bench.program('Bucket("b", bucket="x")\nBucket("b", bucket="y")\n')
    with pytest.raises(DeploymentError, match="Duplicate resource URN"):
        bench.up()


def test_import_command_takes_over_as_it_is(bench: Bench) -> None:
    """`import` records what exists, protected, and the program may then declare it."""
    from sandbox.engine.goal import Goal

    bench.cloud.things["aws:s3/bucket:Bucket", "one"] = {"bucket": "one", "tags": {"env": "a"}}
    goal = Goal("aws:s3/bucket:Bucket", "b", custom=True, import_id="one", protect=True)
    bench.run(run.adopt, goal)
    assert bench.resource("b").protect
    assert bench.resource("b").import_id == ""
    _with(bench, "protect=True")
    assert bench.up().done == []
    assert_sound(bench.state())
    with pytest.raises(DeploymentError, match="already exists"):
        bench.run(run.adopt, goal)
