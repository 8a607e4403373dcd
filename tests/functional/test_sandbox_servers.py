"""The life of a sandbox: start, stop, status, env, kills, state, several beside each other."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from sandbox.servers import Sandbox, SandboxError
from sandbox.servers.supervisor import SERVERS, is_alive
from tests.functional.clients import aws, browser, control, eventually, hms

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A second sandbox, beside the session's, that these tests may stop and kill."""
    with Sandbox(tmp_path_factory.mktemp("other") / "new", region="eu-central-1") as running:
        yield running


@pytest.fixture
def spare(other: Sandbox) -> Sandbox:
    """The second sandbox, running again whatever a test before did to it."""
    return other.start(watched=os.getpid())


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `python -m sandbox`."""
    program = [sys.executable, "-m", "sandbox", *arguments]
    env = {**os.environ, **environment}
    return subprocess.run(program, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=120)


def pids(sandbox: Sandbox) -> list[int]:
    """The supervisor and its servers."""
    run = json.loads((sandbox.dir / "run.json").read_text())
    return [run["pid"], *(server["pid"] for server in run["servers"].values())]


def all_ready(sandbox: Sandbox) -> bool:
    """Whether every server of a sandbox answers."""
    return {server.name for server in sandbox.status() if server.ready} == set(SERVERS)


@contextmanager
def held(*ports: int) -> Iterator[None]:
    """Nobody else is given these ports meanwhile: sockets hold them, without listening there."""
    with ExitStack() as stack:
        for port in ports:
            holder = stack.enter_context(socket.socket())
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind(("127.0.0.1", port))
        yield


def test_stop_comes_before_it_is_up(tmp_path: Path) -> None:
    """It is heard once there is somebody to hear it; who still waits for the start is told."""
    sandbox = Sandbox(tmp_path / "new")
    program = [sys.executable, "-m", "sandbox", "start", "--dir", str(sandbox.dir)]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as starting:
        eventually(lambda: sandbox.running)
        assert sandbox.stop()
        _, errors = starting.communicate(timeout=60)
    assert (starting.returncode in (0, 3), "Traceback" in errors) == (True, False), errors
    assert not sandbox.running


def test_two_sandboxes_share_nothing(sandbox: Sandbox, spare: Sandbox) -> None:
    """Own ports, own authority, own keys, own region."""
    assert sandbox.env["AWS_ENDPOINT_URL"] != spare.env["AWS_ENDPOINT_URL"]
    assert spare.env["AWS_REGION"] == "eu-central-1"
    with browser(sandbox) as client, pytest.raises(Exception, match="certificate"):
        client.get(spare.env["AWS_ENDPOINT_URL"])
    foreign = (sandbox.env["AWS_ACCESS_KEY_ID"], sandbox.env["AWS_SECRET_ACCESS_KEY"])
    with pytest.raises(Exception, match="InvalidAccessKeyId"):
        aws("s3", spare, foreign).list_buckets()


def test_env_is_made_for_a_shell(spare: Sandbox) -> None:
    """Each line exports one name; a shell takes them, and the clients they are for find what they need."""
    printed = command("env", "--dir", str(spare.dir))
    assert printed.returncode == 0
    assert all(line.startswith("export ") for line in printed.stdout.splitlines())
    dump = "import json, os; print(json.dumps(dict(os.environ)))"
    script = f'eval "$1"; exec {shlex.quote(sys.executable)} -c {shlex.quote(dump)}'
    program = ["/bin/sh", "-c", script, "sh", printed.stdout]
    shell = subprocess.run(program, env={}, capture_output=True, text=True, check=True)
    got = json.loads(shell.stdout)
    assert {name: got[name] for name in spare.env} == spare.env
    needed = (
        "AWS_ENDPOINT_URL AWS_CA_BUNDLE SSL_CERT_FILE AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION HMS_API_URL "
        "HMS_ACCESS_KEY HMS_APP_SECRET PULUMI_COMMAND PULUMI_CONFIG_PASSPHRASE SANDBOX_DIR PULUMI_BACKEND_URL "
        "HMS_TEMPLATE_ID HMS_ROOM_ID DATABASE_URL"
    )
    assert set(needed.split()) <= set(spare.env)
    assert json.loads(command("env", "--json", SANDBOX_DIR=str(spare.dir)).stdout) == spare.env


def test_env_outweighs_what_the_users_shell_holds(spare: Sandbox, tmp_path: Path) -> None:
    """No profile, endpoint, session or proxy of the user's own takes a client elsewhere, or stops it."""
    config = tmp_path / "config"
    config.write_text(
        "[default]\nregion = eu-west-3\nservices = far\n[services far]\niam =\n  endpoint_url = https://x.invalid\n"
    )
    far = "https://far.invalid"
    theirs = {
        **{f"AWS_ENDPOINT_URL{service}": far for service in ("", "_S3", "_IAM", "_STS", "_KMS")},
        **dict.fromkeys(["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"], "http://127.0.0.1:1"),
        "AWS_PROFILE": "none-such",
        "AWS_CONFIG_FILE": str(config),
        "AWS_SESSION_TOKEN": "x",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
        "no_proxy": "example.com",
        "HMS_API_URL": far,
    }
    look = (
        "import boto3, httpx, os\n"
        "where = {boto3.client(name).meta.endpoint_url for name in ('s3', 'iam', 'sts', 'kms')}\n"
        "assert where == {os.environ['AWS_ENDPOINT_URL']}, where\n"
        "boto3.client('iam').list_users()\n"
        "assert httpx.get(os.environ['HMS_API_URL'] + '/rooms').status_code == 401\n"
    )
    program = [sys.executable, "-c", look]
    done = subprocess.run(program, env={**theirs, **spare.env}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_secrets_are_nobody_elses(spare: Sandbox) -> None:
    """Nobody else reads the files that hold keys, and no process has one in its arguments or environment."""
    for folder in (".", "tls", "data", "logs"):
        assert stat.S_IMODE((spare.dir / folder).stat().st_mode) == 0o700
    for name in ("sandbox.json", "run.json", "tls/server.pem", "data/hms/state.json", "logs/aws.log"):
        assert stat.S_IMODE((spare.dir / name).stat().st_mode) == 0o600
    secrets = [spare.env[name] for name in ("AWS_SECRET_ACCESS_KEY", "HMS_APP_SECRET", "PULUMI_CONFIG_PASSPHRASE")]
    secrets.append(spare.settings.postgres_password)
    for pid in pids(spare):
        seen = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert not any(secret.encode() in seen for secret in secrets)


def test_servers_listen_on_the_loopback_interface_alone(spare: Sandbox) -> None:
    """No socket of a sandbox can be reached from another machine."""
    ports = {f"{port:04X}" for port in spare.settings.ports.values()}
    listening = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    addresses = {line[1] for line in listening if line[3] == "0A" and line[1].rpartition(":")[2] in ports}
    assert addresses == {f"0100007F:{port}" for port in ports}


def test_start_twice_is_harmless(spare: Sandbox) -> None:
    """The second start finds what runs."""
    before = pids(spare)
    again = command("start", "--dir", str(spare.dir))
    assert (again.returncode, again.stdout.split()[1]) == (0, spare.env["AWS_ENDPOINT_URL"])
    assert pids(spare) == before


def test_state_survives_stop_and_start(spare: Sandbox) -> None:
    """Addresses, keys, buckets, objects and versions, users and their keys, templates and recording assets are kept."""
    name = f"kept-{time.time_ns()}"
    s3, iam = aws("s3", spare), aws("iam", spare)
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    for body in (b"1", b"2"):
        s3.put_object(Bucket=name, Key="a", Body=body)
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    control(spare, "hms", "POST", "seed", {"assets": [{"count": 12}]})
    before = spare.env
    assert spare.stop()
    with held(*spare.settings.ports.values()):
        assert not spare.stop()
        spare.start(watched=os.getpid())
    assert spare.env == before
    assert s3.get_object(Bucket=name, Key="a")["Body"].read() == b"2"
    assert len(s3.list_object_versions(Bucket=name)["Versions"]) == 2
    assert aws("sts", spare, (key["AccessKeyId"], key["SecretAccessKey"])).get_caller_identity()
    with hms(spare) as api:
        assert len(api.get("/recording-assets", params={"limit": 100}).json()["data"]) >= 12


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_running_when_the_supervisor_ends(spare: Sandbox, number: signal.Signals) -> None:
    """Not even when it has no chance to stop its servers; and it can be started again at once."""
    running = pids(spare)
    os.kill(running[0], number)
    eventually(lambda: not any(is_alive(pid) for pid in running))
    assert spare.status() == []
    spare.start(watched=os.getpid())
    assert aws("s3", spare).list_buckets()


def test_nothing_is_left_running_when_the_parent_is_killed(tmp_path: Path) -> None:
    """A process that started a sandbox takes it along, however it ends."""
    program = f"import time; from sandbox.servers import Sandbox\nwith Sandbox({str(tmp_path)!r}): time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT) as parent:
        try:
            eventually(lambda: all_ready(Sandbox(tmp_path)))
            running = pids(Sandbox(tmp_path))
        finally:
            parent.kill()
    eventually(lambda: not any(is_alive(pid) for pid in running))


def test_foreground_ends_with_the_terminal(tmp_path: Path) -> None:
    """`start --foreground` stops its sandbox on a signal and leaves nothing."""
    program = [sys.executable, "-m", "sandbox", "start", "--foreground", "--dir", str(tmp_path)]
    with subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in SERVERS]
        assert [line.split()[0] for line in lines] == list(SERVERS)
        running = pids(Sandbox(tmp_path))
        process.send_signal(signal.SIGINT)
    assert process.returncode == 0
    assert not any(is_alive(pid) for pid in running)


def test_crashed_server_is_reported(spare: Sandbox) -> None:
    """`status` names the server that ended, its exit code and the end of its log, and exits 1."""
    victim = next(server for server in spare.status() if server.name == "hms")
    (spare.dir / "logs" / "hms.log").write_text("the last words\n")
    os.kill(victim.pid, signal.SIGKILL)
    ended = eventually(lambda: next((s for s in spare.status() if s.exit is not None), None))
    assert (ended.exit, ended.ready, ended.log) == (-signal.SIGKILL, False, ("the last words",))
    told = command("status", "--dir", str(spare.dir))
    assert told.returncode == 1
    assert "hms" in told.stdout
    assert "ended with code -9" in told.stdout
    assert "the last words" in told.stdout
    assert spare.stop()


def test_port_that_is_taken_meanwhile_is_told(spare: Sandbox) -> None:
    """A shell that still has the old address is not left wondering."""
    port, *others = (spare.settings.ports[name] for name in sorted(SERVERS, key=lambda name: name != "hms"))
    assert spare.stop()
    with held(*others), socket.create_server(("127.0.0.1", port)):
        told = command("start", "--dir", str(spare.dir))
    assert told.returncode == 0
    assert f"hms: port {port} is taken, it is on {spare.settings.ports['hms']} now" in told.stderr
    assert "aws: port" not in told.stderr
    assert spare.stop()


def test_status_says_what_runs(spare: Sandbox, tmp_path: Path) -> None:
    """Exit code 0 when all runs, 1 when nothing does, as text and as JSON."""
    told: Any = command("status", "--json", "--dir", str(spare.dir))
    assert told.returncode == 0
    assert all(server["ready"] for server in json.loads(told.stdout)["servers"])
    none = command("status", "--dir", str(tmp_path))
    assert (none.returncode, "no sandbox runs" in none.stdout) == (1, True)


def test_env_without_a_sandbox_says_what_to_do(tmp_path: Path) -> None:
    """A foreseen failure is one line with the next act, and no traceback."""
    told = command("env", "--dir", str(tmp_path))
    assert (told.returncode, told.stdout) == (3, "")
    assert told.stderr.startswith("error: there is no sandbox in ")
    assert "python -m sandbox start" in told.stderr


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--region", "us-west-2"], "is in eu-central-1, not us-west-2"),
        (["--dir", "/proc/none"], "cannot use the folder /proc/none"),
    ],
)
def test_start_that_cannot_be_meant_is_refused(spare: Sandbox, options: list[str], told: str) -> None:
    """An option is never ignored in silence; the answer is one line."""
    refused = command("start", *options, SANDBOX_DIR=str(spare.dir))
    assert (refused.returncode, refused.stdout) == (3, "")
    assert told in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_damaged_settings_are_named(tmp_path: Path) -> None:
    """Not a traceback, but which file and what to do."""
    (tmp_path / "sandbox.json").write_text('{"region": ')
    refused = command("start", "--dir", str(tmp_path))
    assert (refused.returncode, "sandbox.json is damaged: remove" in refused.stderr) == (3, True)


def test_server_that_cannot_start_is_named(tmp_path: Path) -> None:
    """A start that fails leaves nothing running and shows the end of the log."""
    broken = Sandbox(tmp_path / "broken")
    (tmp_path / "broken" / "data" / "hms" / "state.json").mkdir(parents=True)
    with pytest.raises(SandboxError, match=r"server hms ended with exit code 1:(?s:.)*Error"):
        broken.start()
    assert not broken.running
