"""As much of a web framework as the fake 100ms API needs: requests, refusals in 100ms' words, routes, paging.

Sources: 100ms' page "Make API Calls" (error bodies, paging).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote

Json = dict[str, Any]

_MIN_LIMIT: Final = 10
_MAX_LIMIT: Final = 100


class Refusal(Exception):  # noqa: N818
    """An answer that is an error, worded as 100ms does: code, message, details."""

    def __init__(self, code: int, message: str, *details: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details

    @property
    def body(self) -> Json:
        """The documented error body."""
        return {"code": self.code, "message": self.message, "details": list(self.details)}


def not_found(what: str) -> Refusal:
    """The 404 for one kind of thing."""
    return Refusal(404, f"{what} not found", "not found")


@dataclass(frozen=True)
class Request:
    """One request; `body` is parsed JSON or None if there was none."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""

    def object(self) -> Json:
        """The body as an object; an empty body is an empty object. Raises Refusal (400)."""
        value = self.json() if self.content.strip() else {}
        if not isinstance(value, dict):
            raise Refusal(400, "Invalid body", "an object is expected")
        return value

    def json(self) -> Any:
        """The body. Raises Refusal (400)."""
        try:
            return json.loads(self.content)
        except ValueError:
            raise Refusal(400, "Invalid body", "not JSON") from None


def check_types(body: Json, fields: Mapping[str, type]) -> None:
    """Refuse a body in which one of these fields is there, not null and of another type. Raises Refusal (400)."""
    for name, kind in fields.items():
        value = body.get(name)
        if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise Refusal(400, f"Invalid body param: {name}")


def parse_query(raw: bytes) -> dict[str, str]:
    """The query, the last value of each name."""
    return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True))


Handler = Callable[..., Any]


class Routes:
    """Method and path to handler; `{name}` in a path is one segment and becomes an argument."""

    def __init__(self) -> None:
        self._routes: list[tuple[str, re.Pattern[str], Handler]] = []

    def add(self, route: str, handler: Handler) -> None:
        """`route` is such as `GET /rooms/{room_id}`; paths are without `/v2`."""
        method, path = route.split(" ")
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path))
        self._routes.append((method, re.compile(pattern), handler))

    def call(self, request: Request) -> Any:
        """The handler's answer. Raises Refusal: 404 for an unknown path, 405 for a known one with another method."""
        known = False
        for method, pattern, handler in self._routes:
            match = pattern.fullmatch(request.path)
            if match and method == request.method:
                return handler(request, **{name: unquote(value) for name, value in match.groupdict().items()})
            known = known or match is not None
        if known:
            raise Refusal(405, "Method Not Allowed")
        raise Refusal(404, "Not Found")


class Listing:
    """Items in the order in which pages show them; to find a page in a long one takes no longer than in a short one."""

    def __init__(self, items: Iterable[Json], *, newest_first: bool = True) -> None:
        self._items = list(items)
        if newest_first:
            self._items.reverse()
        self._places = {item["id"]: place for place, item in enumerate(self._items)}

    def __len__(self) -> int:
        return len(self._items)

    def page(self, request: Request) -> Json:
        """One page: `limit` (10 to 100, default 10), after the item with the id `start`.

        Raises Refusal (400) for a limit outside of what is documented.
        """
        text = request.query.get("limit") or str(_MIN_LIMIT)
        if not text.isdigit() or not _MIN_LIMIT <= int(text) <= _MAX_LIMIT:
            raise Refusal(400, f"Invalid query param: limit should be between {_MIN_LIMIT} and {_MAX_LIMIT}")
        limit, start = int(text), request.query.get("start")
        first = self._places.get(start, len(self._items)) + 1 if start else 0
        data = self._items[first : first + limit]
        return {"limit": limit, "data": data, "last": data[-1]["id"] if data else ""}


def page(request: Request, items: Iterable[Json], *, newest_first: bool = True) -> Json:
    """One page of a list that is not kept; see `Listing.page`."""
    return Listing(items, newest_first=newest_first).page(request)


def filtered(request: Request, items: Iterable[Json], *names: str) -> list[Json]:
    """The items whose fields equal the query's, for each of `names` that the query has."""
    wanted = {name: request.query[name] for name in names if request.query.get(name)}
    return [item for item in items if all(str(item.get(name)) == value for name, value in wanted.items())]
