"""Parts of the sandbox's Google that need no server: listings, names, locations, CORS, XML documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.google import bucket_fields, buckets, cors
from sandbox.google.blobs import BlobWriter
from sandbox.google.cloud import Cloud
from sandbox.google.errors import GoogleError
from sandbox.google.http import Request
from sandbox.google.objects import Attributes, Listing, Objects, Preconditions
from sandbox.google.state import State
from sandbox.google.xml_forms import completed_parts

names = st.text("ab/é", min_size=1, max_size=6)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """An empty Google, without a server."""
    made = Cloud(State(tmp_path_factory.mktemp("google")))
    yield made
    made.state.close()


def filled(cloud: Cloud, wanted: set[str]) -> Objects:
    """A bucket of these empty objects, and no other."""
    cloud.state.sql.execute("DELETE FROM versions")
    cloud.state.remove("bucket", "property")
    soft = {"retentionDurationSeconds": "0"}
    objects = Objects(cloud, buckets.create(cloud, {"name": "property", "softDeletePolicy": soft}))
    for name in wanted:
        blob = BlobWriter(cloud.state.blobs).finish()
        objects.insert(name, blob, Attributes(), Preconditions())
    return objects


def folded(wanted: set[str], prefix: str, delimiter: str) -> tuple[list[str], list[str]]:
    """Names and prefixes of a listing, in the simplest way."""
    plain, prefixes = set(), set()
    for name in wanted:
        if name.startswith(prefix):
            head, found, _ = name[len(prefix) :].partition(delimiter) if delimiter else (name, "", "")
            if found:
                prefixes.add(prefix + head + found)
            else:
                plain.add(name)
    return sorted(plain), sorted(prefixes)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    wanted=st.sets(names.filter(lambda name: name not in (".", "..")), max_size=8),
    prefix=st.text("ab/é", max_size=2),
    delimiter=st.sampled_from(["", "/", "b/"]),
    size=st.integers(1, 4),
)
def test_pages_of_a_listing_are_the_whole_listing(
    cloud: Cloud, wanted: set[str], prefix: str, delimiter: str, size: int
) -> None:
    """Whatever names, prefix, delimiter and size: every name and prefix once, in order, and no page too long."""
    objects = filled(cloud, wanted)
    found: list[str] = []
    prefixes: list[str] = []
    start: tuple[str, int] | None = ("", 0)
    while start is not None:
        page = Listing(prefix, delimiter, start=start, size=size).page(objects)
        assert 0 < len(page.versions) + len(page.prefixes) <= size or page.following is None
        found += [version.name for version in page.versions]
        prefixes += page.prefixes
        start = page.following
    assert (found, prefixes) == folded(wanted, prefix, delimiter)


def test_generations_grow_even_within_a_microsecond(cloud: Cloud) -> None:
    """Two writes never share a generation."""
    objects = filled(cloud, {f"object-{number}" for number in range(50)})
    generations = [version.generation for version in objects.all("live")]
    assert len(set(generations)) == 50


def test_failed_insert_keeps_the_old_object(cloud: Cloud) -> None:
    """A write that a precondition refuses changes nothing."""
    objects = filled(cloud, {"x"})
    before = objects.get("x")
    blob = BlobWriter(cloud.state.blobs).finish()
    with pytest.raises(GoogleError, match="pre-conditions"):
        objects.insert("x", blob, Attributes(), Preconditions(generation=0))
    assert objects.get("x") == before


@pytest.mark.parametrize("name", ["abc", "a-b_c", "0" * 63, "a1-2-3"])
def test_good_bucket_name_is_taken(name: str) -> None:
    """3 to 63 lower-case letters, digits, - and _."""
    bucket_fields.check_name(name)


@given(st.text("aA0-_.Ä ", max_size=8))
def test_bucket_name_is_taken_only_in_googles_form(name: str) -> None:
    """No name with another character, or too short, or with a bad end, gets through."""
    good = len(name) >= 3 and set(name) <= set("a0-_") and name[0] in "a0" and name[-1] in "a0"
    try:
        bucket_fields.check_name(name)
        taken = True
    except GoogleError:
        taken = False
    assert taken == good


def test_domain_as_bucket_name_needs_its_owner() -> None:
    """A name with dots is somebody's domain."""
    with pytest.raises(GoogleError) as refusal:
        bucket_fields.check_name("recordings.example.com")
    assert refusal.value.http == 403


async def _never() -> dict[str, Any]:
    raise AssertionError("no body is asked for")


def asked(origin: str, method: str, headers: str = "") -> Request:
    """A preflight."""
    given_headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": headers,
    }
    return Request("OPTIONS", "/b/o", "", given_headers, True, _never)


def test_first_matching_cors_entry_decides() -> None:
    """Order counts: the second entry is not asked where the first matches."""
    entries = [
        {"origin": ["https://a.example"], "method": ["GET"], "responseHeader": ["x-one"]},
        {"origin": ["*"], "method": ["GET", "PUT"], "responseHeader": ["x-two"]},
    ]
    first = dict(cors.preflight(asked("https://a.example", "GET", "X-One"), entries).headers)
    assert first["access-control-allow-origin"] == "https://a.example"
    assert cors.preflight(asked("https://a.example", "GET", "x-two"), entries).headers == []
    second = dict(cors.preflight(asked("https://a.example", "PUT", "x-two"), entries).headers)
    assert second["access-control-allow-origin"] == "*"
    assert cors.preflight(asked("https://a.example", "DELETE"), entries).headers == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<x",
        b"<CompleteMultipartUpload/>",
        b"<Other><Part><PartNumber>1</PartNumber><ETag>e</ETag></Part></Other>",
        b"<CompleteMultipartUpload><Part><PartNumber>one</PartNumber><ETag>e</ETag></Part></CompleteMultipartUpload>",
        b"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>",
        b'<!DOCTYPE x [<!ENTITY a "b">]><CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&a;</ETag>'
        b"</Part></CompleteMultipartUpload>",
    ],
)
def test_document_that_is_no_list_of_parts_is_refused(body: bytes) -> None:
    """Malformed, empty, something else, or with entities."""
    with pytest.raises(GoogleError) as refusal:
        completed_parts(body)
    assert (refusal.value.http, refusal.value.code) == (400, "MalformedXML")
