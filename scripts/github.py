"""What scripts say to GitHub: outputs and summary of a job, a comment on a pull request, an issue, a changed file.

Example: python -m scripts.github comment --marker preview-dev report.md

Or: python -m scripts.github issue --marker nightly-dev --title "Drift in dev" report.md

Or: python -m scripts.github keep Pulumi.dev.yaml --message "Rotate the keys of dev by one step"

`comment` and `issue` write again what a workflow wrote before, found by a marker that is not shown, rather than add one
more. Reads GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_TOKEN, GITHUB_EVENT_PATH, GITHUB_SHA, GITHUB_REF_NAME,
GITHUB_SERVER_URL and GITHUB_RUN_ID, which GitHub sets (the token: the workflow).

Source: https://docs.github.com/en/rest/issues/comments, .../issues/issues, .../repos/contents.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import httpx
import typer

from recordings.cli.frame import run
from recordings.cli.help import Command
from recordings.errors import ConfigurationError, RemoteError, UsageError
from scripts.command import group

API: Final = "https://api.github.com"
LONGEST: Final = 65_000
"""Characters of a body; GitHub takes 65,536."""
PAGE: Final = 100
AUTHOR: Final = "github-actions[bot]"
"""Who writes with a job's own token. Source: https://docs.github.com/en/actions/concepts/security/github_token"""
_MARKER: Final = re.compile(r"[a-z0-9-]{1,64}")

MarkerOption = Annotated[
    str, typer.Option(metavar="NAME", help="Which comment or issue: small letters, digits and '-'.")
]
TitleOption = Annotated[str, typer.Option(metavar="TEXT", help="The heading.")]
FilesArgument = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Files to show, one after the other.")]

app = group(__doc__)


@dataclass(frozen=True)
class Repository:
    """One repository's issues, and pull requests, which are issues to this part of the API."""

    http: httpx.Client

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Repository:
        """As a job has it. Raises ConfigurationError that names what is not set."""
        missing = [name for name in ("GITHUB_REPOSITORY", "GITHUB_TOKEN") if not environ.get(name)]
        if missing:
            raise ConfigurationError(f"{' and '.join(missing)} not set: run this in a job of GitHub Actions")
        headers = {"Authorization": f"Bearer {environ['GITHUB_TOKEN']}", "Accept": "application/vnd.github+json"}
        base = f"{environ.get('GITHUB_API_URL') or API}/repos/{environ['GITHUB_REPOSITORY']}/"
        return cls(httpx.Client(base_url=base, headers=headers, timeout=30, transport=httpx.HTTPTransport(retries=3)))

    def comment(self, number: int, marker: str, body: str) -> str:
        """Write the marked comment of a pull request; gives its address."""
        text = marked(body, marker)
        for found in self._pages(f"issues/{number}/comments"):
            if is_ours(found, marker):
                return str(self._ask("PATCH", f"issues/comments/{found['id']}", {"body": text})["html_url"])
        return str(self._ask("POST", f"issues/{number}/comments", {"body": text})["html_url"])

    def issue(self, title: str, marker: str, body: str) -> str:
        """Write the marked open issue; gives its address."""
        text = marked(body, marker)
        for found in self._pages("issues", state="open"):
            if "pull_request" not in found and is_ours(found, marker):
                return str(self._ask("PATCH", f"issues/{found['number']}", {"title": title, "body": text})["html_url"])
        return str(self._ask("POST", "issues", {"title": title, "body": text})["html_url"])

    def keep(self, file: Path, start: str, branch: str, message: str) -> str | None:
        """Commit a file to a branch, if it differs from that of the commit `start`, which the job began with.

        Gives the commit. The write names what it replaces, so that nobody else's change since `start` is overwritten:
        that, and whatever else GitHub refuses, is a RemoteError.
        """
        path = f"contents/{file.as_posix()}"
        there = self._ask("GET", path, None, ref=start)
        content = file.read_bytes()
        if base64.b64decode(there["content"]) == content:
            return None
        body = {
            "message": message,
            "branch": branch,
            "sha": there["sha"],
            "content": base64.b64encode(content).decode(),
        }
        return str(self._ask("PUT", path, body)["commit"]["sha"])

    def _pages(self, path: str, **query: str) -> Iterator[dict[str, Any]]:
        page = 1
        while True:
            found = self._ask("GET", path, None, per_page=str(PAGE), page=str(page), **query)
            yield from found
            if len(found) < PAGE:
                return
            page += 1

    def _ask(self, method: str, path: str, body: Any, **query: str) -> Any:
        try:
            answer = self.http.request(method, path, json=body, params=query)
        except httpx.TransportError as error:
            raise RemoteError(f"GitHub could not be reached ({type(error).__name__}): {method} {path}") from None
        if answer.is_success:
            return answer.json()
        why = "check that the job's `permissions` allow it"
        if answer.status_code == httpx.codes.CONFLICT:
            why = "somebody changed it since this job began. Put both changes together by hand"
        raise RemoteError(f"GitHub answered {answer.status_code} to {method} {path}: {why}")


def marked(body: str, marker: str) -> str:
    """The body with the marker, cut where GitHub takes no more. Raises UsageError for a marker that cannot be used."""
    if not _MARKER.fullmatch(marker):
        raise UsageError(f"--marker {marker!r}: legal are 1 to 64 small letters, digits and '-'")
    cut = body if len(body) <= LONGEST else body[:LONGEST] + "\n\n… cut here; the whole is in the job's summary\n"
    return f"{_mark(marker)}\n{cut}"


def is_ours(found: Mapping[str, Any], marker: str) -> bool:
    """Whether a workflow wrote this under the marker. What is another's could be changed by them after us."""
    author = (found.get("user") or {}).get("login")
    return author == AUTHOR and (found.get("body") or "").startswith(_mark(marker))


def event() -> dict[str, Any]:
    """What started the job. Raises ConfigurationError where there is none that can be read."""
    name = os.environ.get("GITHUB_EVENT_PATH", "")
    try:
        found: dict[str, Any] = json.loads(Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise ConfigurationError(f"GITHUB_EVENT_PATH {name!r} is no file with an event of GitHub Actions") from None
    return found


def pull_request() -> int:
    """The number of the pull request that started the job. Raises ConfigurationError."""
    number = event().get("number")
    if not isinstance(number, int):
        raise ConfigurationError("this job was not started by a pull request, so it has no number: give --number")
    return number


def write_outputs(**values: str) -> None:
    """Set outputs of the step, where there is one. Each is one line."""
    if file := os.environ.get("GITHUB_OUTPUT"):
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.writelines(f"{name}={' '.join(value.split())}\n" for name, value in values.items())


def write_summary(markdown: str) -> None:
    """Add to the summary of the job, where there is one."""
    if file := os.environ.get("GITHUB_STEP_SUMMARY"):
        with Path(file).open("a", encoding="utf-8") as lines:
            lines.write(f"{markdown}\n")


@app.command("comment", cls=Command)
def comment(
    report: FilesArgument,
    marker: MarkerOption,
    title: TitleOption = "",
    number: Annotated[
        int | None, typer.Option(metavar="N", help="Pull request; else the one that started the job.")
    ] = None,
) -> None:
    """Write one comment on a pull request, again and again the same one; the job's summary gets it too."""

    def action() -> None:
        body = headed(title, _joined(report))
        write_summary(body)
        which = number if number is not None else pull_request()
        print(Repository.from_environment(os.environ).comment(which, marker, body))

    run(action)


@app.command("issue", cls=Command)
def issue(report: FilesArgument, marker: MarkerOption, title: TitleOption) -> None:
    """Open an issue; while it is open, the same one is written again."""

    def action() -> None:
        body = f"{run_of(os.environ)}\n\n{_joined(report)}"
        print(Repository.from_environment(os.environ).issue(title, marker, body))

    run(action)


@app.command("summary", cls=Command)
def summary(
    report: FilesArgument,
    title: TitleOption = "",
    markdown: Annotated[bool, typer.Option("--markdown", help="It is Markdown, not plain text.")] = False,
) -> None:
    """Add files to the job's summary; one that is not there is left out."""

    def action() -> None:
        text = _joined(report)
        write_summary(headed(title, text if markdown else fenced(text)))

    run(action)


@app.command("keep", cls=Command)
def keep(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A file of the repository, by its path in it.")],
    message: Annotated[str, typer.Option(metavar="TEXT", help="Of the commit.")],
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A file that gets the content where it is refused.")
    ] = None,
) -> None:
    """Commit a file that the job changed to the branch that it runs on; one that is as it was is no commit."""

    def action() -> None:
        start, branch = (os.environ.get(f"GITHUB_{name}") or "" for name in ("SHA", "REF_NAME"))
        try:
            made = Repository.from_environment(os.environ).keep(file, start, branch, message)
        except RemoteError as error:
            if report is not None:
                _hand_over(file, branch, error, report)
            raise
        print(f"committed to {branch}: {made}" if made else f"{file} is as it was")

    run(action)


def _hand_over(file: Path, branch: str, error: RemoteError, report: Path) -> None:
    content = fenced(file.read_text(encoding="utf-8", errors="replace"))
    text = f"\n### Commit `{file}` to `{branch}`: the stack is deployed with this content\n\n{error}\n\n{content}"
    with report.open("a", encoding="utf-8") as lines:
        lines.write(text)


def run_of(environ: Mapping[str, str]) -> str:
    """Where the log of this job is."""
    server, repository, number = (environ.get(f"GITHUB_{name}", "") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    return f"Written by [run {number}]({server}/{repository}/actions/runs/{number})."


def headed(title: str, text: str) -> str:
    """The text under a heading, if there is one."""
    return f"## {title}\n\n{text}" if title else text


def fenced(text: str) -> str:
    """Plain text as Markdown shows it unchanged; the fence is longer than any in the text."""
    fence = "`" * max(3, 1 + max((len(run_) for run_ in re.findall("`+", text)), default=0))
    return f"{fence}text\n{text.rstrip()}\n{fence}\n"


def _joined(files: Sequence[Path]) -> str:
    found = [file.read_text(encoding="utf-8", errors="replace") for file in files if file.exists()]
    return "\n".join(text for text in found if text.strip()) or "(nothing was written: see the log of the job)\n"


def _mark(marker: str) -> str:
    return f"<!-- recordings: {marker} -->"


if __name__ == "__main__":
    app()
