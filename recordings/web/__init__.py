"""The download endpoint, the list, the page and the place for 100ms' webhook, as one ASGI application.

    app = create_app(outputs, database_url, authorise=may)

Run it beside a back end (`recordings serve`) or mount it in one. Closed by default: without a hook of the host
application that says who may do what, every request is 403. Needs the extras `db` and `web`.
"""

from __future__ import annotations

from recordings.web.access import Action, Authorise, closed
from recordings.web.app import create_app

__all__ = ["Action", "Authorise", "closed", "create_app"]
