"""Guard rules and the report on previews, in front of the sandbox: what is shipped passes, what is not is stopped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from scripts.preview import document, report
from scripts.preview.verdict import Verdict, judge
from tests.functional.project import ROOT, Project


@pytest.mark.parametrize("stack", ["dev", "dev-gcs", "staging", "prod"])
def test_first_preview_of_a_shipped_stack_is_safe(stack: str, project_at: Callable[..., Project]) -> None:
    """Rules see the whole of it in the first preview, and have nothing to say, not even that they can't tell."""
    project = project_at(stack)
    file = Path(f"Pulumi.{stack}.yaml")
    (project.folder / file).write_text((ROOT / file).read_text())
    judgement = judge(document.read(project.engine("preview", "--json").stdout), datetime.now(UTC))
    assert (judgement.verdict, judgement.ruled, list(judgement.findings)) == (Verdict.SAFE, True, [])
    assert report.markdown(judgement).startswith("**✅ Safe**: only new resources.")


def test_up_of_an_unprotected_production_stack_changes_nothing(project_at: Callable[..., Project]) -> None:
    """The preview tells it, its report is dangerous, and `up` ends with 1 before anything changes; a waiver lets it."""
    config = {"bucketName": "unprotected-recordings", "corsOrigins": ["https://a.example"], "accessLogBucket": "logs"}
    project = project_at("prod", **config)
    preview = project.engine("preview", "--json").stdout
    told = project.run("-m", "scripts.preview_diff", "-", "--fail-on", "dangerous", input=preview, check=False)
    assert told.returncode == 1
    assert "| **stops** | `unprotected` |" in told.stdout
    refused = project.engine("up", "--yes", check=False)
    assert refused.returncode == 1
    assert "[unprotected, mandatory]" in refused.stderr
    assert "no stack named" in project.engine("stack", "output", check=False).stderr
    waiver = {"id": "unprotected", "reason": "taken down next week", "expires": "2999-01-01"}
    file = project.folder / "Pulumi.prod.yaml"
    settings = yaml.safe_load(file.read_text())
    settings["config"]["recordings:waivers"] = [waiver]
    file.write_text(yaml.safe_dump(settings))
    assert "taken down next week" in project.engine("preview").stdout
