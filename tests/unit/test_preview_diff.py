"""The report on a preview: the verdict, every change, and an answer to every input."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from recordings.errors import UsageError
from scripts.preview import document, report
from scripts.preview.verdict import Flag, flags_named, judge
from scripts.preview_diff import preview_diff
from tests.unit.preview_kit import DATA, GOLDEN, NOW, OURS, judged, load, preview, step, told


@pytest.mark.parametrize(
    ("name", "verdict", "flags"),
    [
        ("engine/1-create.preview.json", "safe", {"change"}),
        ("engine/3-update.preview.json", "safe", {"change"}),
        ("engine/4-replace.preview.json", "dangerous", {"change", "dangerous", "look", "replace"}),
        ("previews/create-gcs.real.json", "safe", {"change"}),
        ("previews/change.real.json", "dangerous", {"change", "dangerous", "look", "replace", "mandatory"}),
    ],
)
def test_recorded_preview_gets_its_verdict_first(name: str, verdict: str, flags: set[str]) -> None:
    """New things and labels are safe; what takes a bucket, a user or a key away is dangerous."""
    found = judged(load(name))
    assert (found.verdict.value, {flag.value for flag in found.flags}) == (verdict, flags)
    assert verdict in report.markdown(found).splitlines()[0].lower()


def test_both_engines_give_the_same_report() -> None:
    """The real CLI and the embedded engine, asked for the same change, are reported in the same words."""
    assert told(load(OURS[0])) == told(load(OURS[1]))


@pytest.mark.parametrize("name", [*GOLDEN, *OURS])
def test_order_of_the_engine_does_not_show(name: str) -> None:
    """Engines work side by side: the same preview in another order and with other times gives the same text."""
    raw = load(name)
    other = copy.deepcopy(raw)
    other["steps"].reverse()
    other["duration"] = 1
    other["diagnostics"] = [{"severity": "warning", "message": "slow"}]
    for item in other["steps"]:
        item["diffReasons"] = list(reversed(item.get("diffReasons") or []))
        (item.get("newState") or {}).update(created="2030-01-01T00:00:00Z", modified="2030-01-01T00:00:00Z")
    assert told(other) == told(raw)


def test_changes_are_told_property_by_property() -> None:
    """Before and after of each property, lists as what comes and goes, policies by their statements."""
    found = judged(load(OURS[0]))
    changes = {
        (item.kind, change.path): (change.before, change.after) for item in found.resources for change in item.changes
    }
    assert changes["aws:s3:Bucket", "tags.a"] == (None, "b")
    assert changes["aws:s3:BucketLifecycleConfiguration", "rules[recordings].expiration.days"] == ("90", "30")
    assert changes["aws:iam:UserPolicy", "policy.Statement[RecordingObjects].Action[]"] == (None, "s3:DeleteObject")
    assert next(item.reasons for item in found.resources if item.kind == "aws:s3:Bucket") == ("bucket",)


def test_replacement_by_a_property_inside_says_which() -> None:
    """Of `replace_on_changes` with a path the engine gives no reason, only the kind of the difference."""
    change = step("replace", old={"tags": {"env": "a", "b": "c"}}, new={"tags": {"env": "b", "b": "d"}})
    change["detailedDiff"] = {"tags.env": {"kind": "update-replace"}, "tags.b": {"kind": "update"}}
    assert judged(preview(change)).resources[0].reasons == ("tags.env",)


def test_drift_against_the_cloud_is_told() -> None:
    """What a refresh found is in the outputs alone; the provider's diff names it."""
    drifted = step(old={"acl": "private"}, new={"acl": "private"}, old_outputs={"acl": "public-read"})
    drifted["detailedDiff"] = {"acl": {"kind": "update", "inputDiff": False}}
    (found,) = judged(preview(drifted)).resources
    assert [(item.path, item.before, item.after) for item in found.changes] == [("acl", "public-read", "private")]


def test_unprotecting_is_told() -> None:
    """The CLI shows it as a step that changes nothing; here it is a change."""
    same = step("same", old={}, new={})
    same["oldState"]["protect"] = True
    (found,) = judged(preview(same)).resources
    assert [(item.path, item.before, item.after) for item in found.changes] == [("(protect)", "true", "false")]


def test_value_that_is_not_known_yet_says_so() -> None:
    """The engine's placeholder is no value."""
    text = told(preview(step(old={"bucket": "a"}, new={"bucket": "04da6b54-80e4-46f7-96ec-b56ff0331ba9"})))
    assert "(known after the deployment)" in text
    assert "04da6b54" not in text


def test_failed_preview_needs_a_look() -> None:
    """A preview that stopped half-way shows half of the changes: it is never safe."""
    raw = preview(step("create", new={})) | {"diagnostics": [{"severity": "error", "message": "no credentials"}]}
    found = judged(raw)
    assert found.verdict.value == "needs a look"
    assert Flag.ERROR in found.flags
    assert "no credentials" in report.markdown(found)


BROKEN = [
    *(
        "",
        " ",
        "null",
        "[]",
        "3",
        '"text"',
        "{}",
        "{",
        "[" * 100_000,
        '{"type": "x"}\n{"type": "y"}',
        '{"result": "x"}',
    ),
    *('{"steps": 3}', '{"steps": [3]}', '{"steps": [{}]}', '{"steps": [{"op": "create", "urn": "no urn"}]}'),
]


@pytest.mark.parametrize("text", BROKEN)
def test_input_that_is_no_preview_is_refused(text: str) -> None:
    """The message says what to give, and quotes nothing."""
    with pytest.raises(UsageError, match=r"pulumi preview --json|too deeply"):
        judge(document.read(text), NOW)


def mangle(value: Any, draw: Any) -> Any:
    """The document with one part of it replaced by something else."""
    junk = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("[secret]"),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["op", "urn", "a"]), inner, max_size=3)
        ),
        max_leaves=5,
    )
    if isinstance(value, dict) and value and draw(st.integers(0, 7)):
        key = draw(st.sampled_from(sorted(value)))
        return {**value, key: mangle(value[key], draw)}
    if isinstance(value, list) and value and draw(st.integers(0, 7)):
        place = draw(st.integers(0, len(value) - 1))
        return [*value[:place], mangle(value[place], draw), *value[place + 1 :]]
    return draw(junk)


@settings(max_examples=30)
@given(st.data())
def test_mangled_preview_gives_a_report_or_a_refusal(data: st.DataObject) -> None:
    """No input makes a traceback: a part of any form in any place is reported or refused."""
    raw = load(data.draw(st.sampled_from([*GOLDEN, *OURS])))
    for _ in range(data.draw(st.integers(1, 3))):
        raw = mangle(raw, data.draw)
    try:
        found = judged(raw)
    except UsageError:
        return
    report.markdown(found).encode()
    json.dumps(report.data(found))


def test_flags_are_read_and_refused() -> None:
    """Every flag of the help can be named; another is refused with the legal ones."""
    assert flags_named("replace, delete,public") == [Flag.REPLACE, Flag.DELETE, Flag.PUBLIC]
    for text in ("replace,everything", "", ","):
        with pytest.raises(UsageError, match="legal: dangerous, look, replace"):
            flags_named(text)


def run(*arguments: str, stdin: str = "") -> Result:
    app = typer.Typer()
    app.command()(preview_diff)
    return CliRunner().invoke(app, arguments, input=stdin)


def test_command_ends_as_its_flags_say() -> None:
    """Report on stdout in any case; 1 where a named flag is up, 2 where there is no preview, never a traceback."""
    name = str(DATA / OURS[0])
    failed = run(name, "--fail-on", "replace,public", "--json")
    assert (failed.exit_code, json.loads(failed.stdout)["verdict"]) == (1, "dangerous")
    assert "replace" in failed.stderr
    passed = run("-", "--fail-on", "public", stdin=Path(name).read_text())
    assert (passed.exit_code, passed.stdout[:2], passed.stderr) == (0, "**", "")
    for refused in (run("-", stdin="error: no stack"), run(str(DATA)), run(name, "--fail-on", "all")):
        assert (refused.exit_code, refused.stdout) == (2, "")
        assert refused.stderr.startswith("error: ")
