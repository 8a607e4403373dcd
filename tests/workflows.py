"""GitHub's workflows as tests read and run them: the files themselves, so that they and the tests cannot drift.

Owns as much of GitHub's expressions as our workflows use, conditions, and carrying out the `run` steps of a job with
the variables that GitHub sets. Steps with `uses` are not carried out: a test stands for them, and for a checkout the
files that are in the folder, which every job finds as the test left them.

Source: https://docs.github.com/en/actions/reference/workflows-and-actions/expressions
"""

from __future__ import annotations

import json
import math
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / ".github" / "workflows"
_TOKEN: Final = re.compile(r"\s*('(?:[^']|'')*'|&&|\|\||==|!=|[!(),]|[A-Za-z_][\w.*-]*|\d+)")
_TEMPLATE: Final = re.compile(r"\$\{\{(.*?)\}\}", re.DOTALL)

SET_BY_GITHUB: Final = {"GITHUB_RUN_ID": "1", "GITHUB_SHA": "0" * 40, "GITHUB_SERVER_URL": "https://github.com"}

Context = Mapping[str, Any]


def workflow(name: str) -> dict[str, Any]:
    """One workflow, parsed; the key `on` stays text, which YAML 1.1 would take for a boolean."""
    return dict(yaml.load((FOLDER / f"{name}.yml").read_text(), Loader=yaml.BaseLoader))  # noqa: S506 - text alone


def workflows() -> dict[str, dict[str, Any]]:
    return {path.stem: workflow(path.stem) for path in sorted(FOLDER.glob("*.yml"))}


class Expression:
    """Evaluates one expression; every function and context that it does not know is an error."""

    def __init__(self, text: str, context: Context) -> None:
        self._tokens = _tokens(text)
        self._context = context
        self._at = 0

    def value(self) -> Any:
        found = self._either()
        assert self._at == len(self._tokens), f"left over: {self._tokens[self._at :]}"
        return found

    def _take(self, *wanted: str) -> str | None:
        if self._at < len(self._tokens) and (not wanted or self._tokens[self._at] in wanted):
            self._at += 1
            return self._tokens[self._at - 1]
        return None

    def _either(self) -> Any:
        found = self._both()
        while self._take("||"):
            other = self._both()
            found = found or other
        return found

    def _both(self) -> Any:
        found = self._equal()
        while self._take("&&"):
            other = self._equal()
            found = found and other
        return found

    def _equal(self) -> Any:
        found = self._single()
        while operator := self._take("==", "!="):
            found = _same(found, self._single()) is (operator == "==")
        return found

    def _single(self) -> Any:
        if self._take("!"):
            return not self._single()
        if self._take("("):
            found = self._either()
            assert self._take(")")
            return found
        token = self._take()
        assert token is not None
        if token.startswith("'"):
            return token[1:-1].replace("''", "'")
        return self._call(token) if self._take("(") else _looked_up(self._context, token.split("."))

    def _call(self, name: str) -> Any:
        arguments = []
        while not self._take(")"):
            arguments.append(self._either())
            self._take(",")
        status = self._context["status"]
        functions = {"always": True, "failure": status == "failure", "cancelled": False, "success": status == "success"}
        if name == "contains":
            return any(_same(each, arguments[1]) for each in arguments[0] or ())
        return functions[name]


def _same(one: Any, other: Any) -> bool:
    """Texts are equal whatever their case; values of two kinds as numbers, so that nothing is 0, and '0' too."""
    if isinstance(one, str) and isinstance(other, str):
        return one.lower() == other.lower()
    return bool(one == other if type(one) is type(other) else _number(one) == _number(other))


def _number(value: Any) -> float:
    try:
        return float(value or 0)
    except (TypeError, ValueError):
        return math.nan


def _tokens(text: str) -> list[str]:
    found, position = [], 0
    text = text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        assert match is not None, f"cannot be read: {text[position:]!r}"
        found.append(match[1])
        position = match.end()
    return found


def _looked_up(found: Any, path: list[str]) -> Any:
    """An unknown root is an error, anything unknown under it is empty, as GitHub has it."""
    assert path[0] in found, f"no context {path[0]!r}"
    for number, part in enumerate(path):
        if part == "*":
            return [_looked_up({"": each}, ["", *path[number + 1 :]]) for each in found or ()]
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def filled_in(text: str, context: Context) -> str:
    """Text with every `${{ … }}` replaced."""

    def value(match: re.Match[str]) -> str:
        found = Expression(match[1], context).value()
        return "" if found is None else str(found).lower() if isinstance(found, bool) else str(found)

    return _TEMPLATE.sub(value, text)


def holds(condition: str | None, context: Context) -> bool:
    """Whether a job or step is carried out: without a function that asks for the status, only while all is well."""
    text = (condition or "success()").strip()
    match = _TEMPLATE.fullmatch(text)
    text = match[1] if match else text
    asks = re.search(r"\b(always|failure|success|cancelled)\(", text)
    return bool(Expression(text if asks else f"success() && ({text})", context).value())


def steps() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every step of every workflow, with the names of workflow and job."""
    for name, found in workflows().items():
        for job, content in found["jobs"].items():
            for step in content["steps"]:
                yield name, job, step


@dataclass
class Job:
    """One run of one job: which steps ran and how they ended, the environment that they were given, what they said."""

    name: str
    ended: dict[str, int] = field(default_factory=dict)
    given: dict[str, Mapping[str, str]] = field(default_factory=dict, repr=False)
    said: str = ""
    summary: str = ""

    @property
    def failed(self) -> bool:
        return any(self.ended.values())


@dataclass(frozen=True)
class Actions:
    """Carries out jobs in a folder, as GitHub does: what a job writes there is gone with it."""

    folder: Path
    env: Mapping[str, str] = field(repr=False)
    secrets: Mapping[str, str] = field(repr=False)
    vars: Mapping[str, str]
    token: str = field(default="github-token-of-the-job", repr=False)

    def run(self, name: str, job: str, event: Context, **matrix: str) -> Job | None:
        """Carry out a job; None where its condition does not hold."""
        content = workflow(name)["jobs"][job]
        github = {"event": event, "token": self.token, "repository": self.env["GITHUB_REPOSITORY"]}
        context: dict[str, Any] = {
            "github": github,
            "secrets": self.secrets,
            "vars": self.vars,
            "matrix": matrix,
            "steps": {},
            "status": "success",
        }
        if not holds(content.get("if"), context):
            return None
        done = Job(job)
        with checked_out(self.folder):
            for step in content["steps"]:
                if "run" in step and holds(step.get("if"), context):
                    self._step(step, {**workflow(name).get("env", {}), **content.get("env", {})}, context, done)
        return done

    def run_all(self, name: str, event: Context) -> dict[str, Job]:
        """Carry out the jobs of a workflow, each after the one that it needs, if that succeeded."""
        done: dict[str, Job] = {}
        for job, content in workflow(name)["jobs"].items():
            needed = content.get("needs")
            if needed and (needed not in done or done[needed].failed):
                continue
            if found := self.run(name, job, event):
                done[job] = found
        return done

    def _step(self, step: Mapping[str, Any], env: Mapping[str, str], context: dict[str, Any], job: Job) -> None:
        files = {name: self.folder / f".github-{name.lower()}" for name in ("OUTPUT", "STEP_SUMMARY", "EVENT_PATH")}
        files["OUTPUT"].write_text("")
        files["STEP_SUMMARY"].write_text("")
        files["EVENT_PATH"].write_text(json.dumps(context["github"]["event"]))
        declared = {key: filled_in(text, context) for key, text in {**env, **step.get("env", {})}.items()}
        set_by_github = {f"GITHUB_{name}": str(path) for name, path in files.items()} | SET_BY_GITHUB
        kept = {key: text for key, text in declared.items() if text or key not in self.env}
        job.given[step["name"]] = {**self.env, **set_by_github, **kept}
        done = subprocess.run(
            ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", filled_in(step["run"], context)],
            cwd=self.folder,
            env=job.given[step["name"]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=180,
        )
        job.ended[step["name"]] = done.returncode
        job.said += done.stdout + done.stderr
        job.summary += files["STEP_SUMMARY"].read_text()
        outputs = dict(line.split("=", 1) for line in files["OUTPUT"].read_text().splitlines())
        ended = "success" if done.returncode == 0 else "failure"
        context["steps"][step.get("id", step["name"])] = {"outputs": outputs, "outcome": ended}
        if done.returncode:
            context["status"] = "failure"


@contextmanager
def checked_out(folder: Path) -> Iterator[None]:
    """Puts the files of a folder back as they were."""
    before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file() and not path.is_symlink()}
    yield
    for path in [path for path in folder.iterdir() if path.is_file() and not path.is_symlink()]:
        if path not in before:
            path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


def path_with(folder: Path, engine: Sequence[str]) -> str:
    """A PATH whose `pulumi` is the embedded engine, which `engine` starts."""
    return os.pathsep.join([str(shim(folder / "bin" / "pulumi", engine).parent), os.environ["PATH"]])


def shim(file: Path, command: Sequence[str]) -> Path:
    """An executable that is `command`; its path."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    file.chmod(0o755)
    return file
