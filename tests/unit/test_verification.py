"""How checks run, wait and explain themselves."""

from __future__ import annotations

import pytest

from recordings.cli.checks import conclude, show_check
from recordings.cli.frame import Frame
from recordings.errors import (
    AccessDeniedError,
    CredentialsError,
    HmsRefusedError,
    OrganisationPolicyError,
    PreconditionError,
    RecordingsError,
    StoreUnreachableError,
    WrongRegionError,
)
from recordings.verification import Probe, Status, storage
from recordings.verification.checks import (
    CREDENTIALS,
    FORBIDDEN,
    PERMISSIONS,
    REGION,
    Check,
    Fault,
    NotRun,
    Warned,
    fix_for,
    run_probes,
)
from tests.unit.hms_fake import Clock
from tests.unit.verification_scene import answering, context_on, refusing


def probe(id_: str, outcome: str | Exception, *needs: str) -> Probe:
    def run() -> str:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return Probe(id_, f"title of {id_}", run, needs)


def test_each_outcome_is_told_apart_and_reported_at_once() -> None:
    """Passed, failed, not run, a failure by an error, and a warning, in their order."""
    reported: list[Check] = []
    probes = [
        probe("a", "fine"),
        probe("b", Fault("seen", "do this")),
        probe("c", NotRun("reason", "enable it")),
        probe("d", AccessDeniedError("denied")),
        probe("e", Warned("seen", "ask for it")),
    ]
    assert run_probes(probes, reported.append) == reported
    assert [(check.id, check.status, check.detail, check.fix) for check in reported] == [
        ("a", Status.PASSED, "fine", ""),
        ("b", Status.FAILED, "seen", "do this"),
        ("c", Status.NOT_RUN, "reason", "enable it"),
        ("d", Status.FAILED, "denied", PERMISSIONS),
        ("e", Status.WARNING, "seen", "ask for it"),
    ]


def test_check_that_needs_a_failed_one_is_not_run() -> None:
    """Neither it nor what needs it in turn; others go on."""
    probes = [probe("a", Fault("x", "y")), probe("b", "fine", "a"), probe("c", "fine", "b"), probe("d", "fine")]
    checks = run_probes(probes, lambda _: None)
    assert [(check.status, check.detail) for check in checks[1:]] == [
        (Status.NOT_RUN, "needs a"),
        (Status.NOT_RUN, "needs b"),
        (Status.PASSED, "fine"),
    ]


def test_check_that_needs_a_warned_one_is_run() -> None:
    """A warning is no failure: what it is about works."""
    checks = run_probes([probe("a", Warned("x", "y")), probe("b", "fine", "a")], lambda _: None)
    assert [check.status for check in checks] == [Status.WARNING, Status.PASSED]


def test_warnings_are_counted_and_fail_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """One line, its fix, and a summary that counts it for itself; the process goes on."""
    check = Check("a", "title of a", Status.WARNING, "seen", "ask for it")
    frame = Frame(as_json=False)
    show_check(frame, check)
    conclude(frame, [check, Check("b", "title of b", Status.PASSED, "fine")])
    said = capsys.readouterr().out
    assert said.startswith("warning ")
    assert "fix: ask for it" in said
    assert "1 passed, 0 failed, 0 not run, 1 with a warning" in said


def test_bug_is_not_taken_for_a_failed_check() -> None:
    """An exception that nobody foresaw comes out."""
    with pytest.raises(ZeroDivisionError):
        run_probes([probe("a", ZeroDivisionError())], lambda _: None)


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (CredentialsError("x"), CREDENTIALS),
        (OrganisationPolicyError("x"), FORBIDDEN),
        (AccessDeniedError("x"), PERMISSIONS),
        (WrongRegionError("x"), REGION),
        (StoreUnreachableError("x"), "network"),
        (HmsRefusedError("x"), "100ms: see its message"),
        (RecordingsError("x"), "see the message"),
    ],
)
def test_fix_is_named_by_the_kind_of_error(error: RecordingsError, fix: str) -> None:
    """Credentials, permissions, region, network, 100ms: each its own words."""
    assert fix_for(error).startswith(fix)


def test_new_key_is_waited_for_up_to_a_minute() -> None:
    """Refused 20 s, then usable: passes. Refused for ever: given up after 60 s, and each later check at once."""
    clock = Clock()
    begun = clock.time

    def act() -> str:
        if clock.time < begun + 20:
            raise CredentialsError("InvalidAccessKeyId")
        return "usable"

    with context_on(answering(200), clock) as context:
        assert context.usable(act) == "usable"
        assert clock.time - begun < 30
        with pytest.raises(CredentialsError):
            context.usable(refusing(CredentialsError("x")))
        assert 55 <= clock.time - begun <= 90
        given_up = clock.time
        with pytest.raises(CredentialsError):
            context.usable(refusing(CredentialsError("x")))
        assert clock.time == given_up


def test_missing_permission_is_waited_for_a_quarter_of_that() -> None:
    """A policy takes effect sooner than a key, and a wrong one never does."""
    clock = Clock()
    begun = clock.time
    with context_on(answering(200), clock) as context, pytest.raises(AccessDeniedError):
        context.usable(refusing(AccessDeniedError("x")))
    assert 10 <= clock.time - begun <= 20


def test_organisation_policy_is_not_waited_for() -> None:
    """It says no on purpose: the next try would hear the same."""
    clock = Clock()
    begun = clock.time
    with context_on(answering(200), clock) as context, pytest.raises(OrganisationPolicyError):
        context.usable(refusing(OrganisationPolicyError("x")))
    assert clock.time == begun


def test_put_in_doubt_is_ours_for_nobody_else_knows_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that can neither overwrite nor read lost an answer: that is no fault of the stack."""
    with context_on(answering(200)) as context:
        monkeypatch.setattr(context.writer, "put", lambda *_, **__: refusing(PreconditionError("x"))())
        assert storage.writer_put(context) == "1,024 bytes, at the second try"
