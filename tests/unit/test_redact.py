"""What of outside text may be shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recordings.redact import MASK, redact

SECRET = st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGH0123456789/+", min_size=4, max_size=60)


def test_redact_url_keeps_the_object_and_hides_the_query() -> None:
    """A presigned URL names its object and nothing that would open it."""
    text = "cannot GET https://b.s3.amazonaws.com/k.mp4?X-Amz-Signature=abc&X-Amz-Expires=60 now"
    assert redact(text) == f"cannot GET https://b.s3.amazonaws.com/k.mp4?{MASK} now"


@given(secret=SECRET, before=st.text(max_size=50), after=st.text(max_size=50))
def test_redact_leaves_no_secret(secret: str, before: str, after: str) -> None:
    """No secret survives, wherever it stands."""
    assert secret not in redact(f"{before}{secret}{after}", [secret]).replace(MASK, "")


def test_redact_secret_that_holds_another() -> None:
    """The longer secret is masked first, so that its rest does not stay."""
    assert redact("abcdefgh", ["abcd", "abcdefgh"]) == MASK


def test_redact_long_text_is_cut() -> None:
    """A page of HTML does not fill the screen."""
    assert len(redact("x " * 1000)) == 300
