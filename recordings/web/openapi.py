"""The OpenAPI description of the web application, written by hand.

Owns what is promised to clients; a test holds the application to it, with every answer that it gives to inputs of any
kind. Source: https://spec.openapis.org/oas/v3.1.0
"""

from __future__ import annotations

from typing import Any, Final

from recordings.webhook import PATH as WEBHOOK

_ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "storageClass": {"type": "string", "description": "With `archived`: the object's storage class."},
                "restoring": {"type": "boolean", "description": "With `archived`: whether it is being restored."},
            },
        }
    },
}
_TEXT: Final[dict[str, Any]] = {"type": ["string", "null"]}
_RECORDING: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "storage"],
    "properties": {
        "id": {"type": "string", "description": "Of the recording asset at 100ms."},
        "roomId": _TEXT,
        "sessionId": _TEXT,
        "type": _TEXT,
        "status": _TEXT,
        "recordedAt": {"type": ["string", "null"], "format": "date-time"},
        "durationSeconds": {"type": ["number", "null"]},
        "sizeBytes": {"type": ["integer", "null"]},
        "storage": {"enum": ["s3", "gcs", "100ms"]},
    },
}
_LOCATED: Final[dict[str, Any]] = {
    "allOf": [
        {"$ref": "#/components/schemas/Recording"},
        {
            "type": "object",
            "required": ["url", "expiresAt", "fallback"],
            "properties": {
                "url": {"type": "string", "description": "Presigned: whoever has it can download until it expires."},
                "expiresAt": {"type": "string", "format": "date-time"},
                "fallback": {"type": "boolean", "description": "Still in 100ms' storage: the URL is 100ms' own."},
            },
        },
    ]
}
_PAGE: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["recordings", "next"],
    "properties": {
        "recordings": {"type": "array", "items": {"$ref": "#/components/schemas/Recording"}},
        "next": {"type": ["string", "null"], "description": "Give it as `after` for the next page; null at the end."},
    },
}
_TAKEN: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["result"],
    "properties": {"result": {"type": "string"}},
}
_SECRET: Final = "webhookSecret"  # noqa: S105 - a name
_REASONS: Final = {
    400: "A parameter is none.",
    403: "The authorisation hook says no; or the row names no recording of this stack (`path-refused`).",
    404: "No such recording, or none with a file.",
    409: "Archived and not restored (`archived`, with the storage class); or 100ms has it and cannot be asked.",
    410: "Its object is gone.",
    502: "Storage or 100ms refuse this server.",
    503: "Database, storage or 100ms do not answer at the moment.",
}


def description(base: str, webhook_header: str | None) -> dict[str, Any]:
    """The description of the application that is mounted at `base` (empty, or a path that begins with a slash).

    `webhook_header` is the header in which 100ms gives its secret, None if no webhooks are taken.
    """
    paths = {
        "/recordings": {"get": _list()},
        "/recordings/{id}": {"get": _one()},
        "/recordings/{id}/download": {"get": _download()},
    }
    schemes: dict[str, Any] = {}
    if webhook_header is not None:
        paths[WEBHOOK] = {"post": _webhook()}
        schemes[_SECRET] = {"type": "apiKey", "in": "header", "name": webhook_header}
    schemas = {"Recording": _RECORDING, "Located": _LOCATED, "Page": _PAGE, "Error": _ERROR, "Taken": _TAKEN}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Recordings",
            "version": "1",
            "description": "Recordings of 100ms in a bucket of your own. Who may do what, the host application says.",
        },
        "servers": [{"url": base or "/"}],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": schemes},
    }


def _list() -> dict[str, Any]:
    return {
        "operationId": "listRecordings",
        "summary": "Recordings that the caller may see, newest first",
        "parameters": [
            _query("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 20}, "Rows to look at."),
            _query("after", {"type": "string"}, "The `next` of the page before."),
            _query("room", {"type": "string", "maxLength": 200}, "Only those of this room; empty: of all."),
        ],
        "responses": {
            "200": _json("Page", "A page; a row that the caller may not see is left out."),
            **_errors(400, 403),
        },
    }


def _one() -> dict[str, Any]:
    return {
        "operationId": "getRecording",
        "summary": "One recording, with a fresh URL",
        "parameters": _of_one(),
        "responses": {"200": _json("Located", "The recording and its URL."), **_errors(400, 403, 404, 409, 410, 502)},
    }


def _download() -> dict[str, Any]:
    headers = {
        "Location": {"required": True, "schema": {"type": "string"}},
        "X-Recording-Storage": {"required": True, "schema": {"enum": ["s3", "gcs", "100ms"]}},
    }
    return {
        "operationId": "downloadRecording",
        "summary": "Redirect to a fresh URL",
        "parameters": _of_one(),
        "responses": {
            "307": {"description": "To the presigned URL; never cached.", "headers": headers},
            **_errors(400, 403, 404, 409, 410, 502),
        },
    }


def _webhook() -> dict[str, Any]:
    event = {
        "type": "object",
        "required": ["type"],
        "properties": {
            "type": {"type": "string", "description": "Kinds that concern no recording are ignored."},
            "data": {"description": "An object, of an event that concerns recordings."},
        },
    }
    reasons = {
        200: "Done, or nothing to do.",
        400: "No event of 100ms.",
        401: "Not the secret.",
        403: "The sender's address is not allowed.",
        413: "Too long.",
        503: "100ms or the database cannot be asked: send it again.",
    }
    return {
        "operationId": "takeWebhook",
        "summary": "An event of 100ms, which says only where to look",
        "security": [{_SECRET: []}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": event}}},
        "responses": {str(status): _json("Taken", reason) for status, reason in reasons.items()},
    }


def _of_one() -> list[dict[str, Any]]:
    return [
        {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
        _query("disposition", {"enum": ["attachment", "inline"], "default": "attachment"}, "`inline` for a player."),
    ]


def _query(name: str, schema: dict[str, Any], meaning: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": meaning}


def _json(schema: str, meaning: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": meaning, "content": content}


def _errors(*statuses: int) -> dict[str, Any]:
    return {str(status): _json("Error", _REASONS[status]) for status in (*statuses, 503)}
