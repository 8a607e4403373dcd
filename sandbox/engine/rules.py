"""Guard rules in front of every change to a stack with recordings: mandatory ones stop `up`.

Owns when the rules are asked, and what the engine says of the answer; the rules are `policy`'s, which is imported only
once a stack has recordings in it. They are asked twice. After the preview, of the whole plan: `up` stops before
anything changes. And before each step of the update, of that step alone: values are known then that the preview could
not show, and with --skip-preview there was no other time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from sandbox.engine.errors import DeploymentError
from sandbox.engine.state import seal
from sandbox.engine.steps import Sink, Step
from sandbox.engine.urns import ROOT_TYPE
from sandbox.values import Properties

if TYPE_CHECKING:
    from policy.model import Finding, Planned

_OURS: Final = "recordings:index:"


@dataclass
class Watch:
    """Stands between a run and its display, and keeps the steps for the rules.

    `config` is the stack's with secrets masked; `dry_run`: nothing is refused while the plan is made, but at its end.
    """

    sink: Sink
    config: Mapping[str, str]
    dry_run: bool
    ours: bool = False
    """Whether a resource of recordings has been among the steps; the rules speak of no other stack."""
    _steps: list[dict[str, Any]] = field(default_factory=list, repr=False)
    _planned: list[Planned] = field(default_factory=list, repr=False)
    _lock: RLock = field(default_factory=RLock, repr=False)

    def started(self, step: Step) -> None:
        """Keep the step. Raises DeploymentError for one that a mandatory rule refuses, before it is done."""
        entry = _entry(step)
        with self._lock:
            self._steps.append(entry)
            self.ours = self.ours or _OURS in step.urn
            refused = list(self._refused(entry)) if self.ours and not self.dry_run else []
        if refused:
            raise DeploymentError(_said(refused))
        self.sink.started(step)

    def finished(self, step: Step) -> None:
        """Pass it on."""
        self.sink.finished(step)

    def failed(self, step: Step, message: str) -> None:
        """Pass it on."""
        self.sink.failed(step, message)

    def diagnostic(self, severity: str, urn: str, message: str) -> None:
        """Pass it on."""
        self.sink.diagnostic(severity, urn, message)

    def exporting(self, urn: str, outputs: Properties) -> None:
        """Look at the outputs of a component or of the stack before they are kept. Raises DeploymentError.

        In a preview nobody can tell: the SDK says of an output that is not known yet not even whether it is a secret.
        """
        if not self.ours or self.dry_run:
            return
        with self._lock:
            refused = list(self._refused({"op": "same", "urn": urn, "newState": {"outputs": seal(outputs, None)}}))
        if refused:
            raise DeploymentError(_said(refused))

    def verdict(self, outputs: Properties, *, enforced: bool) -> None:
        """Tell what the rules find in the whole plan, with these outputs of the stack.

        Raises DeploymentError if `enforced` and a mandatory rule is broken.
        """
        if not self.ours:
            return
        from policy.evaluation import evaluate
        from policy.plans import gather

        for entry in self._steps:
            if entry["urn"].split("::")[2] == ROOT_TYPE and "newState" in entry:
                entry["newState"]["outputs"] = seal(outputs, None)
        facts = gather(self._steps, self.config, datetime.now(UTC))
        found = [finding for finding in evaluate(facts) if finding.decided]
        for finding in found:
            if not (enforced and finding.stops):
                self.sink.diagnostic("info" if finding.waiver else "warning", finding.urn, _text(finding))
        stopping = [finding for finding in found if finding.stops]
        if enforced and stopping:
            raise DeploymentError(f"{_said(stopping)}\nNothing was changed.")

    def _refused(self, entry: Mapping[str, Any]) -> Iterator[Finding]:
        from policy.evaluation import refused
        from policy.plans import facts_of, planned

        if entry["op"] == "import":
            return  # nothing is changed by it; what is to be changed afterwards is a step of its own
        taken_over = [step for step in self._steps if step["urn"] == entry["urn"] and step["op"] == "import"]
        self._planned += planned([*taken_over, entry])
        yield from refused(self._planned[-1], facts_of(self._planned, self.config, datetime.now(UTC), complete=False))


def _entry(step: Step) -> dict[str, Any]:
    """The step as `preview --json` shows it: secrets are masked."""
    entry: dict[str, Any] = {"op": step.op.value, "urn": step.urn}
    for key, state in (("oldState", step.old), ("newState", step.new)):
        if state is not None:
            entry[key] = state.to_json(None)
    return entry


def _said(findings: Sequence[Finding]) -> str:
    lines = "\n".join(f"  {finding.name}: {_text(finding)}" for finding in findings)
    return f"guard rules refuse this update:\n{lines}\n  To let one off for a time, use recordings:waivers."


def _text(finding: Finding) -> str:
    rule = finding.rule
    waived = f" Waived until {finding.waiver.expires}: {finding.waiver.reason}." if finding.waiver else ""
    return f"[{rule.id}, {rule.severity}] {finding.message}. {rule.reason} {rule.remedy}{waived}"
