"""The embedded engine beside a real `pulumi`, on the sandbox and with the same stand-in provider.

Stacks move from one to the other with no change, and both plan and record the same for every programme of
`tests/data/programs/`. Without a `pulumi` on PATH there is nothing to compare with, and the tests are reported as
skipped. What cannot be the same is put away before comparing: random names, ids of keys, times, ciphertexts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.servers import Sandbox
from tests.unit.engine_exit_codes import CASES, Case

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted((ROOT / "tests" / "data" / "programs").iterdir())
STEPS = (1, 2, 3)
REAL = shutil.which("pulumi")

pytestmark = pytest.mark.skipif(REAL is None, reason="no `pulumi` on PATH to compare the embedded engine with")


@dataclass(frozen=True)
class Engine:
    """One of the two, on one project folder, stack and state folder."""

    command: tuple[str, ...]
    env: dict[str, str]
    project: Path
    stack: str

    def run(self, *arguments: str, check: bool = True, of_stack: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of the engine; with `check` it must succeed."""
        stack = ("--stack", self.stack) if of_stack else ()
        command = [*self.command, *arguments, *stack, "--cwd", str(self.project)]
        done = subprocess.run(
            command, cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300
        )
        assert not check or done.returncode == 0, (
            f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
        return done

    def configure(self, **values: Any) -> None:
        """Set keys (`__` stands for `:`) in the stack's configuration file, whatever else the engine keeps there."""
        path = self.project / f"Pulumi.{self.stack}.yaml"
        settings = yaml.safe_load(path.read_text()) if path.exists() else {}
        config = settings.setdefault("config", {})
        config.update({key.replace("__", ":"): value for key, value in values.items()})
        path.write_text(yaml.safe_dump(settings))

    def checkpoint(self) -> list[dict[str, Any]]:
        """The resources in the state."""
        state = Path(self.env["PULUMI_BACKEND_URL"].removeprefix("file://"))
        name = yaml.safe_load((self.project / "Pulumi.yaml").read_text())["name"]
        text = (state / ".pulumi" / "stacks" / name / f"{self.stack}.json").read_text()
        resources: list[dict[str, Any]] = json.loads(text)["checkpoint"]["latest"].get("resources", [])
        return resources


Make = Callable[[str, Path, str], Engine]


@pytest.fixture
def engine(sandbox: Sandbox, tmp_path: Path) -> Make:
    """Make an engine, `real` or `embedded`, on a project folder and a stack; both share one state folder."""
    state = tmp_path / "state"
    state.mkdir()
    path = os.pathsep.join([str(ROOT / "sandbox" / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]])
    env = {
        **os.environ,
        **sandbox.env,
        "PATH": path,
        "PULUMI_BACKEND_URL": state.as_uri(),
        "PULUMI_HOME": str(tmp_path / "home"),
        "PULUMI_SKIP_UPDATE_CHECK": "1",
        "PYTHONPATH": str(ROOT),
        "SANDBOX_PYTHON": sys.executable,
    }

    def make(kind: str, project: Path, stack: str) -> Engine:
        real = kind == "real"
        command = (str(REAL),) if real else (sys.executable, "-m", "sandbox")
        made = Engine(command, env, project, stack)
        if real and not (project / f"Pulumi.{stack}.yaml").exists():
            made.run("stack", "init")
        return made

    return make


def own_project(folder: Path, stack: str, provider: str) -> Path:
    """A project folder with this repository's program, for a bucket of `provider`."""
    folder.mkdir()
    for name in ("Pulumi.yaml", "__main__.py"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv").symlink_to(sys.prefix)  # Pulumi.yaml names it; where it is missing, the CLI would make one.
    settings = {"bucketName": f"handed-over-{stack}", "forceDestroy": True, "corsOrigins": ["https://a.example"]}
    settings["provider"] = provider
    place = {"aws:region": "us-east-1", "gcp:region": "europe-west1"}
    config = {**place, **{f"recordings:{key}": value for key, value in settings.items()}}
    (folder / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": config}))
    return folder


@pytest.mark.parametrize("provider", ["s3", "gcs"])
@pytest.mark.parametrize(("first", "second"), [("real", "embedded"), ("embedded", "real")])
def test_stack_moves_between_the_engines_with_no_change(
    first: str, second: str, provider: str, engine: Make, tmp_path: Path
) -> None:
    """Deployed by one, the other sees no change; changed by the other, the first sees none; and either destroys."""
    project = own_project(tmp_path / "project", first, provider)
    maker, taker = engine(first, project, first), engine(second, project, first)
    if first == "real":
        maker.run("stack", "init")
    maker.run("up", "--yes")
    taker.run("preview", "--expect-no-changes")
    taker.configure(recordings__corsOrigins=["https://b.example"])
    taker.run("up", "--yes")
    maker.run("preview", "--expect-no-changes")
    taker.run("refresh", "--yes", "--expect-no-changes")
    maker.run("refresh", "--yes", "--expect-no-changes")
    outputs = [each.run("stack", "output", "--json", "--show-secrets").stdout for each in (maker, taker)]
    assert json.loads(outputs[0]) == json.loads(outputs[1])
    taker.run("destroy", "--yes")
    assert maker.checkpoint() == []


def test_both_engines_know_what_is_deployed(engine: Make, tmp_path: Path) -> None:
    """Both refuse a change that moves `registeredKey` and drops the slot of before, also after the other's `up`."""
    project = own_project(tmp_path / "project", "keys", "s3")
    real = engine("real", project, "keys")
    real.run("stack", "init")
    embedded = engine("embedded", project, "keys")
    for first, second, slot, other in ((real, embedded, "blue", "green"), (embedded, real, "green", "blue")):
        first.configure(recordings__writerKeys={slot: "active"}, recordings__registeredKey=slot)
        first.run("up", "--yes", "--skip-preview")
        first.configure(recordings__writerKeys={other: "active"}, recordings__registeredKey=other)
        for each in (first, second):
            done = each.run("preview", check=False)
            assert done.returncode != 0
            assert f"Keep {slot}: active" in done.stdout + done.stderr
        both = {slot: "active", other: "active"}
        first.configure(recordings__writerKeys=both, recordings__registeredKey=other)
        second.run("up", "--yes", "--skip-preview")
    embedded.run("destroy", "--yes", "--skip-preview")


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.name)
def test_both_engines_do_the_same(program: Path, engine: Make, tmp_path: Path) -> None:
    """Each step: the same plan, the same success or refusal, the same state; in the end nothing is left."""
    engines = []
    for kind in ("real", "embedded"):
        project = tmp_path / kind
        shutil.copytree(program, project)
        engines.append(engine(kind, project, kind))
    for step in STEPS:
        for each in engines:
            each.configure(**{"aws__region": "us-east-1", f"{_name(program)}__step": step})
        if step > 1:  # That everything is created at first shows in the state well enough.
            _assert_same_plan(engines, step)
        done = _side_by_side(engines, "up", "--yes", "--skip-preview", check=False)
        assert bool(done[0].returncode) == bool(done[1].returncode), f"step {step}: {done[1].stdout}{done[1].stderr}"
        real, embedded = (_state(each) for each in engines)
        assert embedded == real, f"state after step {step}"
    _side_by_side(engines, "destroy", "--yes", "--skip-preview")
    assert [each.checkpoint() for each in engines] == [[], []]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_real_one_ends_with_the_exit_codes_that_the_embedded_one_is_held_to(
    case: Case, engine: Make, tmp_path: Path
) -> None:
    """What `tests/unit/test_engine_command_line.py` asks of the embedded engine is what the real one does."""
    project = tmp_path / "project"
    project.mkdir()
    Case("", 0).prepare(project)
    real = engine("real", project, "dev")
    real.run("config", "set", "size", "1")
    case.prepare(project)
    there = replace(real, stack=case.stack)
    assert there.run(*case.line.split(), check=False).returncode == case.code


OUTPUTS = """
import pulumi
pulumi.export("number", 1)
pulumi.export("truth", True)
pulumi.export("secret", pulumi.Output.secret("hidden"))
pulumi.export("object", {"list": [1, {"none": None}], "secret": pulumi.Output.secret(2), "text": "ü<&>"})
pulumi.export("lines", "a\\nb")
"""
SHOWN = (
    "config",
    "config --json",
    "config get size",
    "config get hidden",
    "config get object",
    "config get --json hidden",
    "config get --json object",
    "stack output",
    "stack output --json",
    "stack output --show-secrets",
    "stack output --json --show-secrets",
    "stack output secret",
    "stack output object",
    "stack output object --json --show-secrets",
    "stack output lines",
)


def test_both_engines_show_a_stack_in_the_same_words(engine: Make, tmp_path: Path) -> None:
    """Its configuration and outputs, as text and as JSON, secrets masked or not."""
    said = []
    for kind in ("real", "embedded"):
        project = tmp_path / kind
        project.mkdir()
        Case("", 0, {"__main__.py": OUTPUTS}).prepare(project)
        made = engine(kind, project, kind)
        if kind == "embedded":
            made.run("stack", "init")
        for line in (
            "size 1",
            "--secret hidden x",
            "--path object.list[0] y",
            "--path --secret object.s z",
            "aws:region us-east-1",
        ):
            made.run("config", "set", *line.split())
        empty = made.run("stack", "output").stdout
        made.run("up", "--yes", "--skip-preview")
        said.append({"": empty, **{line: made.run(*line.split()).stdout for line in SHOWN}})
    assert {line: text for line, text in said[1].items() if text != said[0][line]} == {}


def test_both_engines_list_stacks_alike(engine: Make, tmp_path: Path) -> None:
    """Those of both, when each was changed, and how many resources each has."""
    project = tmp_path / "project"
    project.mkdir()
    Case("", 0).prepare(project)
    engines = [engine(kind, project, kind) for kind in ("real", "embedded")]
    for each in engines:
        each.run("config", "set", "size", "1")
        each.run("up", "--yes", "--skip-preview")
    listed = [json.loads(each.run("stack", "ls", "--json", of_stack=False).stdout) for each in engines]
    assert [{**stack, "current": None} for stack in listed[0]] == [{**stack, "current": None} for stack in listed[1]]


def _assert_same_plan(engines: list[Engine], step: int) -> None:
    plans = _side_by_side(engines, "preview", "--json", check=False)
    assert bool(plans[0].returncode) == bool(plans[1].returncode), f"step {step}: {plans[1].stderr}"
    real, embedded = (_plan(plan.stdout, each.stack) for plan, each in zip(plans, engines, strict=True))
    assert embedded == real, f"plan of step {step}"


def _side_by_side(engines: list[Engine], *arguments: str, check: bool = True) -> list[subprocess.CompletedProcess[str]]:
    with ThreadPoolExecutor(len(engines)) as pool:
        return list(pool.map(lambda each: each.run(*arguments, check=check), engines))


def _name(program: Path) -> str:
    name: str = yaml.safe_load((program / "Pulumi.yaml").read_text())["name"]
    return name


_PLANNED = ("op", "urn", "diffReasons", "replaceReasons", "detailedDiff")
_RECORDED = (
    "urn",
    "type",
    "custom",
    "delete",
    "parent",
    "provider",
    "inputs",
    "outputs",
    "dependencies",
    "propertyDependencies",
    "protect",
    "retainOnDelete",
    "external",
    "additionalSecretOutputs",
    "aliases",
)
_RANDOM = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"\bA[KI]{1}[A-Z0-9]{18,20}\b"), "ID"),
    (re.compile(r"(?<=-)[0-9a-f]{7}\b"), "RANDOM"),
    (re.compile(r"v1:[A-Za-z0-9+/=]+:[A-Za-z0-9+/=]+"), "CIPHERTEXT"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
)


def _plan(text: str, stack: str) -> list[dict[str, Any]]:
    steps = json.loads(text)["steps"]
    return _comparable([{key: step[key] for key in _PLANNED if step.get(key)} for step in steps], stack)


def _state(engine: Engine) -> list[dict[str, Any]]:
    resources = engine.checkpoint()
    return _comparable([{key: each[key] for key in _RECORDED if each.get(key)} for each in resources], engine.stack)


def _comparable(entries: list[dict[str, Any]], stack: str) -> list[dict[str, Any]]:
    """Without what is random or another stack's name, in one order."""
    text = json.dumps(entries, sort_keys=True).replace(f":{stack}::", ":STACK::").replace(f"-{stack}", "-STACK")
    for pattern, word in _RANDOM:
        text = pattern.sub(word, text)
    plain: list[dict[str, Any]] = json.loads(text)
    for entry in plain:
        for key in ("dependencies", "diffReasons", "replaceReasons"):
            entry[key] = sorted(entry.get(key, []))
    return sorted(plain, key=lambda entry: json.dumps(entry, sort_keys=True))
