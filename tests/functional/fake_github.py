"""GitHub's API as far as the workflows use it: comments, issues, contents of a branch. On the loopback interface."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

REPOSITORY: Final = "acme/recordings"
TOKEN: Final = "github-token-of-the-job"
_ISSUES: Final = f"/repos/{REPOSITORY}/issues"
_CONTENTS: Final = f"/repos/{REPOSITORY}/contents/"


@dataclass
class GitHub:
    """One repository. `comments` by id, `issues` by number, `files` by path, and `at` as they were at a commit.

    `author` is who writes what is written now.
    """

    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    issues: dict[int, dict[str, Any]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    at: dict[str, dict[str, bytes]] = field(default_factory=dict)
    author: str = "github-actions[bot]"
    log: list[str] = field(default_factory=list)
    url: str = ""

    def answer(self, method: str, path: str, query: dict[str, str], body: Any) -> tuple[int, Any]:
        self.log.append(f"{method} {path}")
        if path.startswith(_CONTENTS):
            return self._contents(method, path.removeprefix(_CONTENTS), query.get("ref", ""), body)
        parts = path.removeprefix(_ISSUES).strip("/").split("/")
        match method, parts:
            case "GET", [""]:
                return 200, _page([each for each in self.issues.values() if each["state"] == query["state"]], query)
            case "POST", [""]:
                number = len(self.issues) + 1
                opened = {"number": number, "state": "open", "html_url": f"/issues/{number}", "user": self._user}
                self.issues[number] = {**opened, **body}
                return 201, self.issues[number]
            case "PATCH", ["comments", id_]:
                self.comments[int(id_)].update(body)
                return 200, self.comments[int(id_)]
            case "PATCH", [issue]:
                self.issues[int(issue)].update(body)
                return 200, self.issues[int(issue)]
            case "GET", [issue, "comments"]:
                return 200, _page([each for each in self.comments.values() if each["of"] == int(issue)], query)
            case "POST", [issue, "comments"]:
                new = len(self.comments) + 1
                made = {"id": new, "of": int(issue), "html_url": f"/comments/{new}", "user": self._user}
                self.comments[new] = {**made, **body}
                return 201, self.comments[new]
        return 404, {"message": "Not Found"}

    @property
    def _user(self) -> dict[str, str]:
        return {"login": self.author}

    def _contents(self, method: str, path: str, ref: str, body: Any) -> tuple[int, Any]:
        files = self.at.get(ref, self.files)
        if path not in files:
            return 404, {"message": "Not Found"}
        if method == "GET":
            return 200, {"content": base64.encodebytes(files[path]).decode(), "sha": _sha(files[path])}
        if body["sha"] != _sha(self.files[path]):
            return 409, {"message": f"{path} does not match {body['sha']}"}
        self.files[path] = base64.b64decode(body["content"])
        return 200, {"commit": {"sha": _sha(self.files[path])}}


def _page(found: list[Any], query: dict[str, str]) -> list[Any]:
    size, page = int(query["per_page"]), int(query["page"])
    return found[(page - 1) * size : page * size]


def _sha(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


@contextmanager
def github() -> Iterator[GitHub]:
    """Serve one; `url` is its API."""
    state = GitHub()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

        def _serve(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            query = {key: values[0] for key, values in parse_qs(parts.query).items()}
            status, body = 401, {"message": "Bad credentials"}
            if self.headers.get("Authorization") == f"Bearer {TOKEN}":
                status, body = state.answer(self.command, parts.path, query, json.loads(raw or b"null"))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = _serve  # noqa: N815

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
