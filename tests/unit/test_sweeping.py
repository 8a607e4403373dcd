"""What a sweep may touch, and how it tells of what it did."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from subprocess import CompletedProcess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.cli.frame import Frame
from recordings.errors import NotDueError, RemoteError
from recordings.leases import Lease, Leases
from recordings.stacks import Character
from recordings.sweeping import LEASE_GRACE, Fate, Verdict, as_json, as_markdown, idle, judge
from recordings.teardown import Target, Wish
from recordings.teardown_waiting import Waiting
from scripts import sweep as script
from tests.unit.hms_fake import MemoryStore
from tests.unit.test_leases import leases as leases_in

NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
PAST, FUTURE = "2026-07-31T12:00:00Z", "2026-08-02T12:00:00Z"


def lease(expires: datetime, stack: str = "pr-1", since: datetime = NOW - DAY) -> Lease:
    return Lease("t1", stack, since, expires)


@pytest.mark.parametrize(
    ("character", "given", "fate"),
    [
        (Character("test", False, True, PAST), None, Fate.EXPIRED),
        (Character("test", False, True, "2026-07-31T13:00:00+02:00"), None, Fate.EXPIRED),
        (Character("test", False, True, FUTURE), lease(NOW - DAY), Fate.WANTED),
        (Character("test", False, True, None), lease(NOW - DAY), Fate.LEFT_ALONE),
        (Character("test", False, True, "soon"), lease(NOW - DAY), Fate.LEFT_ALONE),
        (Character("test", True, True, PAST), lease(NOW - DAY), Fate.LEFT_ALONE),
        (Character("prod", False, True, PAST), lease(NOW - DAY), Fate.LEFT_ALONE),
        (Character("staging", False, True, PAST), None, Fate.LEFT_ALONE),
        (Character(), None, Fate.LEFT_ALONE),
        (Character(), lease(NOW - DAY), Fate.EXPIRED),
        (Character(), lease(NOW + DAY), Fate.WANTED),
    ],
)
def test_only_what_says_so_itself_is_swept(character: Character, given: Lease | None, fate: Fate) -> None:
    """What the stack says goes before the lease, which counts only where nothing of the stack is left."""
    assert judge("pr-1", character, given, NOW).fate is fate


@given(
    st.sampled_from(["", "test", "dev", "staging", "prod", "production"]),
    st.booleans(),
    st.booleans(),
    st.one_of(st.none(), st.text(max_size=12), st.datetimes().map(lambda moment: f"{moment:%Y-%m-%dT%H:%M:%SZ}")),
    st.one_of(st.none(), st.just(lease(NOW - DAY))),
)
def test_kept_stacks_never_expire(
    environment: str, protect: bool, force: bool, expires: str | None, given: Lease | None
) -> None:
    """Over all combinations: expired only if unprotected, of a passing environment, and past a stated end."""
    character = Character(environment, protect, force, expires)
    if judge("s", character, given, NOW).fate is Fate.EXPIRED:
        assert not protect
        assert environment not in ("staging", "prod", "production")
        end = character.expires or (given.expires if given and character == Character() else None)
        assert end is not None
        assert end <= NOW


def test_idle_lease_has_no_stack_and_is_old() -> None:
    """A lease comes before its stack: a fresh one is left alone."""
    old, fresh = lease(NOW, "pr-1"), lease(NOW, "pr-2", NOW - LEASE_GRACE / 2)
    assert idle([old, fresh, lease(NOW, "pr-3")], ["pr-3"], NOW) == [old]


def test_report_tells_failures_first() -> None:
    """What needs people stands on top, with its reason in one line of the table."""
    verdicts = [
        Verdict("pr-2", Fate.SWEPT, "since then"),
        Verdict("dev", Fate.LEFT_ALONE, "no end"),
        Verdict("pr-1", Fate.FAILED, "a | b\nc"),
    ]
    text = as_markdown(verdicts)
    assert "1 of them could not be taken down" in text.splitlines()[0]
    assert text.splitlines()[4:] == [
        "| pr-1 | failed | a \\| b c |",
        "| pr-2 | swept | since then |",
        "| dev | left alone | no end |",
    ]
    assert as_json(verdicts)["sweep"]["failed"][0]["stack"] == "pr-1"
    assert "no stack" in as_markdown([])


# the sweep itself, with stacks that go wrong


class Cloud:
    """Answers of `pulumi`, and what becomes of each stack that is taken down."""

    def __init__(self, **ends: BaseException | None) -> None:
        self.ends = ends
        self.taken: list[str] = []

    def pulumi(self, *arguments: str, quiet: bool = False, story: bool = False) -> CompletedProcess[str]:
        name = arguments[-1]
        if arguments[:2] == ("stack", "ls"):
            text = json.dumps([{"name": each.replace("_", "-"), "resourceCount": 3} for each in self.ends])
        elif arguments[0] == "config":
            text = "{}"
        else:
            text = json.dumps({"expiresAt": PAST, "environment": name, "forceDestroy": True})
        return CompletedProcess(["pulumi", *arguments], 0, text)

    def look(self, stacks: Any, name: str, *, known_test: bool) -> Target | None:
        listed = stacks.find(name)
        return Target(listed, Character("test", False, True, PAST)) if listed else None

    def take_down(self, frame: Frame, target: Target, wish: Wish, waiting: Waiting, *, dry_run: bool) -> list[str]:
        self.taken.append(target.name)
        if (end := self.ends[target.name.replace("-", "_")]) is not None:
            raise end
        return []


@contextmanager
def swept(cloud: Cloud, leases: Leases | None, *, dry_run: bool = False) -> Iterator[dict[str, Fate]]:
    """Sweep in this process; gives the fate of each stack."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("pulumi", "look", "take_down"):
            patch.setattr(script, name, getattr(cloud, name))
        broom = script.Broom(Frame(), leases, Wish(), Waiting(), dry_run)
        yield {verdict.stack: verdict.fate for verdict in broom.sweep()}


def test_sweep_goes_on_after_each_kind_of_failure() -> None:
    """One refused, one not due, one broken by a fault of ours: the rest goes, and each is told."""
    later = NotDueError("later", NOW)
    cloud = Cloud(pr_1=RemoteError("refused"), pr_2=later, pr_3=KeyError("x"), prod=None, pr_4=None)
    with swept(cloud, None) as fates:
        pass
    assert fates == {
        "pr-1": Fate.FAILED,
        "pr-2": Fate.NOT_YET,
        "pr-3": Fate.FAILED,
        "prod": Fate.LEFT_ALONE,
        "pr-4": Fate.SWEPT,
    }
    assert cloud.taken == ["pr-1", "pr-2", "pr-3", "pr-4"]


def test_sweep_releases_leases_of_what_is_gone_alone() -> None:
    """A lease goes with its stack, or after it; where the stack could not be taken down it stays."""
    store, since = MemoryStore(), datetime.now(UTC) - DAY
    held = leases_in(store)
    for name in ("pr-1", "pr-2", "gone"):
        held.take(("t1", "t2", "t3"), name, since, since)
    cloud = Cloud(pr_1=None, pr_2=RemoteError("refused"))
    with swept(cloud, held, dry_run=True):
        assert len(held.all()) == 3
    with swept(cloud, held) as fates:
        assert fates["gone"] is Fate.RELEASED
    assert [each.stack for each in held.all()] == ["pr-2"]


@pytest.mark.parametrize(
    ("fates", "code"),
    [([Fate.SWEPT, Fate.LEFT_ALONE], 0), ([Fate.NOT_YET, Fate.SWEPT], 4), ([Fate.NOT_YET, Fate.FAILED], 1)],
)
def test_exit_code_of_a_sweep(fates: list[Fate], code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is 1, what only has to wait is 4."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    verdicts = [Verdict(f"s{number}", fate, "") for number, fate in enumerate(fates)]
    try:
        script.report(Frame(as_json=True), verdicts)
        ended = 0
    except SystemExit as end:
        ended = int(str(end.code))
    assert ended == code
