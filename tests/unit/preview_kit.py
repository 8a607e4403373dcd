"""Previews for the tests of their report: recorded ones, and ones of a single step."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.preview import document, report
from scripts.preview.verdict import Judgement, judge

DATA = Path(__file__).parents[1] / "data"
NOW = datetime(2026, 11, 23, tzinfo=UTC)
GOLDEN = [f"engine/{name}.preview.json" for name in ("1-create", "3-update", "4-replace")]
OURS = [f"previews/{name}.json" for name in ("change.real", "change.embedded", "create-gcs.real")]


def load(name: str) -> dict[str, Any]:
    raw: dict[str, Any] = json.loads((DATA / name).read_text())
    return raw


def judged(raw: object) -> Judgement:
    return judge(document.read(json.dumps(raw)), NOW)


def told(raw: object) -> str:
    return report.markdown(judged(raw))


def step(op: str = "update", name: str = "thing", **sides: Any) -> dict[str, Any]:
    """A step of one bucket; `old` and `new` are inputs, `old_outputs` and `new_outputs` what they say."""
    urn = f"urn:pulumi:dev::p::aws:s3/bucket:Bucket::{name}"
    made: dict[str, Any] = {"op": op, "urn": urn}
    for side in ("old", "new"):
        if side in sides:
            made[f"{side}State"] = {"urn": urn, "type": "aws:s3/bucket:Bucket", "inputs": sides[side]}
            made[f"{side}State"]["outputs"] = sides.get(f"{side}_outputs", {})
    return made


def preview(*steps: dict[str, Any], **config: str) -> dict[str, Any]:
    return {"config": config, "steps": list(steps), "changeSummary": {}}
