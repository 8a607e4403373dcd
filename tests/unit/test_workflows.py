"""The workflows themselves: what every one of them keeps to, and when their jobs run."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from recordings.cli import app
from scripts.nightly import TASKS, Task
from tests.workflows import FOLDER, ROOT, Actions, Expression, Job, filled_in, holds, shim, steps, workflow, workflows

PINNED = re.compile(r"uses: (\./\S+|[\w.-]+(/[\w.-]+)+@[0-9a-f]{40} # v\d+(\.\d+){2})")
SECRET = re.compile(r"\$\{\{\s*secrets\.(\w+)\s*\}\}")


def files() -> list[Path]:
    return sorted((ROOT / ".github").rglob("*.yml"))


OURS: dict[str, Any] = {"full_name": "acme/recordings", "fork": False}
THEIRS: dict[str, Any] = {"full_name": "mallory/recordings", "fork": True}
OURS_IS_A_FORK = OURS | {"fork": True}


def pull_request(
    action: str, *labels: str, repo: dict[str, Any] | None = OURS, label: str = "", state: str = "", by: str = "ada"
) -> dict[str, Any]:
    """A context in which jobs of a pull request are judged; `repo` is where its branch lies, None once that is gone."""
    state = state or ("closed" if action == "closed" else "open")
    names = [{"name": name} for name in labels]
    request = {"number": 7, "state": state, "user": {"login": by}, "head": {"repo": repo}, "labels": names}
    event = {"action": action, "number": 7, "pull_request": request, "label": {"name": label}}
    return {"github": {"event": event, "repository": "acme/recordings"}, "status": "success"}


def test_actions_are_pinned_by_commit() -> None:
    """Every action by its full commit, with the version in a comment; our own by its path."""
    for path in files():
        for line in path.read_text().splitlines():
            if "uses:" in line:
                assert PINNED.search(line), f"{path.name}: {line}"


@pytest.fixture
def carried_out(tmp_path: Path) -> Callable[..., tuple[Job, list[str]]]:
    """Carries out a job in which one of our modules ends with a code; gives it, with what it told GitHub."""

    def run(workflow: str, job: str, context: dict[str, Any], module: str, code: int) -> tuple[Job, list[str]]:
        folder = tmp_path / "project"
        folder.mkdir()
        log = tmp_path / "log"
        log.write_text("")
        script = f'[ "$2" = {module} ] && exit {code}\n[ "$2" = scripts.github ] && echo "$3 $*" >> {log}\nexit 0\n'
        shim(folder / ".venv" / "bin" / "python", ["/bin/sh", str(tmp_path / "script")])
        (tmp_path / "script").write_text(script)
        pulumi = shim(tmp_path / "bin" / "pulumi", ["/bin/sh", "-c", f"exit {code if module == 'pulumi' else 0}"])
        env = {"PATH": f"{pulumi.parent}:/usr/bin:/bin", "GITHUB_REPOSITORY": "acme/recordings"}
        done = Actions(folder, env, {}, {}).run(workflow, job, context["github"]["event"], stack="dev")
        assert done is not None
        return done, log.read_text().split("\n")[:-1]

    return run


@pytest.mark.parametrize(("code", "issue"), [(0, False), (4, False), (1, True), (3, True), (139, True)])
def test_sweep_opens_an_issue_unless_there_is_only_to_wait(
    code: int, issue: bool, carried_out: Callable[..., tuple[Job, list[str]]]
) -> None:
    """4: recordings still go into a bucket, and the next night takes it down."""
    job, told = carried_out("nightly", "sweep", {"github": {"event": {}}}, "scripts.sweep", code)
    assert job.failed is issue
    assert [line.split()[0] for line in told] == ["issue"] * issue


@pytest.mark.parametrize(
    ("module", "code", "failing", "title"),
    [
        ("scripts.preview_diff", 0, [], "Preview"),
        ("scripts.preview_diff", 1, ["Fail on danger"], "Preview"),
        ("scripts.preview_diff", 2, ["Report"], "No preview"),
        ("pulumi", 255, ["Preview"], "No preview"),
    ],
)
def test_preview_always_leaves_a_comment_that_is_true(
    module: str, code: int, failing: list[str], title: str, carried_out: Callable[..., tuple[Job, list[str]]]
) -> None:
    """Of this push, not of the one before: where there is no preview, it says so."""
    job, told = carried_out("preview", "preview", pull_request("synchronize"), module, code)
    assert [name for name, ended in job.ended.items() if ended] == failing
    [comment] = told
    assert f"--title {title} of dev" in comment


def test_same_action_has_one_commit() -> None:
    """An update that forgets a file would leave two."""
    found: dict[str, set[str]] = {}
    for path in files():
        for action, rest in re.findall(r"uses: ([\w/.-]+)@(.+)", path.read_text()):
            found.setdefault(action, set()).add(rest)
    assert {action for action, versions in found.items() if len(versions) > 1} == set()


def test_no_permission_unless_a_job_names_it() -> None:
    """Top level: none. A job: what it names; an identity token where it logs in to a cloud, and nowhere else."""
    for name, found in workflows().items():
        assert found["permissions"] == {}, name
        for job, content in found["jobs"].items():
            assert content["permissions"]["contents"] in ("read", "write"), (name, job)
            logs_in = "aws-role" in str(content["steps"])
            assert ("id-token" in content["permissions"]) is logs_in, (name, job)
    assert [(w, j) for w, found in workflows().items() for j, c in found["jobs"].items()
            if c["permissions"]["contents"] == "write"] == [("nightly", "look-after")]  # fmt: skip


def test_no_workflow_gives_secrets_to_a_pull_request_from_a_fork() -> None:
    """No `pull_request_target`, no `workflow_run`; a job with a secret runs for no fork."""
    for name, found in workflows().items():
        assert not {"pull_request_target", "workflow_run", "issue_comment"} & set(found["on"]), name
        if "pull_request" not in found["on"]:
            continue
        for job, content in found["jobs"].items():
            for action in ("opened", "synchronize", "labeled", "unlabeled", "closed"):
                for repo in (THEIRS, None):
                    context = pull_request(action, "test-stack", "allow-danger", repo=repo, label="test-stack")
                    secret = SECRET.search(str(content)) or "environment" in content
                    assert not (secret and holds(content.get("if"), context)), (name, job, action)


def test_secrets_are_named_where_they_are_used() -> None:
    """In the environment of one step, never in a command line; no stack's secrets are ever printed."""
    for name, job, step in steps():
        assert not SECRET.search(step.get("run", "")), (name, job)
        assert "${{" not in step.get("run", ""), (name, job)
        assert "--show-secrets" not in step.get("run", ""), (name, job)
    for name, found in workflows().items():
        for job, content in found["jobs"].items():
            assert not SECRET.search(str(content.get("env", ""))), (name, job)
        assert not SECRET.search(str(found.get("env", ""))), name


def test_deployments_are_one_at_a_time_and_never_cancelled() -> None:
    """What changes a cloud has a group of its environment, and is not cancelled.

    The night has one of its own: a deployment is in its group while it waits for approval, so that in the same group
    the night would wait for that too, or take its place.
    """
    groups = {}
    for name, found in workflows().items():
        for job, content in found["jobs"].items():
            if re.search(r"pulumi up|pr_stack|sweep|nightly", str(content["steps"])):
                concurrency = content["concurrency"]
                assert concurrency["cancel-in-progress"] == "false", (name, job)
                groups[name, job] = concurrency["group"]
    assert groups["up", "prod"] == "deploy-prod"
    assert filled_in(groups["nightly", "look-after"], {"matrix": {"stack": "prod"}}) == "nightly-prod"
    assert groups["pr-stack", "up"] == groups["pr-stack", "down"]


def test_no_run_without_a_job_takes_the_place_of_one_that_waits() -> None:
    """A group of a whole workflow counts runs of which every job is skipped: only what is cancelled anyway has one."""
    groups = {name: found["concurrency"] for name, found in workflows().items() if "concurrency" in found}
    assert {name for name, group in groups.items() if group["cancel-in-progress"] != "true"} == set()


def test_environments_are_deployed_in_turn_by_the_same_steps() -> None:
    """dev, then staging, then prod; the three jobs differ in name and order alone."""
    jobs = workflow("up")["jobs"]
    assert [(name, job.pop("needs", None)) for name, job in jobs.items()] == [
        ("dev", None),
        ("staging", "dev"),
        ("prod", "staging"),
    ]
    texts = {yaml.safe_dump(job).replace(name, "STACK") for name, job in jobs.items()}
    assert len(texts) == 1


@pytest.mark.parametrize(
    ("action", "labels", "label", "job"),
    [
        ("labeled", ["test-stack", "other"], "other", None),
        ("labeled", ["test-stack", "test-recording"], "test-recording", "up"),
        ("unlabeled", ["test-stack"], "test-recording", None),
        ("labeled", ["test-stack"], "test-stack", "up"),
        ("synchronize", ["test-stack"], "", "up"),
        ("reopened", ["other", "test-stack"], "", "up"),
        ("synchronize", ["other"], "", None),
        ("unlabeled", [], "test-stack", "down"),
        ("unlabeled", ["test-stack"], "other", None),
        ("closed", ["test-stack"], "", "down"),
        ("closed", [], "", None),
    ],
)
def test_test_stack_comes_with_its_label_and_goes_with_it(
    action: str, labels: list[str], label: str, job: str | None
) -> None:
    """Exactly one job of the two, or none."""
    context = pull_request(action, *labels, label=label)
    ran = [name for name, content in workflow("pr-stack")["jobs"].items() if holds(content.get("if"), context)]
    assert ran == ([job] if job else [])


def test_label_makes_no_stack_for_a_closed_pull_request() -> None:
    """Nothing would take it down again."""
    for label in ("test-stack", "test-recording", "other"):
        context = pull_request("labeled", "test-stack", label, label=label, state="closed")
        assert not [name for name, job in workflow("pr-stack")["jobs"].items() if holds(job.get("if"), context)]


def test_recording_and_danger_have_labels_of_their_own() -> None:
    """A test recording only where asked; danger fails unless the label allows it."""
    conditions = {step["name"]: step.get("if") for _, _, step in steps() if "name" in step}
    recording, danger = conditions["Make a test recording"], conditions["Fail on danger"]
    assert not holds(recording, pull_request("labeled", "test-stack"))
    assert holds(recording, pull_request("labeled", "test-stack", "test-recording"))
    dangerous, safe = ({"steps": {"report": {"outputs": {"danger": code}}}} for code in "10")
    assert holds(danger, pull_request("opened", "test-stack") | dangerous)
    assert not holds(danger, pull_request("opened", "test-stack") | safe)
    assert not holds(danger, pull_request("opened", "allow-danger") | dangerous)


def test_preview_is_the_forks_or_ours() -> None:
    """Every open pull request gets one of the two, by where its branch lies, also where ours is a fork itself."""
    wanted = ((OURS, "preview"), (OURS_IS_A_FORK, "preview"), (THEIRS, "fork"), (None, "fork"))
    for repo, job in wanted:
        context = pull_request("opened", repo=repo)
        ran = [name for name, content in workflow("preview")["jobs"].items() if holds(content.get("if"), context)]
        assert ran == [job]
    context = pull_request("opened", by="dependabot[bot]")  # to whose jobs GitHub gives no secret and no identity
    assert [name for name, job in workflow("preview")["jobs"].items() if holds(job.get("if"), context)] == ["fork"]
    closed = pull_request("labeled", label="other", state="closed")
    assert not any(holds(job.get("if"), closed) for job in workflow("preview")["jobs"].values())


def test_night_does_all_that_is_wanted() -> None:
    """The commands of the nightly task list, in their order."""
    assert [task.title.split(" --")[0] for task in TASKS] == [
        "recordings sync",
        "recordings reconcile",
        "recordings rotate",
        "recordings rotate",
        "recordings watch",
        "recordings doctor",
        "pulumi refresh",
    ]


def test_steps_run_what_there_is() -> None:
    """Every module and every script that a step names exists."""
    for name, job, step in steps():
        for module in re.findall(r"-m (scripts\.\w+)", step.get("run", "")):
            assert (ROOT / f"{module.replace('.', '/')}.py").exists(), (name, job, module)


@pytest.mark.parametrize("task", [task for task in TASKS if not task.of_pulumi], ids=lambda task: task.title)
def test_commands_of_the_night_take_their_options(task: Task) -> None:
    """Each is parsed by the command itself, which carries nothing out."""
    name, *options = task.arguments
    command = get_command(app).commands[name]  # type: ignore[attr-defined]  # the app is a group
    with command.make_context(name, [*options, "--stack", "dev"]) as context:
        assert context.params["stack"] == "dev"


def test_environments_and_test_stacks_are_deployed_alike() -> None:
    """The same `up` and the same proof; only an environment keeps what they print for its report."""
    ours, passing = ({step["name"]: step["run"] for step in job["steps"] if "run" in step}
                     for job in (workflow("up")["jobs"]["dev"], workflow("pr-stack")["jobs"]["up"]))  # fmt: skip
    for name in ("Deploy", "Register and verify"):
        assert ours[name].split(" 2>&1 | tee ")[0] == passing[name]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'a' == 'a' && !(1 == 2)", True),
        ("x.y || 'z'", "z"),
        ("contains(x.list.*.name, 'b')", True),
        ("contains(x.list.*.name, 'c')", False),
        ("failure() || always()", True),
        ("x.name == 'ACME/Recordings'", True),
        ("contains(x.list.*.name, 'B')", True),
        ("x.nothing != '0'", False),
        ("x.nothing == 'acme'", False),
    ],
)
def test_expressions_are_read_as_github_reads_them(text: str, value: object) -> None:
    """As far as the workflows use them; what is not known is an error."""
    known = {"list": [{"name": "a"}, {"name": "b"}], "name": "acme/recordings"}
    context = {"x": known, "status": "success", "1": 1, "2": 2}
    assert Expression(text, context).value() == value
    with pytest.raises(AssertionError):
        Expression("unknown.thing", context).value()


@pytest.mark.parametrize("tool", [["actionlint", "-shellcheck=", "-pyflakes="], ["zizmor", "--offline", "--quiet"]])
def test_a_bad_workflow_is_found(tool: list[str], tmp_path: Path) -> None:
    """The checks that `make test` runs on the workflows do find faults: an unknown context, an unpinned action."""
    program = Path(sys.executable).with_name(tool[0])
    if not program.exists():
        pytest.skip(f"not run: {tool[0]} is not installed here (`make test` installs it)")
    good = (FOLDER / "ci.yml").read_text()
    bad = good.replace("run: make test", 'run: echo "${{ github.event.pull_request.title }} ${{ nothing.at.all }}"')
    file = tmp_path / ".github" / "workflows" / "ci.yml"
    file.parent.mkdir(parents=True)
    file.write_text(bad)
    done = subprocess.run([str(program), *tool[1:], str(file)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode != 0
    assert "title" in done.stdout + done.stderr or "nothing" in done.stdout + done.stderr
