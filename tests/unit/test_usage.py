"""Counting usage: sums, months, kinds, retention, prices; and that memory is flat. No service."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.catalog_entries import CatalogEntry
from recordings.errors import UsageError
from recordings.outputs import StorageProvider
from recordings.paths import Home
from recordings.stores.base import Guards, LifecycleRule, ObjectVersion
from recordings.usage.count import Usage, count
from recordings.usage.prices import GIB, load_prices, monthly_cost
from recordings.usage.retention import End, Retention

HOME = Home(StorageProvider.S3, "bucket", "recordings/")
THEN = datetime(2026, 8, 1, 12, tzinfo=UTC)
KEEPS = Guards(
    refuses_public_access=True,
    keeps_versions=True,
    lifecycle=(
        LifecycleRule("recordings/", expires_days=90),
        LifecycleRule("", old_versions_days=30),
        LifecycleRule("recordings/.verify/", expires_days=1),
    ),
)


def version(key: str, size: int = 10, *, current: bool = True, marker: bool = False, **how: object) -> ObjectVersion:
    found = ObjectVersion(f"recordings/{key}", "v", current, marker, size, THEN, "STANDARD")
    return replace(found, **how)  # type: ignore[arg-type]


def composite(number: int, room: str = "room") -> str:
    return f"beam/{room}/20260801/Rec-{room}-{1785542400000 + number}.mp4"


def used(*versions: ObjectVersion, entries: tuple[CatalogEntry, ...] = (), guards: Guards = KEEPS) -> Usage:
    return count(HOME, versions, entries, guards)


def test_each_version_counts_once_under_its_own_names() -> None:
    """Month of the recording, not of the upload; hours of the current version alone; markers are none."""
    path = f"s3://bucket/recordings/{composite(1)}"
    found = used(
        version(composite(1), 100, storage_class="STANDARD_IA"),
        version(composite(1), 7, current=False, version_id="old"),
        version("chat/room/20260715/Rec-room-1784110000000.csv", 3),
        version("ai/x.json", 5, last_modified=THEN - timedelta(days=90)),
        version("stray.bin", 2),
        version("gone.mp4", 0, marker=True),
        entries=(
            CatalogEntry("a", "s3", file_path=path, duration=5400.0),
            CatalogEntry("b", "s3", file_path="s3://bucket/recordings/ai/x.json", type="summary", room_id="room"),
            CatalogEntry("c", "s3", file_path="s3://elsewhere/recordings/stray.bin", duration=99.0),
        ),
    )
    groups = {group.names: (group.objects, group.old, group.bytes, group.seconds) for group in found.groups}
    assert groups == {
        ("2026-08", "room", "composite", "STANDARD_IA"): (1, 0, 100, 5400.0),
        ("2026-08", "room", "composite", "STANDARD"): (0, 1, 7, 0.0),
        ("2026-07", "room", "chat", "STANDARD"): (1, 0, 3, 0.0),
        ("2026-05", "room", "summary", "STANDARD"): (1, 0, 5, 0.0),
        ("2026-08", "-", "other", "STANDARD"): (1, 0, 2, 0.0),
    }
    totals = found.totals
    assert (totals.objects, totals.bytes, totals.old_versions, totals.old_bytes) == (4, 110, 1, 7)
    assert (totals.markers, totals.seconds, totals.timed) == (1, 5400.0, 1)
    assert found.stored == {"STANDARD": 17, "STANDARD_IA": 100}


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.integers(0, 10**6), st.sampled_from("AB")),
        max_size=40,
    )
)
def test_sums_of_every_dimension_are_the_whole(drawn: list[tuple[int, int, bool, int, str]]) -> None:
    """However objects are grouped, nothing is lost and nothing counts twice."""
    versions = [
        version(composite(n, f"room{room}"), octets, current=current, storage_class=name, version_id=f"{place}")
        for place, (n, room, current, octets, name) in enumerate(drawn)
    ]
    found = count(HOME, versions, (), KEEPS, largest=None)
    totals = found.totals
    for sums in (found.months, found.kinds, found.classes, found.rooms, found.groups, found.months_by_kind):
        assert sum(group.bytes for group in sums) == totals.bytes + totals.old_bytes == sum(v.size for v in versions)
        assert sum(group.objects for group in sums) == totals.objects
        assert sum(group.old for group in sums) == totals.old_versions


def test_memory_is_flat() -> None:
    """Five times as many objects, each in a room of its own and with a row of its own, need no more."""

    def listed(most: int) -> Iterator[ObjectVersion]:
        return (version(composite(number, f"room{number:07}")) for number in range(most))

    def known(most: int) -> Iterator[CatalogEntry]:
        keys = (composite(number, f"room{number:07}") for number in range(most))
        return (CatalogEntry(key, "s3", file_path=f"s3://bucket/recordings/{key}", duration=60.0) for key in keys)

    def peak(most: int) -> int:
        tracemalloc.start()
        found = count(HOME, listed(most), known(most), KEEPS)
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (found.totals.objects, found.totals.timed, found.room_count, len(found.rooms)) == (most, most, most, 20)
        return highest

    peak(1000)
    assert peak(5000) < 1.2 * peak(1000)


def test_retention_says_day_count_and_bytes() -> None:
    """Days are rounded up to midnight; the soonest rule counts; an old version goes by when it was replaced."""
    found = used(
        version(composite(1), 100),
        version(composite(2), 50),
        version(".verify/x", 1),
        version(composite(3), 7, current=False, noncurrent_since=THEN + timedelta(days=5)),
        version(composite(4), 0, marker=True),
    )
    assert [(day, end, amount.objects, amount.bytes) for day, end, amount in found.retention.next()] == [
        (date(2026, 8, 3), End.EXPIRES, 1, 1),
        (date(2026, 9, 6), End.REMOVED, 1, 7),
        (date(2026, 10, 31), End.EXPIRES, 2, 150),
    ]


def test_retention_without_versions_removes_at_once() -> None:
    """And no rule means no day."""
    plain = replace(KEEPS, keeps_versions=False)
    midnight = version(composite(1), last_modified=datetime(2026, 8, 1, tzinfo=UTC))
    assert Retention(plain).due(midnight) == (date(2026, 10, 30), End.REMOVED)
    assert Retention(replace(plain, lifecycle=())).due(midnight) is None
    assert Retention(plain).due(replace(midnight, key="elsewhere/x")) is None


def test_own_prices_are_dated_sourced_and_sane() -> None:
    """Each provider says of when and from where; each region has every class, none dearer than a warmer one."""
    prices = load_prices()
    for provider, order in (
        (StorageProvider.S3, ["STANDARD", "STANDARD_IA", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"]),
        (StorageProvider.GCS, ["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"]),
    ):
        table = prices.of(provider)
        assert table is not None
        assert date(2024, 9, 1) < table.date < datetime.now(UTC).date()
        assert "https://" in table.source
        for region, classes in table.regions.items():
            assert set(classes) - set(order) == ({"INTELLIGENT_TIERING"} if provider is StorageProvider.S3 else set())
            known = [classes[name] for name in order]
            assert known == sorted(known, reverse=True), region
            assert 0.01 < classes["STANDARD"] < 0.1, region


def test_cost_names_what_has_no_price() -> None:
    """Bytes times price, the region in any case; a class or region that is not in the table is never guessed."""
    cost = monthly_cost(
        load_prices(), StorageProvider.GCS, "EUROPE-WEST3", {"STANDARD": 100 * GIB, "ARCHIVE": GIB, "X": 1, "Y": 0}
    )
    assert cost.by_class == pytest.approx({"STANDARD": 2.3, "ARCHIVE": 0.0025})
    assert cost.total == pytest.approx(2.3025)
    assert cost.unpriced == ("X",)
    nowhere = monthly_cost(load_prices(), StorageProvider.S3, "mars-1", {"STANDARD": GIB})
    assert (nowhere.total, nowhere.unpriced) == (0, ("STANDARD",))


OWN = """
currency = "EUR"
[s3]
date = 2027-01-01
source = "our contract"
regions = { eu-west-1 = { STANDARD = 0.5 } }
"""


def test_prices_of_the_user_replace_ours(tmp_path: Path) -> None:
    """All of them: a provider that the file leaves out has none."""
    file = tmp_path / "prices.toml"
    file.write_text(OWN)
    prices = load_prices(file)
    cost = monthly_cost(prices, StorageProvider.S3, "eu-west-1", {"STANDARD": 2 * GIB})
    assert (cost.total, cost.currency, cost.source) == (1.0, "EUR", "our contract")
    assert monthly_cost(prices, StorageProvider.GCS, "eu", {"STANDARD": GIB}).unpriced == ("STANDARD",)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "currency: Field required"),
        ("x", "is not TOML"),
        (OWN.replace("0.5", "-1"), "greater than or equal to 0"),
        (OWN.replace("0.5", "nan"), "regions"),
        (OWN.replace("0.5", '"cheap"'), "regions.eu-west-1.STANDARD"),
        (OWN.replace("date = 2027-01-01", ""), "s3.date"),
        (OWN + "\n[azure]\n", "azure"),
    ],
)
def test_price_table_that_cannot_be_used_is_told(tmp_path: Path, text: str, said: str) -> None:
    """The message names the file, the fault and the legal form."""
    file = tmp_path / "prices.toml"
    file.write_text(text)
    with pytest.raises(UsageError) as told:
        load_prices(file)
    assert said in str(told.value)
    assert "prices.toml" in str(told.value)
    with pytest.raises(UsageError, match="cannot be read"):
        load_prices(tmp_path)
