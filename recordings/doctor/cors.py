"""Findings about CORS as a browser of a given origin sees it: before it plays, and while it plays.

The checks are those of `recordings verify`, with an object that is there, as nothing is written here; in an empty
bucket the preflight alone is tried.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from recordings.doctor.findings import Finding, Look, Severity, fine
from recordings.doctor.patient import Patient
from recordings.errors import UsageError
from recordings.verification import cors
from recordings.verification.checks import Fault

_DRIFT: Final = "the bucket's rules were changed by hand: pulumi refresh && pulumi up"
_ANY_PAGE: Final = "https://page.invalid"
_HEADERS_ONLY: Final = "the preflight is allowed; no object is there to try the rest with"


def looks(patient: Patient, origins: Sequence[str]) -> list[Look]:
    """Each origin that was given, else each that the stack declares."""
    pages = origins or [_page(origin) for origin in patient.outputs.cors_origins]
    return [Look("cors", f"CORS for {page}", partial(_look, patient, page)) for page in pages]


def check_origin(text: str) -> str:
    """An origin as browsers send it. Raises UsageError for anything else."""
    legal = "legal is scheme://host[:port] with no path and no slash at the end, such as https://app.example.com"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise UsageError(f"--origin {text!r}: {legal}") from None
    host = parts.hostname or ""
    named = f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port is not None else ''}"
    if not host or parts.scheme not in ("http", "https") or named != text:
        raise UsageError(f"--origin {text!r}: {legal}")
    return text


def declares(origins: Sequence[str], page: str) -> bool:
    """Whether a stack's origins hold for a page; `*` stands for any text in one of them, as on S3."""
    for origin in origins:
        start, star, end = origin.partition("*")
        if page == origin or (star and len(page) >= len(origin) - 1 and page.startswith(start) and page.endswith(end)):
            return True
    return False


def _look(patient: Patient, page: str) -> Iterator[Finding]:
    title = f"CORS for {page}"
    is_declared = declares(patient.outputs.cors_origins, page)
    context = patient.context()
    there = next((found for found in patient.reader.list(patient.outputs.path_prefix) if found.size > 1), None)
    try:
        cors.preflights(context, page)
        if there is not None:
            context.small_key = there.key
            cors.playback(context, page)
    except Fault as fault:
        number = len(patient.outputs.cors_origins)
        add = f"pulumi config set --path 'recordings:corsOrigins[{number}]' {page} && pulumi up"
        yield Finding("cors", title, Severity.FAULT, str(fault), _DRIFT if is_declared else add)
        return
    seen = fine("cors", title, "preflight, Range and headers" if there else _HEADERS_ONLY)
    yield (
        seen
        if is_declared
        else replace(seen, severity=Severity.WARNING, seen="allowed, though undeclared", repair=_DRIFT)
    )


def _page(origin: str) -> str:
    """A page that a declared origin stands for."""
    return _ANY_PAGE if origin == "*" else origin.replace("*", "doctor")
