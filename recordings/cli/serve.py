"""`recordings serve`: the web application on a socket; `recordings.web` is what it serves."""

from __future__ import annotations

import importlib
import ipaddress
import logging
import os
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recordings.cli.frame import Frame, OutputsOption, StackOption, load_outputs, run
from recordings.durations import parse_duration
from recordings.errors import ConfigurationError, UsageError
from recordings.extras import needs
from recordings.hms_auth import HmsCredentials

if TYPE_CHECKING:
    from starlette.applications import Starlette

_LOCAL_NAMES = ["127.0.0.1", "localhost", "[::1]"]


def command(
    stack: StackOption = None,
    outputs: OutputsOption = None,
    authorise: Annotated[
        str | None,
        typer.Option(metavar="MODULE:NAME", help="Your hook: who may list and download (docs/your-code.md)."),
    ] = None,
    allow_all: Annotated[
        bool, typer.Option("--allow-all", help="Allow everything to everybody on this machine; loopback only.")
    ] = False,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")] = 8080,
    expires: Annotated[
        str, typer.Option(metavar="T", help="How long a download URL works: 30s, 15m, 1h, at most 7d.")
    ] = "1h",
) -> None:
    """Serve the download endpoint, the list, the page and 100ms' webhook beside a back end.

    Closed unless --authorise names a hook. Reads DATABASE_URL; with HMS_ACCESS_KEY and HMS_APP_SECRET it also leads to
    what 100ms still keeps, and with HMS_WEBHOOK_SECRET it takes webhooks at /webhooks/100ms.

    Example: recordings serve --stack prod --authorise myapp.auth:may_see
    """

    def action() -> None:
        if allow_all and (authorise or not _is_loopback(host)):
            raise UsageError("--allow-all goes with a loopback --host and without --authorise: anybody could download")
        app = _application(load_outputs(stack, outputs), authorise, allow_all=allow_all, expires=expires)
        frame = Frame()
        if not (authorise or allow_all):
            frame.tell("no --authorise: every request is answered with 403", style="yellow")
        _serve(app, host, port, frame.tell)

    run(action)


def _serve(app: Starlette, host: str, port: int, tell: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM, telling where, and each request. Raises ConfigurationError for a taken port."""
    with needs("web"):
        import uvicorn

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                tell(f"serving on http://{name}:{listener.getsockname()[1]} (stop with Ctrl-C)")

    family, name = (socket.AF_INET6, f"[{host}]") if ":" in host else (socket.AF_INET, host)
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}, port {port}: {error.strerror}; give another --host or --port"
        ) from None
    _tell_logs(tell)
    with listener, suppress(KeyboardInterrupt):
        Server(uvicorn.Config(app, log_config=None, server_header=False, proxy_headers=False)).run([listener])


class _Story(logging.Handler):
    """Log lines as lines of the story."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it."""
        self._tell(self.format(record))


def _tell_logs(tell: Callable[[str], None]) -> None:
    """Of uvicorn's logs: each request, and what goes wrong."""
    logging.getLogger("uvicorn").addHandler(_Story(tell))
    logging.getLogger("uvicorn").propagate = False
    for name, level in (("access", logging.INFO), ("error", logging.WARNING)):
        logging.getLogger(f"uvicorn.{name}").setLevel(level)


def _application(loaded: Any, authorise: str | None, *, allow_all: bool, expires: str) -> Starlette:
    with needs("db"), needs("web"):
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        from recordings.database import database_url
        from recordings.web import closed, create_app
        from recordings.webhook_guard import WebhookSettings
    webhook = WebhookSettings.from_environment(os.environ)
    has_hms = any(os.environ.get(name) for name in ("HMS_ACCESS_KEY", "HMS_MANAGEMENT_TOKEN"))
    app = create_app(
        loaded,
        database_url(os.environ),
        authorise=_anybody if allow_all else _load(authorise) if authorise else closed,
        hms=HmsCredentials.from_environment(os.environ) if has_hms or webhook.secret else None,
        life=parse_duration(expires),
        webhook=webhook if webhook.secret else None,
    )
    if allow_all:  # a page of another name that leads to this machine is not from this machine
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=_LOCAL_NAMES, www_redirect=False)
    return app


async def _anybody(request: Any, action: Any, recording: Any) -> bool:
    return True


def _load(name: str) -> Any:
    """The hook that `MODULE:NAME` names, from the current folder too. Raises ConfigurationError."""
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        raise ConfigurationError(f"--authorise {name!r} is no hook: legal is MODULE:NAME, such as myapp.auth:may_see")
    sys.path.insert(0, os.getcwd())
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(f"--authorise {name!r} cannot be loaded: {error}") from None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
