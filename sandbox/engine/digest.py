"""A run as one JSON object, in the form of `pulumi preview --json`.

Source: https://www.pulumi.com/docs/iac/cli/commands/pulumi_preview/
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import RLock
from typing import Any, TextIO

from sandbox.engine.display import UNCOUNTED, is_hidden
from sandbox.engine.state import Resource
from sandbox.engine.steps import Op, Step
from sandbox.engine.urns import ROOT_TYPE
from sandbox.engine.values import mark_secrets, mask
from sandbox.values import Properties

_SHOWN = {Op.CREATE, Op.UPDATE, Op.DELETE, Op.REPLACE, Op.READ, Op.DISCARD, Op.IMPORT, Op.REFRESH}


@dataclass
class Digest:
    """Collects one run and prints it to `stream` at its end. `config` is shown as given: with secrets masked.

    `show_sames`: resources that stay as they are are shown as well.
    """

    stream: TextIO
    config: Mapping[str, str]
    show_sames: bool = False
    changes: Counter[str] = field(default_factory=Counter)
    _steps: list[dict[str, Any]] = field(default_factory=list)
    _messages: list[dict[str, str]] = field(default_factory=list)
    _started: float = field(default_factory=time.monotonic)
    _lock: RLock = field(default_factory=RLock)

    def begin(self, *, dry_run: bool) -> None:
        """A run begins; a former one is forgotten."""
        self._started = time.monotonic()
        self._steps.clear()
        self._messages.clear()
        self.changes.clear()

    def started(self, step: Step) -> None:
        """Keep a step as it stands before it is done."""
        shown = step.op in _SHOWN or step.resource.type == ROOT_TYPE or _protection_changes(step)
        if is_hidden(step) or not (shown or (self.show_sames and step.op is Op.SAME)):
            return
        entry: dict[str, Any] = {"op": step.op.value, "urn": step.urn}
        if step.resource.provider:
            entry["provider"] = step.resource.provider
        if step.old is not None:
            entry["oldState"] = _former(step.old, step.new).to_json(None)
        if step.new is not None:
            entry["newState"] = step.new.to_json(None)
        if step.diff is not None:
            if step.diff.changed and step.resource.custom:
                entry["diffReasons"] = list(step.diff.changed)
            if step.diff.replaces:
                entry["replaceReasons"] = list(step.diff.replaces)
        entry["detailedDiff"] = _detailed(step)
        with self._lock:
            self._steps.append(entry)

    def finished(self, step: Step) -> None:
        """Count a step."""
        if not is_hidden(step) and step.op not in UNCOUNTED:
            with self._lock:
                self.changes[step.op.value] += 1

    def failed(self, step: Step, message: str) -> None:
        """Keep why a step failed."""
        self.diagnostic("error", step.urn, message)

    def diagnostic(self, severity: str, urn: str, message: str) -> None:
        """Keep a message."""
        with self._lock:
            self._messages.append({"urn": urn, "message": message, "severity": severity})

    def end(self, outputs: Properties, former: Properties) -> None:
        """Print the object."""
        for entry in self._steps:
            if entry["urn"].split("::")[2] == ROOT_TYPE and "outputs" in entry.get("oldState", ()):
                # what is a secret output now was perhaps none when the step was noted
                entry["oldState"]["outputs"] = mask(mark_secrets(former, outputs))
        self.diagnostics()

    def diagnostics(self, failure: str = "") -> None:
        """Print what there is; a run that failed has no further end, and `failure` is its last message."""
        with self._lock:
            if failure:
                self._messages.append({"message": f"error: {failure}\n", "severity": "error"})
            whole = {
                "config": dict(self.config),
                "steps": self._steps,
                "diagnostics": self._messages,
                "duration": int((time.monotonic() - self._started) * 1e9),
                "changeSummary": dict(sorted(self.changes.items())),
            }
            print(json.dumps(whole, indent=4, ensure_ascii=False), file=self.stream, flush=True)


def _former(old: Resource, new: Resource | None) -> Resource:
    """What became a secret is shown as one in the former state too."""
    if new is None:
        return old
    inputs, outputs = (mark_secrets(former, new.inputs) for former in (old.inputs, old.outputs))
    return old.copy(inputs=inputs, outputs=outputs)


def _protection_changes(step: Step) -> bool:
    """Of what stays the same otherwise."""
    if step.op is not Op.SAME or step.old is None or step.new is None:
        return False
    return step.old.protect != step.new.protect


def _detailed(step: Step) -> dict[str, dict[str, Any]] | None:
    detailed = step.detailed
    if detailed is None:
        return None
    return {
        path: {"kind": kind.value, "inputDiff": from_inputs} for path, (kind, from_inputs) in sorted(detailed.items())
    }
