"""The state's form and its files: what is written can be read, by us and by the real CLI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.engine import run, urns
from sandbox.engine.backend import Backend, state_folder
from sandbox.engine.deletion import ranks, references
from sandbox.engine.errors import DeploymentError, StateError, UnsupportedError, UsageError
from sandbox.engine.goal import Alias
from sandbox.engine.secrets import SecretsManager, passphrase
from sandbox.engine.state import Checkpoint, Resource, seal, unseal
from sandbox.engine.values import contains_secret, contains_unknown, mark_secrets, mask, unwrap
from sandbox.engine.wire import from_struct, to_struct
from sandbox.values import UNKNOWN, Secret
from tests.unit.engine_kit import ENVIRON, Bench, Seen

MANAGER = SecretsManager.create("phrase")
_NUMBERS = st.integers(-(2**50), 2**50) | st.floats(allow_nan=False, allow_infinity=False)
_PLAIN = st.recursive(
    st.none() | st.booleans() | _NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_VALUES = st.recursive(
    _PLAIN | _PLAIN.map(Secret),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(value=_VALUES)
def test_sealed_value_opens_again(value: Any) -> None:
    """Any property value survives the way through JSON, its secrets encrypted."""
    sealed = json.loads(json.dumps(seal(value, MANAGER)))
    assert unseal(sealed, MANAGER) == value


@given(value=_VALUES)
def test_struct_carries_any_value(value: Any) -> None:
    """Any property value survives the way to the SDK and back."""
    assert from_struct(to_struct({"x": value, "unknown": UNKNOWN})) == {"x": value, "unknown": UNKNOWN}


@given(canary=st.text(min_size=6, alphabet="abcdefgh"), around=_NUMBERS)
def test_sealed_secret_is_not_readable(canary: str, around: Any) -> None:
    """Neither the state nor a masked value holds the plain text."""
    value = {"list": [around, {"hidden": Secret({"deep": canary})}]}
    assert f'"{canary}"' not in json.dumps(seal(value, MANAGER))
    assert mask(value)["list"][1] == {"hidden": "[secret]"}
    assert unwrap(value)["list"][1] == {"hidden": {"deep": canary}}
    assert contains_secret(value)


def test_mark_secrets_follows_the_inputs() -> None:
    """A property is secret where the input was: key by key in objects, lists as a whole, and where named."""
    like = {"a": Secret(1), "b": {"c": Secret(2), "d": 3}, "e": [1, Secret(2)]}
    plain = {"a": 1, "b": {"c": 2, "d": 3}, "e": [1, 2], "f": "named", "g": "open"}
    assert mark_secrets(plain, like, ["f", "absent"]) == {
        "a": Secret(1),
        "b": {"c": Secret(2), "d": 3},
        "e": Secret([1, 2]),
        "f": Secret("named"),
        "g": "open",
    }


def test_unknown_is_found_inside_secrets() -> None:
    """Something unknown counts wherever it is."""
    assert contains_unknown([{"a": Secret([UNKNOWN])}])
    assert not contains_unknown({"a": Secret("x")})


def test_wrong_passphrase_is_refused() -> None:
    """The salt tells; a secret of another passphrase does not open."""
    with pytest.raises(UsageError, match="incorrect passphrase"):
        SecretsManager.open("other", MANAGER.salt)
    with pytest.raises(UsageError, match="cannot be decrypted"):
        SecretsManager.create("other").decrypt(MANAGER.encrypt("x"))
    with pytest.raises(UsageError, match="encryptionsalt"):
        SecretsManager.open("phrase", "v2:nothing")
    with pytest.raises(UsageError, match="PULUMI_CONFIG_PASSPHRASE"):
        passphrase({})


def test_passphrase_may_be_in_a_file(tmp_path: Path) -> None:
    """PULUMI_CONFIG_PASSPHRASE_FILE is read, trimmed."""
    file = tmp_path / "phrase"
    file.write_text("abc\n")
    assert passphrase({"PULUMI_CONFIG_PASSPHRASE_FILE": str(file)}) == "abc"
    with pytest.raises(UsageError, match="unable to read"):
        passphrase({"PULUMI_CONFIG_PASSPHRASE_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    "field", ["deletedWith", "replaceWith", "viewOf", "resourceHooks", "taint", "replacementTrigger"]
)
def test_state_with_what_we_cannot_do_is_refused_by_name(field: str) -> None:
    """A stack that uses more of Pulumi than this engine has is not touched."""
    entry = {"urn": "urn:pulumi:dev::p::a:b:C::d", "custom": True, "type": "a:b:C", field: ["x"]}
    with pytest.raises(UnsupportedError, match=field):
        Resource.from_json(entry, MANAGER)


def test_fields_we_do_not_act_on_are_kept() -> None:
    """Source positions and hidden diffs of the real CLI survive us."""
    entry = {"urn": "urn:pulumi:dev::p::a:b:C::d", "custom": True, "type": "a:b:C", "sourcePosition": "project:///x#1"}
    assert Resource.from_json(entry, MANAGER).to_json(MANAGER) == entry


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ({"version": 4, "features": ["views"]}, UnsupportedError),
        ({"version": 3}, StateError),
        ({"version": 3, "checkpoint": {"stack": "x", "latest": {"resources": [{}]}}}, StateError),
        ({"version": 3, "checkpoint": {"stack": "x", "latest": {"snippets": [1]}}}, UnsupportedError),
    ],
)
def test_damaged_or_foreign_state_is_refused(raw: dict[str, Any], error: type[Exception]) -> None:
    """No traceback, and nothing is guessed."""
    with pytest.raises(error):
        Checkpoint.from_json(raw, MANAGER)


@given(cut=st.integers(0, 400), flip=st.integers(0, 400))
def test_broken_state_file_never_ends_in_a_traceback(
    cut: int, flip: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Truncated or flipped bytes end in an error that names the file, or in what is still whole."""
    backend = Backend(tmp_path_factory.mktemp("state"), "golden")
    resource = Resource("urn:pulumi:dev::p::a:b:C::d", "a:b:C", custom=True, inputs={"x": Secret("y")})
    backend.write("dev", Checkpoint("organization/golden/dev", [resource]).to_json(MANAGER))
    path = backend.stack_path("dev")
    content = bytearray(path.read_bytes())
    content[flip % len(content)] ^= 1
    path.write_bytes(content[: max(0, len(content) - cut)])
    try:
        raw = backend.read("dev")
        assert raw is not None
        Checkpoint.from_json(raw, MANAGER)
    except (StateError, UnsupportedError, UsageError):
        pass


def test_layout_is_that_of_a_file_backend(tmp_path: Path) -> None:
    """Stacks, the one before, history and backups lie where the real CLI looks for them."""
    bench = Bench(tmp_path)
    bench.configure()
    bench.program('Bucket("b", bucket="b")\n')
    bench.up()
    bench.up()
    home = tmp_path / "state" / ".pulumi"
    assert (home / "meta.yaml").read_text() == "version: 1\n"
    names = sorted(item.name for item in (home / "stacks" / "golden").iterdir())
    assert names == ["dev.json", "dev.json.attrs", "dev.json.bak"]
    history = sorted(item.name for item in (home / "history" / "golden" / "dev").iterdir())
    assert [name.split(".", 1)[1] for name in history] == ["checkpoint.json", "history.json"] * 2
    record = json.loads((home / "history" / "golden" / "dev" / history[1]).read_text())
    assert (record["kind"], record["result"]) == ("update", "succeeded")
    assert record["resourceChanges"]["create"] == 3
    assert len(list((home / "backups" / "golden" / "dev").iterdir())) == 2
    assert bench.open().backend.stacks() == ["dev"]


def test_failed_run_is_in_the_history(tmp_path: Path) -> None:
    """With its result."""
    bench = Bench(tmp_path)
    bench.configure()
    bench.program('Bucket("b", bucket="b")\nraise ValueError\n')
    with pytest.raises(DeploymentError):
        bench.up()
    [record] = (tmp_path / "state" / ".pulumi" / "history" / "golden" / "dev").glob("*.history.json")
    assert json.loads(record.read_text())["result"] == "failed"


def test_preview_writes_nothing(tmp_path: Path) -> None:
    """Not even a folder."""
    bench = Bench(tmp_path)
    bench.configure()
    bench.program('Bucket("b", bucket="b")\n')
    run.preview(bench.open(), Seen())
    assert not (tmp_path / "state").exists()
    assert bench.cloud.calls == []


@pytest.mark.parametrize(
    ("option", "url", "environ", "folder"),
    [
        (Path("/a"), "file:///b", {"PULUMI_BACKEND_URL": "file:///c"}, "/a"),
        (None, "file:///b", {"PULUMI_BACKEND_URL": "file:///c%20d"}, "/c d"),
        (None, "file:///b", {}, "/b"),
        (None, None, {"SANDBOX_DIR": "/s"}, "/s/state"),
    ],
)
def test_state_folder_is_chosen_in_order(
    option: Path | None, url: str | None, environ: dict[str, str], folder: str
) -> None:
    """The option, the environment, the project, the sandbox's own folder."""
    assert state_folder(option, url, environ) == Path(folder)


@pytest.mark.parametrize("url", ["s3://bucket", "https://app.pulumi.com", "file:///x?no_tmp_dir=1"])
def test_foreign_backend_is_refused(url: str) -> None:
    """This engine keeps state in a folder alone."""
    with pytest.raises(UsageError, match="is not supported"):
        state_folder(None, None, {"PULUMI_BACKEND_URL": url})


def test_urn_carries_the_types_of_the_parents() -> None:
    """The stack is no parent in this sense."""
    root = urns.make("dev", "p", "", urns.ROOT_TYPE, "p-dev")
    box = urns.make("dev", "p", root, "p:index:Box", "box")
    inner = urns.make("dev", "p", box, "p:index:Inner", "inner")
    assert urns.make("dev", "p", inner, "a:b:C", "c") == "urn:pulumi:dev::p::p:index:Box$p:index:Inner$a:b:C::c"


def test_alias_parts_default_to_the_resource() -> None:
    """Each part that an alias leaves out is as it is now."""
    urn = "urn:pulumi:dev::p::a:b:C::new"
    aliases = (Alias(name="old"), Alias(type="x:y:Z"), Alias(stack="prod", project="q"), Alias(urn="urn:pulumi:x"))
    assert urns.former(urn, "", aliases, {}) == [
        "urn:pulumi:dev::p::a:b:C::old",
        "urn:pulumi:dev::p::x:y:Z::new",
        "urn:pulumi:prod::q::a:b:C::new",
        "urn:pulumi:x",
    ]


@given(edges=st.lists(st.lists(st.integers(0, 7), max_size=3), min_size=1, max_size=8))
def test_nothing_is_deleted_before_its_dependents(edges: list[list[int]]) -> None:
    """Whatever the dependencies, a rank holds nothing that a later rank depends on."""
    resources = [
        Resource(f"urn:pulumi:d::p::a:b:C::{place}", "a:b:C", True, dependencies=[
            f"urn:pulumi:d::p::a:b:C::{other}" for other in others if other < place
        ])
        for place, others in enumerate(edges)
    ]  # fmt: skip
    gone: set[str] = set()
    for rank in ranks(resources):
        gone |= {resource.urn for resource in rank}
        for resource in rank:
            assert not references(resource) & gone
    assert len(gone) == len(resources)


def test_passphrase_environment_is_what_the_tests_assume() -> None:
    """The recorded files were made with it."""
    assert ENVIRON["PULUMI_CONFIG_PASSPHRASE"] == "sandbox"
