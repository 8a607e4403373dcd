"""The code in docs/your-code.md works: TypeScript in Node against a deployed stack, Python in this process."""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from typer.testing import CliRunner

from recordings.cli import app as commands
from recordings.migrate import migrations, run_migrations
from recordings.outputs import StackOutputs
from sandbox.servers import Sandbox
from tests import node
from tests.functional.clients import aws, browser, control
from tests.functional.databases import rows, temporary_database
from tests.functional.google_lab import Lab
from tests.functional.google_stand import GoogleStand
from tests.functional.project import ROOT, Project
from tests.functional.stand import Stand, entered
from tests.functional.web_server import WebStand, client, web_stand

DOCUMENT = (ROOT / "docs" / "your-code.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?:ts|python)\n(?://|#) file: (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SECRET = "a-secret-of-the-webhook"
AUTH = """
export async function maySee(request: Request, roomId?: string): Promise<boolean> {
  return request.headers.get("x-user") === "ann";
}
"""
COMPILER = {
    "strict": True,
    "noEmit": True,
    "module": "esnext",
    "moduleResolution": "bundler",
    "target": "es2022",
    "lib": ["es2023", "dom", "dom.iterable"],
    "types": ["node"],
    "allowImportingTsExtensions": True,
    "erasableSyntaxOnly": True,
    "skipLibCheck": True,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The blocks as files, and what the reader is told to supply."""
    made = tmp_path_factory.mktemp("your-code")
    for name, text in BLOCK.findall(DOCUMENT):
        file = made / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    (made / "lib" / "auth.ts").write_text(AUTH)
    (made / "package.json").write_text('{"type": "module"}')
    (made / "tsconfig.json").write_text(json.dumps({"compilerOptions": COMPILER}))
    return made


def environment(sandbox: Sandbox, outputs: StackOutputs, **more: str) -> dict[str, str]:
    """As the document says to set it, and whom to trust."""
    return {
        "PATH": os.environ["PATH"],
        "NODE_EXTRA_CA_CERTS": sandbox.env["SSL_CERT_FILE"],
        "RECORDINGS_PROVIDER": outputs.storage_provider.value,
        "RECORDINGS_BUCKET": outputs.bucket_name,
        "RECORDINGS_PREFIX": outputs.path_prefix,
        "RECORDINGS_REGION": outputs.region,
        "RECORDINGS_KEY_ID": outputs.reader_access_key_id,
        "RECORDINGS_SECRET": outputs.reader_secret_access_key.get_secret_value(),
        "RECORDINGS_ENDPOINT": outputs.endpoint_url or "",
        "HMS_WEBHOOK_SECRET": SECRET,
        **{name: sandbox.env[name] for name in ("HMS_API_URL", "HMS_ACCESS_KEY", "HMS_APP_SECRET")},
        **more,
    }


@pytest.fixture(scope="module")
def database(sandbox: Sandbox) -> Iterator[str]:
    with temporary_database(sandbox) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            run_migrations(connection, migrations())
        yield url


def test_typescript_compiles_strictly(folder: Path) -> None:
    """As it stands in the document."""
    assert len([name for name, _ in BLOCK.findall(DOCUMENT) if name.endswith(".ts")]) == 7
    for script in ("check.ts", "check-gcs.ts", "check-s3.ts"):
        (folder / script).write_bytes((node.SOURCE / script).read_bytes())
    done = node.tsc(folder)
    assert done.returncode == 0, done.stdout


def test_typescript_takes_a_webhook_and_gives_a_download(
    sandbox: Sandbox, deployed_project: Project, deployed: StackOutputs, folder: Path, database: str
) -> None:
    """From event to row to URL, on a deployed stack; spoofed events and strangers get nothing."""
    key = f"{deployed.path_prefix}beam/room/20260115/Rec-é +1.mp4"
    path = f"s3://{deployed.bucket_name}/{key}"
    s3 = aws("s3", sandbox)
    s3.put_object(Bucket=deployed.bucket_name, Key=key, Body=b"by typescript")
    paths = [path, "s3://100ms-own/x.mp4", f"s3://{deployed.bucket_name}/{deployed.path_prefix}../x.mp4"]
    seeds: list[dict[str, Any]] = [{"path": path, "session_id": "session-ts"} for path in paths]
    own = {"type": "s3", "location": "100ms-own", "prefix": "", "region": "us-east-1", "key": "K", "secret": "S"}
    seeds[1] |= {"_storage": own, "_key": "x.mp4"}
    ids = control(sandbox, "hms", "POST", "seed", {"assets": seeds})["assets"]
    given = {"session": "session-ts", "secret": SECRET, "ids": ids, "key": key, "paths": [*paths, "s3://x", ""]}
    env = environment(sandbox, deployed, DATABASE_URL=database)
    found = node.run(node.SOURCE / "check.ts", given, env, folder)
    assert found["webhooks"] == {
        "unsigned": 401,
        "wrong": 401,
        "malformed": 400,
        "foreign": 200,
        "good": 200,
        "again": 200,
    }
    assert found["keys"] == [key, None, None, None, None]
    query = "select asset_id, storage_provider, file_path from meeting_recordings order by asset_id"
    assert rows(database, query) == sorted(zip(ids, ("s3", "100ms", "100ms"), paths, strict=True))
    statuses = {name: answer["status"] for name, answer in found["downloads"].items()}
    assert statuses == {"stranger": 403, ids[0]: 307, ids[1]: 307, ids[2]: 410, "unknown": 404}
    with browser(sandbox) as visitor:
        for url in (found["downloads"][ids[0]]["location"], found["url"]):
            assert visitor.get(url).content == b"by typescript"
    assert "100ms-own/x.mp4?" in found["downloads"][ids[1]]["location"]
    s3.delete_object(Bucket=deployed.bucket_name, Key=key)


def test_typescript_signs_on_google(sandbox: Sandbox, lab: Lab, folder: Path) -> None:
    """By the official library with the JSON key, and by Amazon's with the HMAC key."""
    stand = GoogleStand.build(lab)
    lab.put(stand.bucket, "recordings/a b.mp4", b"on google")
    key = json.dumps(lab.key(stand.raw["readerPrincipal"]))
    env = environment(sandbox, stand.outputs, RECORDINGS_JSON_KEY=key)
    asked = {"key": "recordings/a b.mp4"}
    urls = [node.run(node.SOURCE / "check-gcs.ts", asked, env, folder)["url"]]
    urls.append(node.run(node.SOURCE / "check-s3.ts", asked, {**env, "RECORDINGS_REGION": "auto"}, folder)["url"])
    assert "X-Goog-Signature=" in urls[0]
    assert "X-Amz-Signature=" in urls[1]
    with browser(sandbox) as visitor:
        assert [visitor.get(url).content for url in urls] == [b"on google"] * 2


@pytest.fixture
def place(sandbox: Sandbox) -> Iterator[WebStand]:
    with entered(sandbox), web_stand(sandbox, Stand.build()) as made:
        yield made


def test_python_signs_and_mounts(
    sandbox: Sandbox, place: WebStand, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blocks are modules of an application; its hook lets Ann see her room and nobody else anything."""
    (tmp_path / "outputs.json").write_text(json.dumps(place.stand.raw))
    monkeypatch.setenv("RECORDINGS_OUTPUTS", str(tmp_path / "outputs.json"))
    monkeypatch.setenv("DATABASE_URL", place.database_url)
    monkeypatch.setenv("HMS_WEBHOOK_SECRET", SECRET)
    monkeypatch.syspath_prepend(str(folder))
    links: Any = importlib.import_module("myapp.links")
    media: Any = sys.modules["myapp.media"].media
    path = place.put("a.mp4", b"by python")
    id_ = place.add(path)
    with browser(sandbox) as visitor:
        for url in (links.link(path, "Monday"), *links.links([path, path])):
            assert visitor.get(url).content == b"by python"
    app = Starlette(routes=[Mount("/media", media)], lifespan=media.router.lifespan_context)
    with client(app) as http:
        address = f"/media/recordings/{id_}/download"
        statuses = [
            http.get(address, headers=headers).status_code for headers in ({}, {"X-User": "ann"}, {"X-User": "bob"})
        ]
        assert statuses == [403, 307, 403]
        assert http.post("/media/webhooks/100ms", json={}).status_code == 401
    for name in [name for name in sys.modules if name.split(".")[0] == "myapp"]:
        del sys.modules[name]


def test_commands_of_the_document_exist() -> None:
    """Every `recordings …` that a reader is told to run, and its options."""
    for line in re.findall(r"^\$ (recordings .+)$", DOCUMENT, re.MULTILINE):
        words = line.partition("#")[0].split()
        done = CliRunner().invoke(commands, [words[1], "--help"])
        assert done.exit_code == 0, line
        for option in (word for word in words if word.startswith("--")):
            assert option in done.stdout, line
