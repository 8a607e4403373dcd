"""`scripts.post_deploy`, as a user runs it after `pulumi up`."""

from __future__ import annotations

import json

from tests.functional.project import Project


def _post_deploy(project: Project, *arguments: str, check: bool = True) -> tuple[int, str, str]:
    template = project.env["HMS_TEMPLATE_ID"]
    done = project.run(
        "-m", "scripts.post_deploy", "--outputs", "-", "--template", template, *arguments,
        input=project.raw_outputs(), check=check,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_post_deploy_dry_run(deployed_project: Project) -> None:
    """A dry run names the registration's steps and changes nothing: the next one names the same."""
    runs = [_post_deploy(deployed_project, "--dry-run", "--json") for _ in range(2)]
    assert "would: register bucket" in runs[0][2]
    assert runs[0] == runs[1]
    told = json.loads(runs[0][1])
    assert told["register"]["dryRun"] is True
    assert told["verify"] is None


def test_post_deploy_registers_then_verifies(deployed_project: Project) -> None:
    """One command leaves the template registered and every check passed; a second run registers nothing."""
    try:
        _, shown, story = _post_deploy(deployed_project)
        assert "now: register bucket" in story
        assert "0 failed, 0 not run" in shown
        _, again, story = _post_deploy(deployed_project, "--json")
        told = json.loads(again)
        assert list(told["register"]["templates"].values()) == ["was registered already"]
        assert told["verify"]["passed"] is True
        assert "now:" not in story
    finally:
        template = deployed_project.env["HMS_TEMPLATE_ID"]
        deployed_project.recordings("unregister", "--template", template)


def test_post_deploy_stops_at_a_refused_registration(deployed_project: Project) -> None:
    """Where registering fails, verify does not run, and the exit code is that of the failure."""
    raw = json.loads(deployed_project.raw_outputs())
    raw["expectedCustomer"] = "0" * 24
    template = deployed_project.env["HMS_TEMPLATE_ID"]
    done = deployed_project.run(
        "-m", "scripts.post_deploy", "--outputs", "-", "--template", template, input=json.dumps(raw), check=False
    )  # fmt: skip
    assert done.returncode == 2
    assert "expectedCustomer" in done.stderr
    assert "Traceback" not in done.stderr
    assert "passed" not in done.stdout
