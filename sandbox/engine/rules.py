"""Guard rules in front of every change to a stack with recordings: mandatory ones stop `up`.

Owns when the rules are asked, and what the engine says of the answer; the rules are `policy`'s, which is imported only
once a stack has recordings in it. They are asked twice. After the preview, of the whole plan: `up` stops before
anything changes. And before each step of the update, of that step alone: values are known then that the preview could
not show, and with --skip-preview there was no other time. Each time they see it twice: as it is shown, and with secrets
opened, or a policy that is marked as a secret could say anything. What only the second finds is told without the value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import RLock
from typing import TYPE_CHECKING, Any, Final

from sandbox.engine.errors import DeploymentError
from sandbox.engine.state import seal
from sandbox.engine.steps import Sink, Step
from sandbox.engine.urns import ROOT_TYPE
from sandbox.engine.values import contains_secret, unwrap
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
    _shown: _Sight = field(default_factory=lambda: _Sight())
    _opened: _Sight = field(default_factory=lambda: _Sight())
    _lock: RLock = field(default_factory=RLock, repr=False)

    def started(self, step: Step) -> None:
        """Keep the step. Raises DeploymentError for one that a mandatory rule refuses, before it is done."""
        shown = _entry(step)
        opened = _entry(_with_open_inputs(step)) if _has_secret_inputs(step) else shown
        with self._lock:
            self._shown.steps.append(shown)
            self._opened.steps.append(opened)
            self.ours = self.ours or _OURS in step.urn
            refused = list(self._refused(shown, opened)) if self.ours and not self.dry_run else []
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
            entry = {"op": "same", "urn": urn, "newState": {"outputs": seal(outputs, None)}}
            refused = list(self._refused(entry, entry))
        if refused:
            raise DeploymentError(_said(refused))

    def verdict(self, outputs: Properties, *, enforced: bool) -> None:
        """Tell what the rules find in the whole plan, with these outputs of the stack.

        Raises DeploymentError if `enforced` and a mandatory rule is broken.
        """
        if not self.ours:
            return
        for entry in self._shown.steps:
            if entry["urn"].split("::")[2] == ROOT_TYPE and "newState" in entry:
                entry["newState"]["outputs"] = seal(outputs, None)
        found = self._shown.findings(self.config)
        if any(opened is not shown for opened, shown in zip(self._opened.steps, self._shown.steps, strict=True)):
            found += _untold(found, self._opened.findings(self.config))
        for finding in found:
            if not (enforced and finding.stops):
                self.sink.diagnostic("info" if finding.waiver else "warning", finding.urn, _text(finding))
        stopping = [finding for finding in found if finding.stops]
        if enforced and stopping:
            raise DeploymentError(f"{_said(stopping)}\nNothing was changed.")

    def _refused(self, shown: Mapping[str, Any], opened: Mapping[str, Any]) -> Iterator[Finding]:
        if shown["op"] == "import":
            return  # nothing is changed by it; what is to be changed afterwards is a step of its own
        self._shown.keep(shown)
        self._opened.keep(opened)
        found = self._shown.refused(self.config)
        yield from found
        if opened is not shown:
            yield from _untold(found, self._opened.refused(self.config))


@dataclass
class _Sight:
    """The steps of a run as the rules see them."""

    steps: list[dict[str, Any]] = field(default_factory=list, repr=False)
    _planned: list[Planned] = field(default_factory=list, repr=False)

    def findings(self, config: Mapping[str, str]) -> list[Finding]:
        """What can be decided about the whole plan."""
        from policy.evaluation import evaluate
        from policy.plans import gather

        return [finding for finding in evaluate(gather(self.steps, config, datetime.now(UTC))) if finding.decided]

    def keep(self, entry: Mapping[str, Any]) -> None:
        """Have a step among those that the next ones are judged with."""
        from policy.plans import planned

        taken_over = [step for step in self.steps if step["urn"] == entry["urn"] and step["op"] == "import"]
        self._planned += planned([*taken_over, entry])

    def refused(self, config: Mapping[str, str]) -> list[Finding]:
        """What stops the step that was kept last."""
        from policy.evaluation import refused
        from policy.plans import facts_of

        return list(refused(self._planned[-1], facts_of(self._planned, config, datetime.now(UTC), complete=False)))


def _untold(found: Sequence[Finding], opened: Sequence[Finding]) -> list[Finding]:
    """What is only found with secrets opened; rules on what is marked as a secret have nothing to say there."""
    from policy.rules import secrets

    known = {(finding.rule.id, finding.urn) for finding in found}
    said = {rule.id for rule in secrets.RULES}
    return [
        replace(finding, message="a value that is marked as a secret breaks the rule")
        for finding in opened
        if finding.rule.id not in said and (finding.rule.id, finding.urn) not in known
    ]


def _has_secret_inputs(step: Step) -> bool:
    return any(contains_secret(state.inputs) for state in (step.old, step.new) if state is not None)


def _with_open_inputs(step: Step) -> Step:
    old, new = (state and state.copy(inputs=unwrap(state.inputs)) for state in (step.old, step.new))
    return replace(step, old=old, new=new)


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
