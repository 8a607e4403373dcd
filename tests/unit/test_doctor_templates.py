"""The doctor on templates that the stack does not name: who uploads here all the same, and who no longer does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from recordings.doctor import templates
from recordings.doctor.findings import Finding, Severity, look
from recordings.doctor.patient import Patient
from recordings.errors import AccessDeniedError, HmsNotFoundError
from recordings.hms_models import Template
from recordings.outputs import StackOutputs
from recordings.upload_settings import Upload, with_upload
from tests.unit.hms_fake import MemoryStore, stack_outputs

HERE = with_upload({}, Upload.from_outputs(stack_outputs()))
OLD_KEY = with_upload({}, Upload.from_outputs(stack_outputs(key="AKIAOLD")))
ELSEWHERE = with_upload({}, Upload.from_outputs(stack_outputs(bucket="their-bucket")))
STRANGE: dict[str, Any] = {"recording": {"upload": ["x"]}}


@dataclass
class Workspace:
    """100ms with these templates, as far as the doctor asks."""

    settings: dict[str, dict[str, Any]]

    def templates(self) -> Iterator[Template]:
        return (Template(id=id_) for id_ in self.settings)

    def template(self, id_: str) -> Template:
        if id_ not in self.settings:
            raise HmsNotFoundError(f"no template {id_}")
        return Template(id=id_)

    def template_settings(self, id_: str) -> dict[str, Any]:
        self.template(id_)
        return self.settings[id_]

    def template_recordings(self, _: str) -> list[dict[str, Any]]:
        return [{"trackRecording": {"enabled": True}}]


class Refusing(MemoryStore):
    """A bucket in which the operator may not look."""

    def list(self, prefix: str = "") -> Any:
        raise AccessDeniedError("denied")


@dataclass
class At:
    """What the doctor needs of a patient."""

    hms: Workspace
    outputs: StackOutputs
    operator: MemoryStore = field(default_factory=MemoryStore)
    select: str = "--stack dev"

    def need_hms(self) -> Workspace:
        return self.hms


def found(
    settings: dict[str, dict[str, Any]], named: tuple[str, ...], remembered: tuple[str, ...], store: MemoryStore | None
) -> dict[str, Finding]:
    """What is said of each template, by title, without the modes."""
    at = At(Workspace(settings), stack_outputs(templateIds=list(named)), store or MemoryStore())
    for id_ in remembered:
        at.operator.put(f".recordings/registration/{id_}", b"{}")
    every = [one for each in templates.looks(cast(Patient, at)) for one in look(each)]
    return {one.title.removeprefix("template "): one for one in every if one.id == "template"}


CASES: list[tuple[dict[str, Any], tuple[str, ...], tuple[str, ...], dict[str, Severity]]] = [
    ({"a": HERE}, ("a",), (), {"a": Severity.FINE, templates.OTHERS: Severity.FINE}),
    ({"a": HERE, "b": HERE}, ("a",), ("b",), {"a": Severity.FINE, "b": Severity.WARNING}),
    ({"a": HERE, "b": HERE}, ("a",), (), {"a": Severity.FINE, "b": Severity.WARNING}),
    ({"a": HERE, "b": OLD_KEY}, ("a",), ("b",), {"a": Severity.FINE, "b": Severity.FAULT}),
    ({"a": HERE, "b": ELSEWHERE}, ("a",), ("b",), {"a": Severity.FINE, "b": Severity.WARNING}),
    ({"a": HERE, "b": ELSEWHERE}, ("a",), ("a",), {"a": Severity.FINE, templates.OTHERS: Severity.FINE}),
    ({"a": HERE}, ("a",), ("b",), {"a": Severity.FINE, "b": Severity.FINE}),
    (
        {"a": HERE, "b": STRANGE, "c": HERE},
        ("a",),
        (),
        {"a": Severity.FINE, "b": Severity.NOT_CHECKED, "c": Severity.WARNING},
    ),
    ({}, (), (), {"templates": Severity.WARNING}),
    ({"b": HERE}, (), ("b",), {"b": Severity.FINE}),
    ({"b": HERE}, (), (), {"b": Severity.FINE}),
    ({"b": ELSEWHERE}, (), ("b",), {"b": Severity.FAULT}),
    ({"b": HERE}, (), ("b", "c"), {"b": Severity.FINE, "c": Severity.WARNING}),
]


@pytest.mark.parametrize(("settings", "named", "remembered", "expected"), CASES)
def test_template_beside_the_stacks_is_looked_at(
    settings: dict[str, Any], named: tuple[str, ...], remembered: tuple[str, ...], expected: dict[str, Severity]
) -> None:
    """Whoever uploads here or was registered is told of once; where the stack names some, the others are not its own.

    A template that uploads here with an old key loses recordings, whoever named it; one that went elsewhere may have
    gone on purpose, unless the stack has no other.
    """
    seen = found(settings, named, remembered, None)
    assert {title: one.severity for title, one in seen.items()} == expected


def test_template_beside_the_stacks_is_named_with_both_ways_out() -> None:
    """Take it in, at the next place of the list, or put back what it had."""
    one = found({"a": HERE, "b": HERE}, ("a",), (), None)["b"]
    assert "recordings:templateIds[1]' b" in one.repair
    assert "recordings unregister --stack dev --template b" in one.repair


def test_bucket_that_may_not_be_read_hides_no_template() -> None:
    """What is remembered is not checked; who uploads here is told all the same."""
    seen = found({"a": HERE, "b": HERE}, ("a",), (), Refusing())
    assert {title: one.severity for title, one in seen.items()} == {
        "a": Severity.FINE,
        "b": Severity.WARNING,
        templates.BY_NAME: Severity.NOT_CHECKED,
    }
