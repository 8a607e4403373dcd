"""The recorded program, through its six recorded steps, against what the real engine did (data/engine/README.md)."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.engine import run
from sandbox.engine.digest import Digest
from sandbox.engine.display import Display
from sandbox.engine.secrets import SecretsManager
from sandbox.engine.state import Checkpoint
from sandbox.engine.values import unwrap
from tests.unit.engine_kit import ENVIRON, RECORDED, Bench, assert_same_as_cloud, assert_sound

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
STEPS: dict[str, dict[str, Any]] = {
    "1-create": {},
    "2-same": {},
    "3-update": {"env": "b"},
    "4-replace": {"user": "writer2"},
    "5-delete": {"key": False},
}


@pytest.fixture
def at(tmp_path: Path) -> Callable[[str], Bench]:
    """The recorded project, brought by updates to just before a step, configured for it."""

    def make(wanted: str) -> Bench:
        bench = Bench(tmp_path)
        bench.recorded()
        for step, config in STEPS.items():
            bench.configure(**config)
            if step == wanted:
                return bench
            bench.up()
        return bench

    return make


def _same_names(value: Any, *, known: dict[str, str]) -> Any:
    """Access key ids and provider ids differ from run to run: number them in the order of their appearance."""
    text = json.dumps(value, sort_keys=True)

    def number(match: re.Match[str]) -> str:
        return match[0] if match[0] == _UNKNOWN else known.setdefault(match[0], f"<{len(known)}>")

    return json.loads(re.sub(rf"{_UUID.pattern}|AKIA[0-9A-F]{{16}}", number, text))


def _normal(resource: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in resource.items() if key not in ("created", "modified")}
    for key in ("dependencies",):
        if key in kept:
            kept[key] = sorted(kept[key])
    # what the recorded stand-in gave for the secret is not what ours gives
    return kept


def _digest(raw: dict[str, Any]) -> Any:
    for step in raw["steps"]:
        for state in ("oldState", "newState"):
            if state in step:
                step[state] = _normal(step[state])
    raw["steps"].sort(key=lambda step: step["urn"])
    kept = {key: raw[key] for key in ("config", "steps", "changeSummary")}
    return _same_names(kept, known={})


@pytest.mark.parametrize("step", ["1-create", "3-update", "4-replace"])
def test_preview_json_is_as_recorded(step: str, at: Callable[[str], Bench]) -> None:
    """Operations, URNs, inputs, dependencies, reasons and masking are those of `pulumi preview --json`."""
    bench = at(step)
    printed = io.StringIO()
    stack = bench.open()
    show = Digest(printed, stack.config().shown())
    run.preview(stack, show)
    recorded = json.loads((RECORDED / f"{step}.preview.json").read_text())
    assert _digest(json.loads(printed.getvalue())) == _digest(recorded)


@pytest.mark.parametrize(("step", "until"), [("1-create", "2-same"), ("5-delete", "end")])
def test_checkpoint_is_as_recorded(step: str, until: str, at: Callable[[str], Bench]) -> None:
    """The state file has the recorded resources with the recorded fields, and secrets in envelopes."""
    bench = at(until)
    ours = json.loads(bench.open().backend.stack_path("dev").read_text())
    recorded = json.loads((RECORDED / f"{step}.checkpoint.json").read_text())
    assert list(ours) == list(recorded)
    assert list(ours["checkpoint"]["latest"]) == list(recorded["checkpoint"]["latest"])
    salt = ours["checkpoint"]["latest"]["secrets_providers"]
    assert salt == recorded["checkpoint"]["latest"]["secrets_providers"]
    assert _resources(ours) == _resources(recorded)


def _resources(checkpoint: dict[str, Any]) -> Any:
    entries = [_normal(entry) for entry in checkpoint["checkpoint"]["latest"]["resources"]]
    fields = [list(entry) for entry in entries]
    entries = sorted(entries, key=lambda entry: entry["urn"])
    text = re.sub(r'"ciphertext": "v1:[^"]+"', '"ciphertext": "…"', json.dumps(entries))
    return sorted(fields), _same_names(json.loads(text), known={})


def test_checkpoint_after_destroy_is_as_recorded(at: Callable[[str], Bench]) -> None:
    """An emptied stack keeps its secrets manager and nothing else."""
    bench = at("end")
    bench.destroy()
    ours = json.loads(bench.open().backend.stack_path("dev").read_text())
    recorded = json.loads((RECORDED / "6-destroy.checkpoint.json").read_text())
    for either in (ours, recorded):
        del either["checkpoint"]["latest"]["manifest"]["time"]
    assert ours == recorded
    assert bench.cloud.things == {}


def test_recorded_state_is_taken_over_without_change(at: Callable[[str], Bench]) -> None:
    """A stack that the real engine left previews no change, and its secrets open."""
    bench = at("1-create")
    cloud = at("2-same").cloud
    key = next(id_ for kind, id_ in cloud.things if kind.endswith("AccessKey"))
    cloud.things["aws:iam/accessKey:AccessKey", "AKIADFD99496D6074424"] = cloud.things.pop((_KEY, key))
    bench.open().backend.write("dev", json.loads((RECORDED / "1-create.checkpoint.json").read_text()))
    assert bench.preview().done == []
    assert bench.open().outputs()["password"].value == "hunter2"
    assert bench.up().done == []
    assert_sound(bench.state())
    assert_same_as_cloud(bench.state(), cloud)


_KEY = "aws:iam/accessKey:AccessKey"


def test_replacement_runs_in_the_recorded_order(at: Callable[[str], Bench]) -> None:
    """Replacements in dependency order first, then the originals in reverse."""
    seen = at("4-replace").up()
    recorded = (RECORDED / "4-replace.up.txt").read_text()
    done = re.findall(r"^ (?:\+\+|\+-|--) \S+ (\S+) (created replacement|replaced|deleted original) ", recorded, re.M)
    words = {
        "create-replacement": "created replacement",
        "replace": "replaced",
        "delete-replaced": "deleted original",
    }
    assert [(name, words[op]) for op, name in seen.done] == done


@pytest.mark.parametrize("step", ["1-create", "2-same", "5-delete"])
def test_diff_is_as_recorded(step: str, at: Callable[[str], Bench]) -> None:
    """`preview --diff` says what the real one says, line by line; the order of independent resources is free."""
    bench = at(step)
    printed = io.StringIO()
    run.preview(bench.open(), Display(printed, "dev", diff=True))
    assert _lines(printed.getvalue()) == _lines((RECORDED / f"{step}.diff.txt").read_text())


def _lines(text: str) -> list[str]:
    return sorted(re.sub(rf"{_UUID.pattern}|AKIA[0-9A-F]{{16}}", "…", line) for line in text.splitlines())


@pytest.mark.parametrize("step", ["3-update", "4-replace", "5-delete"])
def test_progress_of_an_update_is_as_recorded(step: str, at: Callable[[str], Bench]) -> None:
    """The plain progress has the recorded lines; times and warnings of the recorded run left out."""
    bench = at(step)
    printed = io.StringIO()
    stack = bench.open()
    run.update(stack, Display(printed, "dev"))
    recorded = (RECORDED / f"{step}.up.txt").read_text()
    assert _progress(printed.getvalue()) == _progress(recorded)


def test_progress_of_the_first_update_is_as_recorded(at: Callable[[str], Bench]) -> None:
    """The recorded lines; bucket and user go side by side, so that the order is free."""
    printed = io.StringIO()
    run.update(at("1-create").open(), Display(printed, "dev"))
    _assert_same_lines(printed.getvalue(), (RECORDED / "1-create.up.txt").read_text())


def test_progress_of_destroy_is_as_recorded(at: Callable[[str], Bench]) -> None:
    """The recorded lines; what does not depend on each other goes side by side."""
    bench = at("5-delete")
    bench.up()
    printed = io.StringIO()
    run.destroy(bench.open(), Display(printed, "dev", "destroy"))
    _assert_same_lines(printed.getvalue(), (RECORDED / "6-destroy.txt").read_text())


def _assert_same_lines(ours: str, recorded: str) -> None:
    """Whole stacks and components have no duration worth a line: the real engine tells one end of theirs or both."""
    assert ours.splitlines()[0] == recorded.splitlines()[0]
    told, expected = set(_progress(ours)), set(_progress(recorded))
    assert expected <= told
    assert all(re.match(r" [+-]  (pulumi:pulumi:Stack|golden:index:Store) ", line) for line in told - expected)


def _progress(text: str) -> list[str]:
    kept = [line for line in text.splitlines() if line.startswith((" ~", " +", " -", "    ", "  ~", "  +", "  -"))]
    kept = [line for line in kept if "warnings" not in line]
    return [re.sub(r"\(\d[\d.]*s\)|AKIA[0-9A-F]{16}", "…", line) for line in kept]


def test_recorded_secrets_open_with_the_passphrase() -> None:
    """Key derivation, cipher and text form are those of the real passphrase manager."""
    raw = json.loads((RECORDED / "1-create.checkpoint.json").read_text())
    salt = raw["checkpoint"]["latest"]["secrets_providers"]["state"]["salt"]
    manager = SecretsManager.open(ENVIRON["PULUMI_CONFIG_PASSPHRASE"], salt)
    outputs = unwrap(Checkpoint.from_json(raw, manager).outputs())
    assert outputs["password"] == "hunter2"
    assert re.fullmatch(r"AKIA\w{16}", outputs["accessKeyId"])
    assert isinstance(outputs["secretAccessKey"], str)
