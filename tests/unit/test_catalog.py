"""Rows without a database: how a recording asset becomes one, what of it Postgres can hold, cursors of pages."""

from __future__ import annotations

import base64
import json
from dataclasses import fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.catalog_entries import CatalogEntry, Standing, entry_of, storable
from recordings.catalog_sql import COLUMNS, Cursor, entry_of_row, page_of, page_query, upsert_parameters
from recordings.errors import UsageError
from recordings.hms_models import RecordingAsset
from recordings.outputs import StorageProvider
from recordings.paths import Home

READ_AT = datetime(2026, 8, 2, tzinfo=UTC)
HOME = Home(StorageProvider.S3, "bucket", "recordings/", (Home(StorageProvider.S3, "former", "old/"),))
GOOGLE = Home(StorageProvider.GCS, "bucket", "")

IDS = st.from_regex(r"[0-9a-f]{24}", fullmatch=True)
DAYS = st.dates(min_value=date(2020, 1, 1)).map(lambda day: f"{day:%Y%m%d}")
EPOCHS = st.integers(10**12, 10**13 - 1).map(str)


def asset(path: str, **fields: Any) -> RecordingAsset:
    return RecordingAsset(id="a", type="room-composite", status="completed", path=path).model_copy(update=fields)


@st.composite
def documented(draw: st.DrawFn) -> str:
    """What follows the prefix, in one of the six documented forms."""
    room, session, day, epoch = draw(IDS), draw(IDS), draw(DAYS), draw(EPOCHS)
    forms = [
        f"beam/{room}/{day}/Rec-{room}-{epoch}.mp4",
        f"{room}/{day}/{session}/Rec-{session}-{epoch}.mp4",
        f"{room}/{day}/{session}/{draw(IDS)}/{draw(IDS)}/{draw(IDS)}.webm",
        f"hls/{room}/{day}/{epoch}/file-recording/Rec-{room}-{epoch}-720p.mp4",
        f"hls/{room}/{day}/{epoch}/vod/Rec-{room}-{epoch}.zip",
        f"chat/{room}/{day}/Rec-{room}-{epoch}.csv",
    ]
    return draw(st.sampled_from(forms))


@given(rest=documented(), known=st.sampled_from([(HOME, "s3://bucket/recordings/"), (HOME, "s3://former/old/")]))
def test_documented_paths_of_ours_are_ours(rest: str, known: tuple[Home, str]) -> None:
    """In the bucket and in a former one; the path is kept to the letter."""
    home, start = known
    entry, standing = entry_of(asset(start + rest), home, READ_AT)
    assert (entry.storage_provider, standing, entry.file_path) == ("s3", Standing.OURS, start + rest)
    google, also = entry_of(asset(f"gs://bucket/{rest}"), GOOGLE, READ_AT)
    assert (google.storage_provider, also) == ("gcs", Standing.OURS)


@given(
    rest=documented(),
    start=st.sampled_from(
        ["s3://other/recordings/", "gs://bucket/recordings/", "oss://b/", "s3://bucket/", "s3://former/"]
    ),
)
def test_documented_paths_elsewhere_stay_with_100ms(rest: str, start: str) -> None:
    """Another bucket, provider or prefix is never taken for ours."""
    entry, standing = entry_of(asset(start + rest), HOME, READ_AT)
    assert (entry.storage_provider, standing, entry.file_path) == ("100ms", Standing.ELSEWHERE, start + rest)


@given(path=st.text(st.characters(), max_size=300) | st.just("s3://bucket/recordings/../x"))
def test_no_path_is_dropped_and_none_makes_an_error(path: str) -> None:
    """Whatever 100ms says becomes a row that Postgres can hold; only what parses and is ours becomes s3."""
    entry, standing = entry_of(asset(path), HOME, READ_AT)
    assert entry.storage_provider == "100ms" or path.startswith(("s3://bucket/recordings/", "s3://former/old/"))
    assert standing is not Standing.OURS or ".." not in path.split("/")
    kept = entry.file_path or ""
    assert "\0" not in kept
    kept.encode()
    assert bool(kept) == bool(path)


@given(text=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_ordinary_text_is_stored_as_it_is(text: str) -> None:
    """Only NUL and lone surrogates are spelled otherwise."""
    assert storable(text) == text


@given(
    name=st.sampled_from(
        ["X-Amz-Signature", "x-goog-signature", "Signature", "X-Amz-Credential", "X-Amz-Security-Token"]
    ),
    start=st.sampled_from(
        ["https://h/k.mp4?", "s3://b/k.mp4?", "https://h/k.mp4?a=1&", "http://h/k#", "s3://b/k?x=\n&"]
    ),
)
def test_presigned_url_is_never_stored(name: str, start: str) -> None:
    """The query of a URL is a secret, whatever field of an answer it came in."""
    entry, _ = entry_of(asset(f"{start}{name}=canary&e=1"), HOME, READ_AT)
    assert "canary" not in str(entry)


@pytest.mark.parametrize(("size", "kept"), [(None, None), (-1, None), (0, 0), (2**63 - 1, 2**63 - 1), (2**63, None)])
def test_size_that_no_column_holds_is_left_out(size: int | None, kept: int | None) -> None:
    """A number out of range is no reason to lose the row."""
    assert entry_of(asset("", size=size), HOME, READ_AT)[0].size == kept


def test_failed_asset_without_a_path_is_not_unknown() -> None:
    """There is nothing to parse; one that completed and names no place is told."""
    assert entry_of(asset("", status="failed"), HOME, READ_AT)[1] is Standing.ELSEWHERE
    assert entry_of(asset(""), HOME, READ_AT)[1] is Standing.UNKNOWN


def test_last_of_several_entries_with_one_id_counts() -> None:
    """One statement cannot write a row twice; a page that overlaps with the one before is no error."""
    first = CatalogEntry("a", "s3", size=1)
    parameters = upsert_parameters([first, CatalogEntry("b", "gcs"), replace(first, size=2)])
    assert (parameters["asset_id"], parameters["size"]) == (["a", "b"], [2, None])
    assert set(parameters) == {field.name for field in fields(CatalogEntry)}


@given(
    at=st.none() | st.datetimes(timezones=st.just(UTC)),
    asset_id=st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
)
def test_cursor_comes_back_as_it_went(at: datetime | None, asset_id: str) -> None:
    """And is of characters that a URL takes."""
    cursor = Cursor(at, asset_id)
    text = cursor.encode()
    assert Cursor.decode(text) == cursor
    assert text.isascii()
    assert not set(text) & set("+/&?# %")


@given(text=st.text() | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
def test_cursor_that_no_page_gave_is_refused(text: str) -> None:
    """Never another error than the one that says what to give; what decodes is a cursor like those of ours."""
    try:
        cursor = Cursor.decode(text)
    except UsageError:
        return
    assert Cursor.decode(cursor.encode()) == cursor


@pytest.mark.parametrize(
    "value", [["2026-08-01T00:00:00", "naive"], [None, "nul\0"], [None, 1], [1, "a"], {}, [], None]
)
def test_cursor_of_another_shape_is_refused(value: Any) -> None:
    """Times without a zone would be compared in the server's; ids must be such as Postgres can hold."""
    with pytest.raises(UsageError, match="give the `next` of the page before"):
        Cursor.decode(base64.urlsafe_b64encode(json.dumps(value).encode()).decode())


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_page_of_no_size_is_refused(limit: int) -> None:
    """The message has the legal range."""
    with pytest.raises(UsageError, match="1 to 500"):
        page_query(limit=limit, after=None, room_id=None, session_id=None)


def test_values_never_become_sql() -> None:
    """They are parameters, whatever they hold."""
    hostile = "'; drop table meeting_recordings; --"
    query, parameters = page_query(
        limit=5, after=Cursor(READ_AT, hostile).encode(), room_id=hostile, session_id=hostile
    )
    assert "drop" not in query
    assert parameters == {"limit": 6, "room_id": hostile, "session_id": hostile, "at": READ_AT, "id": hostile}


@given(count=st.integers(0, 12), limit=st.integers(1, 12))
def test_page_has_a_next_only_if_there_is_more(count: int, limit: int) -> None:
    """One row more than asked for tells."""
    entries = [CatalogEntry(f"{number:02}", "s3", recorded_at=READ_AT) for number in range(count)][: limit + 1]
    page = page_of([[getattr(entry, column) for column in COLUMNS] for entry in entries], limit)
    assert page.entries == tuple(entries[:limit])
    assert (page.next is None) == (count <= limit)
    assert page.next is None or Cursor.decode(page.next).asset_id == page.entries[-1].asset_id


def test_numbers_of_an_application_s_own_types_become_ours() -> None:
    """A table may have numeric where we would have bigint."""
    row = [None] * len(COLUMNS)
    given_ = dict(zip(COLUMNS, row, strict=True)) | {"size": Decimal(7), "asset_id": "a"}
    entry = entry_of_row([given_[column] for column in COLUMNS])
    assert (entry.size, type(entry.size)) == (7, int)
