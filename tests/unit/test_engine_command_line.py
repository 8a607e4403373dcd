"""The engine's command line: what a user of `pulumi`, or a CI job, types."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from sandbox.__main__ import arranged
from sandbox.engine import run
from sandbox.engine.cli import app
from sandbox.engine.options import Color, Look
from tests.unit.engine_exit_codes import CASES, Case
from tests.unit.engine_kit import Bench

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("preview --stack dev", "preview --stack dev"),
        ("--stack dev preview --json", "preview --stack dev --json"),
        ("--non-interactive -C there up -y", "up --non-interactive -C there -y"),
        ("--color=never stack -s dev output key", "stack output --color=never -s dev key"),
        ("config --stack dev set key -- -5", "config set --stack dev key -- -5"),
        ("--dir there start", "start --dir there"),
        ("--help", "--help"),
        ("stack --help", "stack --help"),
        ("", ""),
    ],
)
def test_options_before_the_command_are_taken(typed: str, meant: str) -> None:
    """As `pulumi` takes them; what follows the command stays as it is."""
    assert arranged(typed.split()) == meant.split()


def _commands(group: Any, path: str = "") -> Iterator[tuple[str, set[str]]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", {option for each in command.params for option in each.opts}


def test_every_command_takes_the_options_of_a_ci_job() -> None:
    """`--non-interactive` and `--color` go with every command of `pulumi`, also with those that never ask."""
    commands = dict(_commands(typer.main.get_command(app)))
    assert {"preview", "stack output", "config set"} <= commands.keys()
    for name, options in commands.items():
        assert {"--non-interactive", "--color", "--cwd"} <= options, name


def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A project in `folder`, and the environment in which commands find its state."""
    bench = Bench(folder)
    for name, value in {**bench.environ, "PULUMI_BACKEND_URL": (folder / "state").as_uri()}.items():
        monkeypatch.setenv(name, value)
    return bench


@pytest.mark.parametrize("option", ["--target", "--replace", "--parallel", "--policy-pack"])
def test_option_that_this_engine_has_not_is_refused_by_name(option: str) -> None:
    """Rather than ignored."""
    done = CliRunner().invoke(app, ["preview", option, "x"])
    assert done.exit_code == 1
    assert option in done.output


@pytest.mark.parametrize("case", CASES, ids=str)
def test_exit_code_is_that_of_pulumi(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that tells a stack that is not there from a refusal need not know which engine runs."""
    here(tmp_path, monkeypatch)

    def run(line: str, stack: str) -> int:
        return CliRunner().invoke(app, [*line.split(), "--stack", stack, "--cwd", str(tmp_path)]).exit_code

    Case("", 0).prepare(tmp_path)
    assert run("stack init", "dev") == run("config set size 1", "dev") == 0
    case.prepare(tmp_path)
    assert run(case.line, case.stack) == case.code


@pytest.mark.parametrize("command", ["refresh", "destroy"])
def test_misspelt_stack_is_not_done_with(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `pulumi` has it: 6, and no stack of that name comes to be."""
    bench = here(tmp_path, monkeypatch)
    done = CliRunner().invoke(app, [command, "--yes", "--stack", "prdo", "--cwd", str(tmp_path)])
    assert done.exit_code == 6
    assert "no stack named 'prdo'" in done.output
    assert bench.place().backend.stacks() == []


def test_colour_and_outputs_are_as_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--color` overrules the terminal, `--suppress-outputs` leaves outputs out."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    bench = Bench(tmp_path)
    bench.program('User("u", name="u")\npulumi.export("shown", "x")\n')
    shown = {}
    for name, look, stream in [
        ("always", Look(color=Color.ALWAYS), io.StringIO()),
        ("never", Look(color=Color.NEVER, suppress_outputs=True), Terminal()),
        ("auto", Look(), Terminal()),
    ]:
        monkeypatch.setattr(sys, "stdout", stream)
        stack = bench.open()
        run.preview(stack, look.show(stack))
        monkeypatch.undo()
        shown[name] = stream.getvalue()
    assert {name: "\x1b[" in text for name, text in shown.items()} == {"always": True, "never": False, "auto": True}
    assert {name: "shown" in text for name, text in shown.items()} == {"always": True, "never": False, "auto": True}


@pytest.mark.parametrize("command", ["preview", "up --yes", "refresh --yes", "destroy --yes"])
def test_newcomer_is_told_to_start_the_sandbox(command: str, tmp_path: Path) -> None:
    """With nothing in the environment, that comes before any other complaint."""
    Bench(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "sandbox", *command.split(), "--cwd", str(tmp_path)],
        cwd=ROOT,
        env={},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "python -m sandbox start" in done.stderr
    assert "python -m sandbox env" in done.stderr
    assert "passphrase" not in done.stderr
