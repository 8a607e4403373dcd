"""Proof that the whole chain works: the dashboard's missing Validate button.

`verify` runs the table below with the issued keys at the registered prefix, and always ends with the clean-up, also
after a failure or Ctrl-C. What each check does is in the modules of this package; which depends on which is here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain

from recordings.errors import CredentialsError
from recordings.guards import check_cloud
from recordings.hms import HmsClient
from recordings.verification import cors, denial, guards, storage
from recordings.verification.checks import Check, Fault, NotRun, Probe, Status, Warned, run_probe, run_probes
from recordings.verification.cleanup import cleanup
from recordings.verification.context import Context, http_client
from recordings.verification.templates import template

__all__ = ["Check", "Context", "Fault", "NotRun", "Probe", "Status", "Warned", "http_client", "table", "verify"]


def verify(
    context: Context, hms: HmsClient | None, template_ids: Sequence[str], report: Callable[[Check], None]
) -> list[Check]:
    """Run every check, report each as it ends, and give them all, the clean-up last.

    Raises GuardError, with nothing written, if the account or region is not the expected one.
    """
    try:
        check_cloud(context.outputs, context.operator)
    except CredentialsError as error:
        context.tell(f"no operator login: the expected account cannot be compared ({error})")
    done: list[Check] = []

    def keep(check: Check) -> None:
        done.append(check)
        report(check)

    try:
        run_probes(table(context, hms, template_ids), keep)
    finally:
        keep(run_probe(Probe("cleanup", "what the checks wrote is removed", partial(cleanup, context))))
    return done


def table(context: Context, hms: HmsClient | None, template_ids: Sequence[str]) -> list[Probe]:
    """Every check in its order, and what each needs to have passed."""
    proofs = (_storage(context), _cors(context), _denials(context), _guards(context))
    return [*chain(*proofs), *_templates(context, hms, template_ids)]


def _storage(context: Context) -> Iterator[Probe]:
    yield _probe("region", "the bucket lies where the stack says", storage.region, context)
    yield _probe("writer-put", "the writer's key works and uploads", storage.writer_put, context, "region")
    yield _probe("writer-multipart", "the writer uploads in parts", storage.writer_multipart, context, "writer-put")
    yield _probe("writer-abort", "the writer aborts an upload", storage.writer_abort, context, "writer-put")
    yield _probe("reader-head", "content type and length are as written", storage.reader_head, context, "writer-put")
    yield _probe(
        "download",
        "a signed URL downloads it whole",
        storage.download_whole,
        context,
        "writer-multipart",
        "reader-head",
    )
    yield _probe(
        "range", "a signed URL serves a Range", storage.download_range, context, "writer-multipart", "reader-head"
    )


def _cors(context: Context) -> Iterator[Probe]:
    origins = context.outputs.cors_origins
    for origin in origins:
        check = partial(cors.origin, configured=origin)
        yield _probe(f"cors {origin}", f"pages of {origin} may play", check, context, "reader-head")
    if "*" not in origins:
        yield _probe("cors foreign", "pages of other origins may not", cors.foreign, context, "reader-head")


def _denials(context: Context) -> Iterator[Probe]:
    yield _probe("unsigned", "denied: a GET with no signature", denial.unsigned_get, context, "writer-put")
    yield _probe("expired", "denied: an expired URL", denial.expired_url, context, "reader-head")
    yield _probe("tampered", "denied: a tampered URL", denial.tampered_url, context, "reader-head")
    yield _probe("plain-http", "denied: plain HTTP", denial.plain_http, context, "reader-head")
    yield _probe(
        "writer-outside", "denied: the writer outside the prefix", denial.writer_outside, context, "writer-put"
    )
    yield _probe(
        "writer-list-other",
        "denied: the writer listing another prefix",
        denial.writer_list_other,
        context,
        "writer-put",
    )
    yield _probe("reader-write", "denied: the reader writing", denial.reader_write, context, "reader-head")
    yield _probe("writer-read", "the writer reads as configured", denial.writer_read, context, "writer-put")
    yield _probe("writer-list", "the writer lists as configured", denial.writer_list, context, "writer-put")
    yield _probe("writer-delete", "the writer deletes as configured", denial.writer_delete, context, "writer-put")


def _guards(context: Context) -> Iterator[Probe]:
    yield _probe("public-access", "public access is refused for good", guards.public_access, context, "region")
    yield _probe("versioning", "deleted recordings can be had back", guards.versioning, context, "region")
    yield _probe("lifecycle", "leftovers are cleared away", guards.lifecycle, context, "writer-put")


def _templates(context: Context, hms: HmsClient | None, template_ids: Sequence[str]) -> Iterator[Probe]:
    for template_id in template_ids:
        check = partial(template, hms=hms, template_id=template_id)
        yield _probe(f"template {template_id}", "the template uploads to this bucket", check, context)


def _probe(id_: str, title: str, check: Callable[[Context], str], context: Context, *needs: str) -> Probe:
    return Probe(id_, title, partial(check, context), needs)
