"""Bindings on Google Cloud Storage: what they allow is exactly the table of the documentation, for any prefix.

The judge is the sandbox's Google: its own reading of conditions, and Google's roles as sets of permissions.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.outputs import WriterAccess
from recordings.policies import OPERATOR_PREFIX
from recordings.policies_gcs import Binding, reader_bindings, writer_bindings
from sandbox.google import conditions, roles

BUCKET: Final = "some-recordings"

CREATE, GET, DELETE, LIST = (f"storage.objects.{verb}" for verb in ("create", "get", "delete", "list"))
ABORT, PARTS = "storage.multipartUploads.abort", "storage.multipartUploads.listParts"
OBJECT_PERMISSIONS: Final = (CREATE, GET, DELETE, ABORT, PARTS)

segments = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=1, max_size=12)
prefixes = st.lists(segments, max_size=3).map(lambda parts: "".join(part + "/" for part in parts))
names = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20)
accesses = st.sampled_from(WriterAccess)


def may(bindings: list[Binding], permission: str, *, name: str | None = None, listing: str | None = None) -> bool:
    """Whether the bindings allow `permission` on an object, or on the bucket that is asked for a listing."""
    bucket = f"projects/_/buckets/{BUCKET}"
    context = conditions.Context(
        name=bucket if name is None else f"{bucket}/objects/{name}",
        type=f"storage.googleapis.com/{'Bucket' if name is None else 'Object'}",
        time=datetime.now(UTC),
        list_prefix=listing,
    )
    return any(
        permission in roles.BUCKET_ROLES[binding["role"]]
        and conditions.holds(binding["condition"]["expression"], context)
        for binding in bindings
    )


TABLE: Final = {
    WriterAccess.FULL: {CREATE, GET, DELETE, ABORT, PARTS},
    WriterAccess.READ_WRITE: {CREATE, GET, ABORT, PARTS},
    WriterAccess.UPLOAD_ONLY: {CREATE, ABORT, PARTS},
}


@pytest.mark.parametrize("prefix", ["recordings/", ""])
@pytest.mark.parametrize("access", WriterAccess)
def test_writer_on_objects_has_what_the_table_says(access: WriterAccess, prefix: str) -> None:
    """Neither less nor more than the documented actions, object by object."""
    bindings = writer_bindings(BUCKET, prefix, access)
    allowed = {p for p in OBJECT_PERMISSIONS if may(bindings, p, name=f"{prefix}beam/room/Rec-1.mp4")}
    assert allowed == TABLE[access]


@given(prefix=prefixes, access=accesses, name=names)
def test_writer_touches_objects_under_the_prefix_alone(prefix: str, access: WriterAccess, name: str) -> None:
    """Whatever the names hold (quotes, backslashes), nothing outside the prefix or of the operator is the writer's."""
    bindings = writer_bindings(BUCKET, prefix, access)
    inside = name.startswith(prefix) and (bool(prefix) or not name.startswith(OPERATOR_PREFIX))
    assert may(bindings, CREATE, name=name) is inside
    assert may(bindings, CREATE, name=prefix + "x" + name)


@given(prefix=prefixes, listed=names)
def test_listing_is_bound_to_the_prefix(prefix: str, listed: str) -> None:
    """`full` and the reader list the prefix and what is longer; the smaller writers list nothing."""
    lists = listed.startswith(prefix)
    for bindings in (
        writer_bindings(BUCKET, prefix, WriterAccess.FULL),
        reader_bindings(BUCKET, prefix),
    ):
        assert may(bindings, LIST, listing=listed) is lists
        assert may(bindings, LIST, listing=prefix + listed)
    for access in (WriterAccess.READ_WRITE, WriterAccess.UPLOAD_ONLY):
        assert not may(writer_bindings(BUCKET, prefix, access), LIST, listing=prefix + listed)


@given(prefix=prefixes, name=names)
def test_reader_reads_the_prefix_and_changes_nothing(prefix: str, name: str) -> None:
    """The reader gets objects under the prefix; no other permission on any object."""
    bindings = reader_bindings(BUCKET, prefix)
    inside = name.startswith(prefix) and (bool(prefix) or not name.startswith(OPERATOR_PREFIX))
    assert may(bindings, GET, name=name) is inside
    assert not any(may(bindings, p, name=prefix + "x" + name) for p in OBJECT_PERMISSIONS if p != GET)


@pytest.mark.parametrize("prefix", ["recordings/", ""])
@pytest.mark.parametrize("operator", [f"{OPERATOR_PREFIX}templates/1", OPERATOR_PREFIX])
def test_operator_objects_are_nobody_elses(operator: str, prefix: str) -> None:
    """With no prefix, too: the empty prefix leaves the operator's place out."""
    everybody = [*writer_bindings(BUCKET, prefix, WriterAccess.FULL), *reader_bindings(BUCKET, prefix)]
    assert not any(may(everybody, permission, name=operator) for permission in OBJECT_PERMISSIONS)


@given(prefix=prefixes, access=accesses)
def test_bindings_leave_the_bucket_itself_alone(prefix: str, access: WriterAccess) -> None:
    """Nobody may read or change the bucket's settings."""
    bindings = [*writer_bindings(BUCKET, prefix, access), *reader_bindings(BUCKET, prefix)]
    for permission in ("storage.buckets.get", "storage.buckets.update", "storage.buckets.setIamPolicy"):
        assert not may(bindings, permission)
        assert not may(bindings, permission, listing=prefix)
    assert all(len(binding["condition"]["title"]) <= 100 for binding in bindings)
