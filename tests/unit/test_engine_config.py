"""Project files and configuration: merged and typed as Pulumi does it, every fault named."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sandbox.engine import paths
from sandbox.engine.config import Config, full_key, load
from sandbox.engine.errors import EngineError, UnsupportedError, UsageError
from sandbox.engine.project import Project, StackFile, check_stack_name
from sandbox.engine.secrets import SecretsManager


def _project(folder: Path, **content: Any) -> Project:
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump({"name": "golden", "runtime": "python", **content}))
    return Project.find(folder)


def _load(project: Project, **config: Any) -> Config:
    file = StackFile(project.stack_file("dev"), None, config)
    return load(project, "dev", file, lambda text: f"opened {text}")


def test_project_is_found_from_below(tmp_path: Path) -> None:
    """As git finds its folder."""
    _project(tmp_path)
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert Project.find(inner).root == tmp_path


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"runtime": "nodejs"}, "nodejs"),
        ({"options": {"refresh": "always"}}, "options"),
        ({"plugins": {}}, "plugins"),
        ({"name": "a/b"}, "a/b"),
        ({"config": "folder"}, "config"),
    ],
)
def test_project_with_what_we_have_not_is_refused(tmp_path: Path, content: dict[str, Any], named: str) -> None:
    """By name."""
    with pytest.raises(UsageError, match=named):
        _project(tmp_path, **content)


def test_broken_yaml_names_the_place(tmp_path: Path) -> None:
    """File, line and column."""
    (tmp_path / "Pulumi.yaml").write_text("name: [\n")
    with pytest.raises(UsageError, match=r"Pulumi.yaml.*line 2"):
        Project.find(tmp_path)


SALTED = SecretsManager.create("x")
_YAML = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("a:v1-/=", max_size=8) | st.dates(),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["secure", "type", "items", "default", "url", "a:b", 1, None]), inner, max_size=2
        )
    ),
    max_leaves=5,
)


@given(
    _YAML | st.fixed_dictionaries({}, optional={"name": st.just("g"), "runtime": st.just("python"), "config": _YAML}),
    _YAML | st.fixed_dictionaries({}, optional={"encryptionsalt": _YAML, "config": _YAML}),
)
def test_files_of_any_content_are_used_or_refused(
    tmp_path_factory: pytest.TempPathFactory, project_file: Any, stack_file: Any
) -> None:
    """Whatever YAML stands in them: a configuration, or an error of ours."""
    folder = tmp_path_factory.mktemp("any")
    (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project_file))
    (folder / "Pulumi.dev.yaml").write_text(yaml.safe_dump(stack_file))
    with contextlib.suppress(EngineError):
        file = StackFile.read(folder / "Pulumi.dev.yaml")
        manager = SecretsManager.open("x", file.salt) if file.salt else SALTED
        load(Project("golden", folder, folder), "dev", file, manager.decrypt)
    with contextlib.suppress(EngineError):
        project = Project.find(folder)
        load(project, "dev", StackFile(folder / "none"), SALTED.decrypt)


def test_missing_project_is_named(tmp_path: Path) -> None:
    """With the next act."""
    with pytest.raises(UsageError, match="--cwd"):
        Project.find(tmp_path)


@pytest.mark.parametrize("content", ["environment:\n- x\n", "secretsprovider: awskms://x\n", "encryptedkey: x\n"])
def test_stack_file_with_what_we_have_not_is_refused(tmp_path: Path, content: str) -> None:
    """Other secrets providers and environments among them."""
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(content)
    with pytest.raises(UnsupportedError):
        StackFile.read(file)


def test_stack_file_survives_writing(tmp_path: Path) -> None:
    """Salt and configuration stay."""
    file = StackFile(tmp_path / "Pulumi.dev.yaml", "v1:a:b", {"p:k": {"secure": "v1:x"}})
    file.write()
    assert StackFile.read(file.path) == file


def test_values_reach_the_program_as_text(tmp_path: Path) -> None:
    """Scalars as written, lists and mappings as JSON, secrets opened wherever they are."""
    config = _load(
        _project(tmp_path),
        **{
            "golden:text": "a",
            "golden:number": 7,
            "golden:flag": True,
            "golden:list": ["a", {"b": 1}],
            "golden:secret": {"secure": "v1"},
            "golden:deep": {"inner": [{"secure": "v2"}]},
            "aws:region": "us-east-1",
            "bare": "x",
        },
    )
    assert config.values == {
        "golden:text": "a",
        "golden:number": "7",
        "golden:flag": "true",
        "golden:list": '["a",{"b":1}]',
        "golden:secret": "opened v1",
        "golden:deep": '{"inner":["opened v2"]}',
        "aws:region": "us-east-1",
        "golden:bare": "x",
    }
    assert config.secret_keys == {"golden:secret", "golden:deep"}
    assert (config.shown()["golden:deep"], config.shown()["golden:secret"]) == ('{"inner":["[secret]"]}', "[secret]")
    assert config.of_package("aws") == {"region": "us-east-1"}
    assert "opened" not in repr(config)


def test_schema_gives_defaults(tmp_path: Path) -> None:
    """Of any type; the stack's value wins; a foreign namespace may give a value."""
    project = _project(
        tmp_path,
        config={
            "text": {"type": "string", "default": "a"},
            "number": {"type": "integer", "default": 3},
            "list": {"type": "array", "items": {"type": "string"}, "default": ["x"]},
            "short": "b",
            "aws:region": {"value": "eu-west-1"},
            "golden:flag": {"type": "boolean", "default": False},
        },
    )
    assert _load(project, **{"golden:number": 4}).values == {
        "golden:text": "a",
        "golden:number": "4",
        "golden:list": '["x"]',
        "golden:short": "b",
        "aws:region": "eu-west-1",
        "golden:flag": "false",
    }


def test_missing_and_mistyped_values_are_all_named(tmp_path: Path) -> None:
    """Every one at once."""
    project = _project(
        tmp_path,
        config={
            "need": {"type": "string"},
            "also": {"type": "string"},
            "number": {"type": "integer", "default": 1},
            "list": {"type": "array", "items": {"type": "string"}, "default": []},
            "hidden": {"type": "string", "secret": True, "default": "x"},
        },
    )
    with pytest.raises(UsageError, match="'also', 'need'"):
        _load(project)
    with pytest.raises(UsageError) as caught:
        _load(project, **{"golden:need": "a", "golden:also": "b", "golden:number": "x", "golden:list": [1]})
    text = str(caught.value)
    assert "'number' must be of type 'integer'" in text
    assert "'list' must be of type 'array<string>'" in text
    assert "'hidden' must be encrypted" in text


@pytest.mark.parametrize(("key", "full"), [("a", "golden:a"), ("aws:region", "aws:region"), ("x:config:y", "x:y")])
def test_key_forms(tmp_path: Path, key: str, full: str) -> None:
    """Bare names lie in the project's namespace."""
    assert full_key(_project(tmp_path), key) == full


@pytest.mark.parametrize("key", ["", ":a", "a:", "a:b:c:d"])
def test_malformed_key_is_refused(tmp_path: Path, key: str) -> None:
    """Named with the legal form."""
    with pytest.raises(UsageError, match="namespace:name"):
        full_key(_project(tmp_path), key)


@pytest.mark.parametrize("name", ["", "a/b/..", "..", "a b", "x" * 101])
def test_malformed_stack_name_is_refused(name: str) -> None:
    """A stack's name is a file's name."""
    with pytest.raises(UsageError):
        check_stack_name(name, "golden")


def test_qualified_stack_name_is_taken() -> None:
    """As the real CLI prints it."""
    assert check_stack_name("organization/golden/dev", "golden") == "dev"
    assert check_stack_name("organization/dev", "golden") == "dev"


@pytest.mark.parametrize("name", ["../../dev", "acme/golden/dev", "organization/other/dev", "a/b/c/d", "/dev"])
def test_stack_of_another_project_is_refused(name: str) -> None:
    """What stands before the name is not ignored: the stack of that name here is another one."""
    with pytest.raises(UsageError, match="organization/golden/NAME"):
        check_stack_name(name, "golden")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("tags", ("tags",)),
        ("tags.env", ("tags", "env")),
        ("rules[0].id", ("rules", 0, "id")),
        ('tags["a.b"]', ("tags", "a.b")),
        ("rules[*].id", ("rules", "*", "id")),
    ],
)
def test_property_path_is_read(text: str, path: tuple[str | int, ...]) -> None:
    """In Pulumi's notation."""
    assert paths.parse(text) == path


@pytest.mark.parametrize("text", ["a[", "a[x]", 'a["b]'])
def test_malformed_property_path_is_refused(text: str) -> None:
    """With the place at which it breaks."""
    with pytest.raises(UsageError, match="cannot be read at"):
        paths.parse(text)


def test_keep_restores_old_values() -> None:
    """Changed: as before; added: gone; removed: back; under a wildcard: each."""
    old = {"a": 1, "tags": {"x": 1}, "rules": [{"id": 1}, {"id": 2}], "gone": 5}
    new: dict[str, Any] = {"a": 2, "tags": {"x": 2, "y": 3}, "rules": [{"id": 8}, {"id": 9}]}
    for text in ("a", "tags.y", "rules[*].id", "gone", "absent.deep", "rules[7].id"):
        paths.keep(paths.parse(text), old, new)
    assert new == {"a": 1, "tags": {"x": 2}, "rules": [{"id": 1}, {"id": 2}], "gone": 5}
