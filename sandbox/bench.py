"""`make bench`: print the figures that the README quotes, measured on this machine as whole processes.

Each figure is the median of several runs after one that is not counted. Where a `pulumi` is on PATH, the same program
is deployed by it against the same sandbox, so that the two engines stand side by side; elsewhere that is said.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from sandbox import bench_backfill, bench_signing, bench_sync, bench_usage, bench_web
from sandbox.servers import Sandbox

ROOT = Path(__file__).resolve().parents[1]
RUNS = 3
_LIMITS = ((4.0, 2.0), (None, None))
"""Seconds that `up` and `preview` may take: of the embedded engine, of the real CLI."""
_PROGRAM = ("Pulumi.yaml", "__main__.py", "components", "recordings", "sandbox", ".venv")


@dataclass(frozen=True)
class Figure:
    """Seconds that something took, run by run, and the most it may take (None: no limit is set)."""

    name: str
    seconds: list[float]
    limit: float | None = None

    @property
    def median(self) -> float:
        """The figure to quote, in seconds."""
        return statistics.median(self.seconds)


@dataclass(frozen=True)
class Engine:
    """A command that deploys, its environment, and the folder of the project."""

    name: str
    command: list[str]
    env: dict[str, str]
    project: Path

    def seconds(self, *arguments: str) -> float:
        """Run one command of the engine on the stack `dev`; gives what it took. Raises SystemExit if it fails."""
        return _timed([*self.command, *arguments, "--stack", "dev", "--non-interactive"], self.env, self.project)

    def round(self) -> tuple[float, float]:
        """Seconds for `up` of the S3 stack from nothing and for `preview` with no change."""
        up = self.seconds("up", "--yes", "--skip-preview")
        preview = self.seconds("preview")
        self.seconds("destroy", "--yes", "--skip-preview")
        return up, preview


def main() -> None:
    """Measure everything and print one table."""
    console = Console(highlight=False)
    figures = [Figure("`make demo`, installed", [_demo() for _ in range(RUNS)], 30.0)]
    with _folder("bench-sandbox-") as folder, Sandbox(folder) as sandbox:
        embedded = _engine("embedded engine", [sys.executable, "-m", "sandbox"], sandbox, folder)
        real = _real(sandbox, folder)
        mine, *theirs = _in_turn([embedded, real] if real else [embedded])
    console.print(_table([*figures, *mine, *(figure for others in theirs for figure in others)]))
    if not real:
        console.print("real CLI: not run, there is no `pulumi` on PATH")
    for others in theirs:
        for quick, slow in zip(mine, others, strict=True):
            console.print(f"{quick.name}: {slow.median / quick.median:.1f} times as fast as the real CLI (at least 3)")
    console.print()
    parts = (bench_signing, bench_sync, bench_usage, bench_web, bench_backfill)
    console.print(_facts([row for part in parts for row in part.figures()]))


def _demo() -> float:
    return _timed(["make", "--silent", "demo"], dict(os.environ), ROOT)


def _in_turn(engines: list[Engine]) -> list[list[Figure]]:
    """The figures of each engine, measured side by side: what else the machine does slows all of them alike."""
    rounds = [[engine.round() for engine in engines] for _ in range(RUNS + 1)][1:]
    return [
        [
            Figure(f"S3 `up`, {engine.name}", [taken[place][0] for taken in rounds], limit_up),
            Figure(f"S3 `preview` with no change, {engine.name}", [taken[place][1] for taken in rounds], limit_preview),
        ]
        for place, (engine, (limit_up, limit_preview)) in enumerate(zip(engines, _LIMITS, strict=False))
    ]


def _real(sandbox: Sandbox, folder: Path) -> Engine | None:
    if shutil.which("pulumi") is None:
        return None
    engine = _engine("real CLI", ["pulumi"], sandbox, folder)
    _timed(["pulumi", "stack", "init", "dev", "--non-interactive"], engine.env, engine.project)
    return engine


def _engine(name: str, command: list[str], sandbox: Sandbox, folder: Path) -> Engine:
    """The project in a folder of its own, since `pulumi stack init` writes into the stack's configuration."""
    project = folder / name.replace(" ", "-")
    (project / "state").mkdir(parents=True)
    for part in _PROGRAM:
        (project / part).symlink_to(ROOT / part)
    shutil.copy(ROOT / "Pulumi.dev.yaml", project)
    plugins = f"{ROOT / 'sandbox' / 'bin'}{os.pathsep}{os.environ['PATH']}"
    backend = {"PULUMI_BACKEND_URL": (project / "state").as_uri(), "PULUMI_SKIP_UPDATE_CHECK": "true", "PATH": plugins}
    return Engine(name, command, {**os.environ, **sandbox.env, **backend}, project)


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _timed(command: list[str], env: dict[str, str], cwd: Path) -> float:
    begun = time.monotonic()
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)  # noqa: S603
    if done.returncode != 0:
        sys.exit(f"`{' '.join(command)}` ended with {done.returncode}:\n{done.stderr or done.stdout}")
    return time.monotonic() - begun


def _facts(rows: list[tuple[str, str]]) -> Table:
    table = Table("signing, sync, downloads and backfill", "", box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    return table


def _table(figures: list[Figure]) -> Table:
    table = Table("figure", title=f"median of {RUNS} runs", title_justify="left", box=None, pad_edge=False)
    columns: list[tuple[str, Callable[[Figure], str]]] = [
        ("median", lambda figure: f"{figure.median:.1f} s"),
        ("fastest", lambda figure: f"{min(figure.seconds):.1f} s"),
        ("slowest", lambda figure: f"{max(figure.seconds):.1f} s"),
        ("limit", lambda figure: f"{figure.limit:.0f} s" if figure.limit else ""),
    ]
    for name, _ in columns:
        table.add_column(name, justify="right")
    for figure in figures:
        table.add_row(figure.name, *(show(figure) for _, show in columns))
    return table


if __name__ == "__main__":
    main()
