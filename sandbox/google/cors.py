"""CORS as the two endpoints answer it: the XML API by the bucket's configuration, the JSON API for everybody.

The first entry that matches origin and method decides. A preflight that is not allowed gets 200 without CORS headers.
Source: cloud.google.com/storage/docs/cross-origin, .../json_api/v1/buckets (`cors[]`).
"""

from __future__ import annotations

from collections.abc import Sequence

from sandbox.google.http import Json, Request, Response

Headers = list[tuple[str, str]]


def preflight(request: Request, cors: Sequence[Json]) -> Response:
    """The answer to OPTIONS on a bucket or an object."""
    origin = request.headers.get("origin")
    method = request.headers.get("access-control-request-method")
    entry = _matching(cors, origin, method)
    asked = [h.strip() for h in request.headers.get("access-control-request-headers", "").split(",") if h.strip()]
    if entry is None or origin is None or not _all_allowed(entry, asked):
        return Response(200)
    headers = [
        ("access-control-allow-origin", _allowed_origin(entry, origin)),
        ("access-control-allow-methods", ",".join(entry.get("method", []))),
        ("access-control-max-age", str(entry.get("maxAgeSeconds", 3600))),
        ("vary", "Origin"),
    ]
    if asked:
        headers.append(("access-control-allow-headers", ",".join(asked)))
    return Response(200, b"", headers)


def answer_headers(request: Request, cors: Sequence[Json]) -> Headers:
    """What an answer of the XML API gets beside its own headers."""
    origin = request.headers.get("origin")
    entry = _matching(cors, origin, request.method)
    if entry is None or origin is None:
        return []
    exposed = ", ".join(entry.get("responseHeader", []))
    headers = [("access-control-allow-origin", _allowed_origin(entry, origin)), ("vary", "Origin")]
    return [*headers, ("access-control-expose-headers", exposed)] if exposed else headers


def json_headers(request: Request) -> Headers:
    """What an answer of the JSON API gets: it knows no bucket's configuration."""
    origin = request.headers.get("origin")
    if origin is None:
        return []
    return [
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
        ("access-control-expose-headers", "Content-Length, Content-Range, ETag, Location, X-Goog-Hash"),
        ("vary", "Origin"),
    ]


def json_preflight(request: Request) -> Response:
    """The answer of the JSON API to OPTIONS."""
    methods = "DELETE,GET,HEAD,PATCH,POST,PUT"
    wanted = request.headers.get("access-control-request-headers", "")
    return Response(200, b"", [("access-control-allow-methods", methods), ("access-control-allow-headers", wanted)])


def _matching(cors: Sequence[Json], origin: str | None, method: str | None) -> Json | None:
    for entry in cors:
        origins, methods = entry.get("origin", []), entry.get("method", [])
        if (origin in origins or "*" in origins) and (method in methods or "*" in methods):
            return entry
    return None


def _allowed_origin(entry: Json, origin: str) -> str:
    return "*" if "*" in entry["origin"] else origin


def _all_allowed(entry: Json, asked: list[str]) -> bool:
    known = {header.lower() for header in entry.get("responseHeader", [])}
    return "*" in known or all(header.lower() in known for header in asked)
