"""How the demo runs its steps, and what it leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from sandbox.demo import cli
from sandbox.demo.job import Job
from sandbox.demo.remains import PREFIX, claimed, clear_dead
from sandbox.demo.steps import DemoStep, StepError, run_steps


def _raise(error: BaseException) -> Callable[[], str]:
    def run() -> str:
        raise error

    return run


def _shown(*steps: DemoStep) -> tuple[bool, list[str]]:
    out = StringIO()
    done = run_steps(steps, Console(file=out, width=200))
    return done, out.getvalue().splitlines()


def test_each_step_is_one_line_with_its_time() -> None:
    """Number, title, seconds, what came of it; then the time of the whole."""
    done, lines = _shown(DemoStep("one", lambda: "first [detail]", "-"), DemoStep("two", lambda: "", "-"))
    assert done
    assert lines[0].startswith("✓  1/2  one ")
    assert lines[0].endswith("0.0 s  first [detail]")
    assert lines[1].startswith("✓  2/2  two ")
    assert lines[-1] == "done: the whole job in 0.0 s, and nothing left behind"


@pytest.mark.parametrize("error", [StepError("it broke"), OSError("it broke")])
def test_failed_step_ends_the_demo_and_says_what_to_do(error: Exception) -> None:
    """No later step runs, whatever was raised."""
    done, lines = _shown(DemoStep("one", _raise(error), "mend it"), DemoStep("two", _raise(AssertionError()), "-"))
    assert not done
    assert lines[0].startswith("✗  1/2  one ")
    assert lines[-2].startswith("failed: ")
    assert lines[-2].endswith("it broke")
    assert lines[-1] == "what to do: mend it"


def test_failure_shows_no_presigned_url() -> None:
    """A client's message holds the URL that it asked for."""
    url = "https://127.0.0.1:1/bucket/key?X-Amz-Credential=AKIA&X-Amz-Signature=0123456789abcdef"
    _, lines = _shown(DemoStep("one", _raise(OSError(f"no answer from {url}")), "-"))
    assert "0123456789abcdef" not in "".join(lines)


@pytest.mark.parametrize(
    ("end", "options", "code", "left"),
    [
        (None, [], 0, False),
        (None, ["--keep"], 0, True),
        (StepError("it broke"), [], 1, True),
        (KeyboardInterrupt(), [], 130, False),
        (KeyboardInterrupt(), ["--keep"], 130, True),
    ],
)
def test_folder_stays_only_to_be_looked_at(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    end: BaseException | None,
    options: list[str],
    code: int,
    left: bool,
) -> None:
    """After a failure, for its logs, or when asked for; the exit code tells how it ended, with no traceback."""
    folder = tmp_path / "demo"
    folder.mkdir()
    monkeypatch.setattr(cli, "fresh_folder", lambda: folder)
    monkeypatch.setattr(cli, "clear_dead", lambda: ())
    steps = [DemoStep("one", _raise(end) if end else lambda: "", "-")]
    monkeypatch.setattr(Job, "steps", lambda _: steps)
    result = CliRunner().invoke(cli.app, options)
    assert (result.exit_code, folder.exists()) == (code, left)
    assert list(clear_dead(tmp_path)) == []
    assert folder.exists() == left
    assert isinstance(result.exception, SystemExit | None)


def test_what_a_dead_demo_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    """A living demo's folder, one that was kept, another program's and what a link leads to stay."""
    folders = {name: tmp_path / f"{PREFIX}{name}" for name in ("dead", "living", "kept", "link")}
    for name in ("dead", "living", "kept"):
        (folders[name] / "logs").mkdir(parents=True)
    other = tmp_path / "another-program"
    other.mkdir()
    for folder in (folders["dead"], other):
        (folder / "demo.lock").touch()
    folders["link"].symlink_to(other)
    with claimed(folders["kept"]):
        pass
    with claimed(folders["living"]):
        (line,) = clear_dead(tmp_path)
        assert str(folders["dead"]) in line
        assert list(clear_dead(tmp_path)) == []
        assert {path.name for path in tmp_path.iterdir()} == {
            *(f"{PREFIX}{name}" for name in ("living", "kept", "link")),
            "another-program",
        }


def test_folder_is_never_seen_without_its_lock(tmp_path: Path) -> None:
    """What another demo sees while this one begins is nothing, or a lock that is held."""
    folder = tmp_path / f"{PREFIX}x"
    folder.mkdir()
    assert list(clear_dead(tmp_path)) == []
    with claimed(folder):
        assert list(clear_dead(tmp_path)) == []
    assert folder.exists()
