"""`scripts.teardown` and `scripts.pr_stack` as commands: exit codes, what is printed, and that a guard asks first."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from recordings.cli.frame import Frame
from recordings.outputs import StackOutputs
from recordings.registration import Place
from recordings.teardown import Teardown
from scripts import pr_stack, teardown
from tests.unit.hms_fake import stack_outputs
from tests.unit.teardown_world import NAME, World

Run = Callable[..., Result]


@contextmanager
def commands(world: World) -> Iterator[Run]:
    """Runs a script in this process, on the world."""

    @contextmanager
    def place(outputs: StackOutputs, frame: Frame) -> Iterator[Place]:
        yield world.place()

    apps = {"pr_stack": pr_stack.app, "teardown": typer.Typer()}
    apps["teardown"].command()(teardown.teardown)

    def run(script: str, *arguments: str) -> Result:
        return CliRunner().invoke(apps[script], arguments)

    with pytest.MonkeyPatch.context() as patch:
        for module in (pr_stack, teardown):
            patch.setattr(module, "pulumi", world.pulumi)
            patch.setattr(module, "open_place", place)
        patch.setattr(pr_stack, "load_outputs", lambda *_: stack_outputs(templateIds=["home-template"]))
        patch.setattr(teardown, "Teardown", partial(Teardown, deactivate=world.deactivate))
        for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY", "GITHUB_EVENT_PATH", "TEST_STACK_LIFE"):
            patch.delenv(name, raising=False)
        yield run


@pytest.fixture
def world() -> World:
    return World.deployed()


def test_dry_run_and_run_print_the_same_steps(world: World) -> None:
    """Word by word; the result is one object with --json, and nothing is done twice."""
    with commands(world) as run:
        dry = run("teardown", "--stack", NAME, "--dry-run", "--json")
        assert (dry.exit_code, world.events, world.stacks) == (0, [], {NAME: 16})
        done = run("teardown", "--stack", NAME, "--json")
    assert done.exit_code == 0, done.output
    assert dry.stderr.replace("would: ", "now: ") == done.stderr
    assert json.loads(dry.stdout)["steps"] == json.loads(done.stdout)["steps"]
    assert world.stacks == {}


def test_stack_that_is_not_there_is_done(world: World) -> None:
    """Taken down already, or never made: nothing to do, and said so."""
    world.stacks.clear()
    with commands(world) as run:
        done = run("teardown", "--stack", NAME)
    assert (done.exit_code, world.events) == (0, [])
    assert "does not exist: nothing to do" in done.stdout


def test_lasting_stack_needs_its_name() -> None:
    """Exit code 2 and nothing changed, also where nobody can be asked; a dry run says that it would be needed."""
    world = World.deployed(environment="prod", expiresAt=None)
    with commands(world) as run:
        for wrong in ([], ["--confirm", "prod"]):
            refused = run("teardown", "--stack", NAME, *wrong)
            assert refused.exit_code == 2
            assert f"--confirm {NAME}" in refused.stderr
        assert "would have to be named" in run("teardown", "--stack", NAME, "--dry-run").stdout
        assert world.events == []
        assert run("teardown", "--stack", NAME, "--confirm", NAME).exit_code == 0


def test_recording_on_its_way_ends_with_four(world: World) -> None:
    """The time to come back is in the error object."""
    world.record("running")
    with commands(world) as run:
        waits = run("teardown", "--stack", NAME, "--json")
    assert waits.exit_code == 4
    assert "until" in json.loads(waits.stdout)["error"]


# a stack for a pull request


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    content: dict[str, Any] = {"config": {"aws:region": "eu-west-1", "recordings:bucketName": "acme"}}
    (tmp_path / "Pulumi.dev.yaml").write_text(yaml.safe_dump(content))
    return tmp_path


def test_made_again_it_keeps_template_and_encryption(world: World, project: Path) -> None:
    """A job that checks the project out anew writes the same file, with what Pulumi kept beside its configuration."""
    make = ("pr_stack", "make", "--home", "dev", "--pool", "t1, t2", "--number", "8", "--json")
    file = project / "Pulumi.pr-8.yaml"
    with commands(world) as run:
        first = json.loads(run(*make).stdout)
        assert world.stacks["pr-8"] == 0
        before = yaml.safe_load(file.read_text())
        assert before["encryptionsalt"] == "v1:salt"
        file.unlink()
        second = run(*make)
    assert second.exit_code == 0, second.output
    assert json.loads(second.stdout)["template"] == first["template"] == "t1"
    after = yaml.safe_load(file.read_text())
    assert after["encryptionsalt"] == "v1:salt"
    assert {**after["config"], "recordings:expiresAt": ""} == {**before["config"], "recordings:expiresAt": ""}


def test_dry_run_leases_nothing(world: World, project: Path) -> None:
    """The steps, and no lease, no file, no stack."""
    with commands(world) as run:
        dry = run("pr_stack", "make", "--home", "dev", "--pool", "t1", "--number", "8", "--dry-run", "--json")
    assert len(json.loads(dry.stdout)["steps"]) == 4
    assert not (project / "Pulumi.pr-8.yaml").exists()
    assert "pr-8" not in world.stacks
    assert ".recordings/leases" not in world.store.objects


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--pool", "", "--number", "8"], "pool of templates is empty"),
        (["--pool", "../x", "--number", "8"], "not a template id"),
        (["--pool", "t1 home-template", "--number", "8"], "itself"),
        (["--pool", "t1"], "GITHUB_EVENT_PATH"),
        (["--pool", "t1", "--number", "8", "--like", "other"], "Pulumi.other.yaml"),
        (["--pool", "t1", "--number", "8", "--expires-in", "soon"], "no duration"),
    ],
)
def test_bad_input_changes_nothing(arguments: list[str], word: str, world: World, project: Path) -> None:
    """Exit code 2, one message, no lease."""
    with commands(world) as run:
        refused = run("pr_stack", "make", "--home", "dev", *arguments)
    assert refused.exit_code == 2, refused.output
    assert word in refused.stderr
    assert ".recordings/leases" not in world.store.objects


def test_somebody_elses_stack_is_not_taken_for_a_test_stack(world: World, project: Path) -> None:
    """A stack of that name which is there and has no end is refused."""
    world.raw["expiresAt"] = None
    with commands(world) as run:
        refused = run("pr_stack", "make", "--home", "dev", "--pool", "t1", "--number", "7")
    assert refused.exit_code == 2
    assert "no test stack" in refused.stderr
