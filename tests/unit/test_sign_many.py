"""Many presigned URLs at once are those that one at a time would be, which are boto3's; and they are quick."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from recordings.downloads import Downloads
from recordings.errors import UsageError
from recordings.outputs import FormerBucket, StackOutputs
from recordings.signing import Download, Presigner
from recordings.signing_v4 import AWS4, GOOG4, HmacSigner
from recordings.stores import Identity, open_store
from sandbox.bench_signing import gcs_ratio, s3_ratio
from tests.unit.s3_wire import outputs
from tests.unit.test_signing import AT, CASES, ODD_KEYS, SECRET, both, keys

names = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/\\"), min_size=1).filter(
    str.isprintable
)
downloads = st.builds(
    Download, keys, st.none() | names, st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
)


def presigner(case: str = "virtual", *, google: bool = False) -> Presigner:
    _, region, _, token = CASES[case]["of"]
    signer = HmacSigner("AKIDEXAMPLE", SecretStr(SECRET), region, GOOG4 if google else AWS4)
    return Presigner(signer, CASES[case]["base_url"], session_token=SecretStr(token) if token else None)


@pytest.mark.parametrize("case", CASES)
def test_many_urls_equal_boto3_for_odd_keys(case: str) -> None:
    """Byte for byte boto3's, in every addressing style; a second that turns in between is tried again."""
    while True:
        theirs = [both(case, key)[1] for key in ODD_KEYS]
        stamps = {url.partition("X-Amz-Date=")[2][:16] for url in theirs}
        if len(stamps) == 1:
            break
    at = datetime.strptime(stamps.pop(), "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    assert presigner(case).urls([Download(key) for key in ODD_KEYS], seconds=3600, at=at) == theirs


@given(
    wanted=st.lists(downloads, max_size=8),
    seconds=st.integers(1, 604800),
    case=st.sampled_from(sorted(CASES)),
    google=st.booleans(),
)
def test_many_urls_equal_single_ones(wanted: list[Download], seconds: int, case: str, google: bool) -> None:
    """For any keys, file names and content types, in both dialects; the single ones are held against the SDKs."""
    signer = presigner(case, google=google)
    single = [signer.url(item.key, seconds=seconds, at=AT, query=item.query()) for item in wanted]
    assert signer.urls(wanted, seconds=seconds, at=AT) == single


@pytest.mark.parametrize(
    ("item", "seconds", "said"),
    [(Download(""), 60, "object key"), (Download("k", "a/b"), 60, "file name"), (Download("k"), 0, "1 s to")],
)
def test_one_that_cannot_be_signed_is_an_error_for_all(item: Download, seconds: int, said: str) -> None:
    """As for a single URL; nobody gets a list with a hole."""
    with pytest.raises(UsageError, match=said):
        presigner().urls([Download("good"), item], seconds=seconds, at=AT)


def test_store_signs_many_as_it_signs_one() -> None:
    """Through the store, with the reader's key and an expiry that is told."""
    store = open_store(outputs(), Identity.READER)
    found = store.sign_many([Download(key) for key in ODD_KEYS], timedelta(minutes=5), at=AT)
    assert [url.reveal() for url in found] == [
        store.sign(key, timedelta(minutes=5), at=AT).reveal() for key in ODD_KEYS
    ]
    assert {url.expires_at for url in found} == {AT + timedelta(minutes=5)}


def with_former() -> StackOutputs:
    old = FormerBucket(bucket_name="old-bucket", region="eu-west-1", path_prefix="old/")
    return outputs().model_copy(update={"former_buckets": (old,)})


def test_paths_of_two_buckets_keep_their_order() -> None:
    """Each is signed for its own bucket, and the URLs come in the order of the paths."""
    mine = with_former()
    paths = [f"s3://{mine.bucket_name}/recordings/a.mp4", "s3://old-bucket/old/b.mp4", "recordings/c.mp4"]
    signing = Downloads(mine)
    found = [url.reveal() for url in signing.sign_many(paths, at=AT)]
    assert found == [signing.sign(path, at=AT).reveal() for path in paths]
    assert ["a.mp4" in found[0], "old-bucket" in found[1], "c.mp4" in found[2]] == [True] * 3


@pytest.mark.parametrize("path", ["s3://other/recordings/x.mp4", "recordings/../x.mp4", "elsewhere/x.mp4", ""])
def test_path_that_leads_elsewhere_is_refused(path: str) -> None:
    """One such row spoils the whole call: it must not be passed over in silence."""
    signing = Downloads(with_former())
    for attempt in (lambda: signing.sign(path), lambda: signing.sign_many(["recordings/a.mp4", path])):
        with pytest.raises(UsageError):
            attempt()


def test_many_urls_take_a_fraction_of_the_sdks_time() -> None:
    """Far from the figures of `make bench` (30 and 50 times), so that a busy machine does not fail it."""
    assert s3_ratio(rounds=3) > 15
    assert gcs_ratio(rounds=3) > 25
