"""What scripts say to GitHub, and the nightly report: one comment, one issue, no conflict overwritten, nothing lost."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.errors import ConfigurationError, RemoteError, UsageError
from scripts import github, nightly
from scripts.github import LONGEST, Repository, fenced, headed, marked, write_outputs
from scripts.nightly import Outcome, Task, as_markdown
from tests.functional.fake_github import REPOSITORY, GitHub


def repository(hub: GitHub) -> Repository:
    """A client of the fake, with no socket."""

    def handle(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content or b"null")
        status, answer = hub.answer(request.method, request.url.path, dict(request.url.params), body)
        return httpx.Response(status, json=answer)

    base = f"https://api.github.com/repos/{REPOSITORY}/"
    return Repository(httpx.Client(transport=httpx.MockTransport(handle), base_url=base))


def test_comment_is_written_again_and_not_once_more() -> None:
    """One for each marker and pull request, found on whatever page; what people wrote is left alone."""
    hub = GitHub()
    hub.comments = {n: {"id": n, "of": 7, "html_url": "", "body": f"mine: {n}"} for n in range(1, 151)}
    first = repository(hub).comment(7, "preview-dev", "one")
    assert repository(hub).comment(7, "preview-dev", "two") == first
    repository(hub).comment(7, "preview-prod", "three")
    repository(hub).comment(8, "preview-dev", "four")
    ours = [each["body"].splitlines()[1] for each in hub.comments.values() if "mine" not in each["body"]]
    assert ours == ["two", "three", "four"]


def test_issue_is_one_while_it_is_open() -> None:
    """Closed, it is history, and a new one is opened; a pull request with the same text is none."""
    hub = GitHub()
    repository(hub).issue("t", "sweep", "")
    hub.issues[1]["pull_request"] = {}
    assert repository(hub).issue("t", "sweep", "one") == repository(hub).issue("t2", "sweep", "two")
    assert (len(hub.issues), hub.issues[2]["title"]) == (2, "t2")
    hub.issues[2]["state"] = "closed"
    repository(hub).issue("t", "sweep", "three")
    assert len(hub.issues) == 3


def test_changed_file_is_committed_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same content is no commit; one that changed meanwhile is not overwritten."""
    monkeypatch.chdir(tmp_path)
    hub, file = GitHub(files={"Pulumi.dev.yaml": b"config: {}\n"}), Path("Pulumi.dev.yaml")
    hub.at["start"] = dict(hub.files)
    file.write_text("config: {}\n")
    assert repository(hub).keep(file, "start", "main", "m") is None
    file.write_text("config: {a: b}\n")
    assert repository(hub).keep(file, "start", "main", "m")
    assert hub.files["Pulumi.dev.yaml"] == b"config: {a: b}\n"
    hub.files["Pulumi.dev.yaml"] = b"theirs"
    file.write_text("config: {c: d}\n")
    with pytest.raises(RemoteError, match="somebody changed it since"):
        repository(hub).keep(file, "start", "main", "m")
    file.write_text("config: {}\n")
    assert repository(hub).keep(file, "start", "main", "m") is None, "what the job left alone is no change"
    assert hub.files["Pulumi.dev.yaml"] == b"theirs"


def test_changed_file_that_is_refused_gets_into_the_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whole, with the reason: it is how the stack is deployed, and the job's folder is gone with the job."""
    monkeypatch.chdir(tmp_path)
    hub, report = GitHub(files={"Pulumi.dev.yaml": b"theirs"}, at={"start": {"Pulumi.dev.yaml": b"old"}}), Path("r.md")
    for name, value in {"SHA": "start", "REF_NAME": "main"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    monkeypatch.setattr(Repository, "from_environment", lambda _: repository(hub))
    Path("Pulumi.dev.yaml").write_text("config:\n  a: b\n")
    report.write_text("all is well\n")
    with pytest.raises(SystemExit):
        github.keep(Path("Pulumi.dev.yaml"), "m", report)
    text = report.read_text()
    assert text.startswith("all is well\n\n### Commit `Pulumi.dev.yaml` to `main`")
    assert "409" in text
    assert text.endswith("```text\nconfig:\n  a: b\n```\n")


def test_what_another_wrote_under_the_marker_is_not_ours() -> None:
    """A report in somebody else's comment or issue could be changed by them after us: it gets one of our own."""
    hub = GitHub(author="mallory")
    repository(hub).comment(7, "preview-dev", "all is safe")
    repository(hub).issue("t", "nightly-dev", "all is well")
    hub.author = "github-actions[bot]"
    repository(hub).comment(7, "preview-dev", "danger")
    repository(hub).issue("t", "nightly-dev", "loss")
    for found, bodies in ((hub.comments, ["all is safe", "danger"]), (hub.issues, ["all is well", "loss"])):
        assert [each["body"].splitlines()[-1] for each in found.values()] == bodies
    assert [each["user"]["login"] for each in hub.comments.values()] == ["mallory", "github-actions[bot]"]


def test_refusal_names_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not set is named; what GitHub refuses says where to look."""
    with pytest.raises(ConfigurationError, match="GITHUB_REPOSITORY and GITHUB_TOKEN"):
        Repository.from_environment({})
    with pytest.raises(RemoteError, match="permissions"):
        repository(GitHub()).keep(Path(__file__).relative_to(Path(__file__).parents[2]), "start", "main", "m")
    monkeypatch.setenv("GITHUB_EVENT_PATH", "/nonexistent")
    with pytest.raises(ConfigurationError, match="/nonexistent"):
        github.pull_request()


@pytest.mark.parametrize("marker", ["", "A", "a b", "a--><b", "x" * 65])
def test_marker_that_could_break_out_is_refused(marker: str) -> None:
    """It stands in a comment of the Markdown."""
    with pytest.raises(UsageError, match="marker"):
        marked("text", marker)


def test_body_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report that GitHub would not take is cut, and says so."""
    assert "the whole is in the job's summary" in marked("x" * (LONGEST + 1), "m")[-60:]
    output = tmp_path / "output"
    monkeypatch.setenv("GITHUB_OUTPUT", str(output))
    write_outputs(stack="pr-7", room="two\nlines")
    assert output.read_text() == "stack=pr-7\nroom=two lines\n"


@given(st.text(alphabet="`a\n", max_size=40))
def test_fence_is_longer_than_any_within(text: str) -> None:
    """Nothing in a log can end the block that it is shown in."""
    first, *lines, last = fenced(text).rstrip("\n").split("\n")
    assert first == f"{last}text"
    assert not any(line.strip() == last for line in lines)


def test_night_tells_what_needs_people() -> None:
    """A table of all, then the output of those that did not end well, its end where it is long; 4 is fine."""
    task = Task(["doctor"], "everything")
    fine, due, missing = Outcome(task, 0), Outcome(task, 4), Outcome(Task(["sync"], "rows", needs="DATABASE_URL"), None)
    assert "all is well" in as_markdown("dev", [fine, due, missing])
    text = as_markdown("dev", [fine, Outcome(task, 1, "x" * 9000 + " the end")])
    assert text.startswith("## Recordings of dev: 1 of 2 need a look")
    assert "the end" in text
    assert len(text) < 8000


def test_night_goes_on_after_a_failure(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command runs whatever became of the others, and what needs the database is left out without one."""
    for name in ("DATABASE_URL", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    ends = f"{sys.executable} -c 'import sys; print(sys.argv); sys.exit(int(sys.argv[1]))'"
    monkeypatch.setenv("PULUMI_COMMAND", ends)
    tasks = [Task([code], "", of_pulumi=True) for code in ("3", "0", "4")]
    monkeypatch.setattr(nightly, "TASKS", (*tasks, Task(["sync"], "", needs="DATABASE_URL")))
    with pytest.raises(SystemExit) as end:
        nightly.nightly("dev")
    assert end.value.code == 1
    out = capsys.readouterr().out
    for words in ("ended with 3", "fine", "nothing due yet", "left out: DATABASE_URL", "'--stack', 'dev'"):
        assert words in out


@pytest.mark.parametrize(("due", "code"), [("0", 1), ("4", None)])
def test_step_of_a_rotation_deploys_nothing_else(
    due: str, code: int | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a preview shows changes it is only asked whether a step is due; if one is, people are needed."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    log, command = tmp_path / "log", tmp_path / "pulumi"
    command.write_text(
        f'#!/bin/sh\necho "$1 $2 $3" >> {log}\ncase "$1" in preview) exit $CHANGES;; *) exit {due};; esac\n'
    )
    command.chmod(0o755)
    monkeypatch.setenv("PULUMI_COMMAND", str(command))
    monkeypatch.setattr(nightly, "TASKS", (Task(["rotate", "--advance"], "", of_pulumi=True, deploys=True),))
    monkeypatch.setenv("CHANGES", "1")
    if code is None:
        nightly.nightly("dev")
    else:
        with pytest.raises(SystemExit) as end:
            nightly.nightly("dev")
        assert end.value.code == code
        assert "approve the one that waits" in capsys.readouterr().out
    monkeypatch.setenv("CHANGES", "0")
    with contextlib.suppress(SystemExit):
        nightly.nightly("dev")
    previewed = "preview --expect-no-changes --non-interactive"
    wanted = [previewed, "rotate --advance --dry-run", previewed, "rotate --advance --stack"]
    assert log.read_text().splitlines() == wanted


def test_issue_says_where_the_log_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the job ended before it wrote a report."""
    told: list[str] = []
    monkeypatch.setattr(Repository, "from_environment", lambda _: Repository(httpx.Client()))
    monkeypatch.setattr(Repository, "issue", lambda _, title, marker, body: told.append(body))
    for name, value in {"SERVER_URL": "https://github.com", "REPOSITORY": REPOSITORY, "RUN_ID": "5"}.items():
        monkeypatch.setenv(f"GITHUB_{name}", value)
    report = tmp_path / "report.md"
    github.issue([report], "m", "t")
    report.write_text("\n")
    github.issue([report], "m", "t")
    assert told[0] == told[1]
    for words in (f"https://github.com/{REPOSITORY}/actions/runs/5", "see the log of the job"):
        assert words in told[0]


def test_program_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """No traceback where `pulumi` is not installed."""
    monkeypatch.setenv("PULUMI_COMMAND", "/nonexistent/pulumi")
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setattr(nightly, "TASKS", (Task(["refresh"], "", of_pulumi=True),))
    with pytest.raises(SystemExit):
        nightly.nightly("dev")


def test_heading_is_optional() -> None:
    """Without a title the text stands alone."""
    assert headed("", "text") == "text"
    assert headed("T", "text").splitlines()[0] == "## T"
