"""`start`, `stop`, `status` and `env` of the sandbox. Thin: `sandbox.servers.control` does it.

Result to stdout, story to stderr. Exit codes are those of `recordings.errors`.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from recordings.errors import RecordingsError
from sandbox.servers.control import Sandbox, ServerStatus
from sandbox.servers.supervisor import is_alive

app = typer.Typer(help="The sandbox's servers: AWS and 100ms on this machine.", no_args_is_help=True)

Directory = Annotated[
    Path, typer.Option("--dir", envvar="SANDBOX_DIR", help="The sandbox's folder: state, ports, certificates, logs.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
_DEFAULT = Path(".sandbox")
_POLL_SECONDS = 0.25


@app.command()
def start(
    directory: Directory = _DEFAULT,
    region: Annotated[str | None, typer.Option(help="AWS region of a new sandbox; us-east-1 if not given.")] = None,
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay, and stop the sandbox at the end.")] = False,
    with_parent: Annotated[bool, typer.Option("--with-parent", help="Stop when the calling process ends.")] = False,
) -> None:
    """Start the servers that do not run yet, and say where they are."""
    sandbox = Sandbox(directory, region=region)
    parent = os.getppid()
    watched = os.getpid() if foreground else parent if with_parent else None
    told_to_stop = _on_signals() if foreground else None
    with _reported():
        before = _ports(sandbox)
        sandbox.start(watched=watched)
        after = _ports(sandbox)
    for name, port in after.items():
        if before.get(name, port) != port:
            typer.echo(f"{name}: port {before[name]} is taken, it is on {port} now: run `env` again", err=True)
    for server in sandbox.status():
        typer.echo(f"{server.name}  {server.url}")
    typer.echo(f'next: eval "$(python -m sandbox env --dir {shlex.quote(str(sandbox.dir))})"', err=True)
    if told_to_stop is not None:
        while not told_to_stop.wait(_POLL_SECONDS) and is_alive(parent):
            pass
        sandbox.stop()


@app.command()
def stop(directory: Directory = _DEFAULT) -> None:
    """Stop all servers. State is kept; a sandbox that does not run is no error."""
    with _reported():
        stopped = Sandbox(directory).stop()
    typer.echo("stopped" if stopped else "was not running", err=True)


@app.command()
def status(directory: Directory = _DEFAULT, as_json: AsJson = False) -> None:
    """Say what runs; exit code 1 if not every server does."""
    sandbox = Sandbox(directory)
    servers = sandbox.status()
    if as_json:
        running = {"dir": str(sandbox.dir), "running": bool(servers), "servers": [asdict(server) for server in servers]}
        typer.echo(json.dumps(running))
    else:
        for line in _described(sandbox, servers):
            typer.echo(line)
    if not servers or not all(server.ready for server in servers):
        raise typer.Exit(1)


@app.command()
def env(directory: Directory = _DEFAULT, as_json: AsJson = False) -> None:
    """Print `export NAME=value` lines for a shell. They hold the sandbox's secrets."""
    with _reported():
        values = Sandbox(directory).env
    if as_json:
        typer.echo(json.dumps(values))
        return
    for name, value in values.items():
        typer.echo(f"export {name}={shlex.quote(value)}")


def _described(sandbox: Sandbox, servers: list[ServerStatus]) -> list[str]:
    if not servers:
        return [f"no sandbox runs in {sandbox.dir}: start one with `python -m sandbox start`"]
    lines = []
    for server in servers:
        state = "ready" if server.ready else "starting" if server.exit is None else f"ended with code {server.exit}"
        lines.append(f"{server.name}  {server.url}  pid {server.pid}  {state}")
        lines += [f"    {line}" for line in server.log]
    return lines


def _on_signals() -> threading.Event:
    """An event that a signal to end sets."""
    told_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: told_to_stop.set())
    return told_to_stop


def _ports(sandbox: Sandbox) -> Mapping[str, int]:
    """Of each server; none before the first start."""
    return sandbox.settings.ports if sandbox.exists else {}


@contextmanager
def _reported() -> Iterator[None]:
    """Turn a foreseen failure into its message and exit code."""
    try:
        yield
    except RecordingsError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(error.exit_code) from None


if __name__ == "__main__":
    app()
