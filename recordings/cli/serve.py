"""`recordings serve`: the web application on a socket; `recordings.web` is what it serves."""

from __future__ import annotations

import importlib
import ipaddress
import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recordings.cli.frame import Frame, OutputsOption, StackOption, load_outputs, run
from recordings.durations import parse_duration
from recordings.errors import ConfigurationError, UsageError
from recordings.extras import needs
from recordings.hms_auth import HmsCredentials

if TYPE_CHECKING:
    from starlette.applications import Starlette

NAME = "serve"
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
        with needs("web"):
            import uvicorn
        if allow_all and (authorise or not _is_loopback(host)):
            raise UsageError("--allow-all goes with a loopback --host and without --authorise: anybody could download")
        app = _application(load_outputs(stack, outputs), authorise, allow_all=allow_all, expires=expires)
        frame = Frame()
        frame.tell(f"serving on {host}, port {port or 'any'}; stop with Ctrl-C")
        if not (authorise or allow_all):
            frame.tell("no --authorise: every request is answered with 403", style="yellow")
        uvicorn.run(app, host=host, port=port, log_level="info", server_header=False, proxy_headers=False)

    run(action)


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
