"""What the issued keys must be able to do: upload whole and in parts, and be read through signed URLs."""

from __future__ import annotations

from functools import partial

from recordings.errors import AccessDeniedError, CredentialsError, ObjectNotFoundError, PreconditionError
from recordings.shown import counted
from recordings.verification.checks import PERMISSIONS, REGION, Fault, Warned
from recordings.verification.context import CONTENT_TYPE, PART_BYTES, Context, must_be

_OTHER_OBJECT = (
    "somebody else writes under this prefix, or a proxy on the way changes answers: compare with another client"
)


def region(context: Context) -> str:
    """The bucket lies where the outputs, and so 100ms, believe it to lie."""
    real = context.usable(partial(_real_region, context))
    if real.casefold() != context.outputs.region.casefold():
        raise Fault(f"expected {context.outputs.region}, but {context.reader.bucket} lies in {real}", REGION)
    return real


def _real_region(context: Context) -> str:
    """From whoever gets an answer: which keys work is for the other checks to say.

    Not every provider lets the reader see it; without an operator's login nobody is left to ask there.
    """
    try:
        return context.reader.bucket_region()
    except (AccessDeniedError, CredentialsError) as error:
        refused = error
    try:
        return context.operator.bucket_region()
    except (AccessDeniedError, CredentialsError):
        if isinstance(refused, CredentialsError):
            raise refused from None
        raise Warned("nobody here may see where the bucket lies", "log in as the operator and verify again") from None


def writer_put(context: Context) -> str:
    """The writer's key has become usable and may put.

    The key's name is of this run alone, so that an object of which the writer cannot say whose it is must be ours.
    """
    try:
        context.usable(lambda: context.writer.put(context.small_key, context.small, content_type=CONTENT_TYPE))
    except PreconditionError:
        return f"{counted(len(context.small), 'byte')}, at the second try"
    return counted(len(context.small), "byte")


def writer_multipart(context: Context) -> str:
    """An upload in two parts, as 100ms does for every recording of some length."""
    key, writer = context.parts_key, context.writer
    upload = context.usable(lambda: writer.create_upload(key, content_type=CONTENT_TYPE))
    parts = [
        context.usable(partial(writer.upload_part, key, upload, number, body))
        for number, body in enumerate(context.parts, start=1)
    ]
    context.usable(lambda: writer.complete_upload(key, upload, parts))
    return f"2 parts, {counted(sum(map(len, context.parts)), 'byte')}"


def writer_abort(context: Context) -> str:
    """An upload that breaks off can be cleared away by the writer."""
    key, writer = context.aborted_key, context.writer
    upload = context.usable(lambda: writer.create_upload(key, content_type=CONTENT_TYPE))
    part = context.usable(lambda: writer.upload_part(key, upload, 1, context.small))
    context.usable(lambda: writer.abort_upload(key, upload))
    try:
        writer.complete_upload(key, upload, [part])
    except ObjectNotFoundError:
        return "the upload is gone"
    raise Fault(f"the upload of {key} could be completed after it was aborted", _OTHER_OBJECT)


def reader_head(context: Context) -> str:
    """The reader's key has become usable; type and length are as written."""
    info = context.usable(lambda: context.reader.head(context.small_key))
    answer = context.fetch_signed(context.small_key, method="HEAD")
    must_be(answer, 200, PERMISSIONS)
    for name, expected in (("content-type", CONTENT_TYPE), ("content-length", str(len(context.small)))):
        seen = answer.headers.get(name)
        if seen != expected:
            raise Fault(f"expected {name} {expected}, got {seen}", _OTHER_OBJECT)
    return f"{info.content_type}, {counted(info.size, 'byte')}"


def download_whole(context: Context) -> str:
    """What was uploaded in parts comes back byte for byte through a signed URL."""
    answer = context.fetch_signed(context.parts_key)
    must_be(answer, 200, PERMISSIONS)
    if answer.body != b"".join(context.parts):
        raise Fault(
            f"{counted(len(answer.body), 'byte')} came back, and they are not those that were sent", _OTHER_OBJECT
        )
    return f"{counted(len(answer.body), 'byte')}, equal"


def download_range(context: Context) -> str:
    """A Range over the seam of the two parts, as a player asks when it seeks."""
    first, last = PART_BYTES - 16, PART_BYTES + 15
    whole = b"".join(context.parts)
    answer = context.fetch_signed(context.parts_key, headers={"Range": f"bytes={first}-{last}"})
    must_be(answer, 206, "a proxy or endpoint in between drops Range: players cannot seek without it")
    expected = f"bytes {first}-{last}/{len(whole)}"
    if answer.headers.get("content-range") != expected or answer.body != whole[first : last + 1]:
        raise Fault(f"expected {expected}, got {answer.headers.get('content-range')}", _OTHER_OBJECT)
    return f"206, {expected}"
