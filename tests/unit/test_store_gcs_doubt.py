"""A put of which the answer was lost, by a writer that may not overwrite: found, in doubt, or refused."""

from __future__ import annotations

from typing import Final

import httpx
import pytest

from recordings.errors import AccessDeniedError, PreconditionError
from tests.unit.gcs_script import Answer, Script, refusal

MAY_NOT_OVERWRITE: Final = refusal(403, "AccessDenied", "sa does not have storage.objects.delete access to the object.")
MD5_OF_X: Final = "crc32c=AAAAAA==,md5=ndTkYSaMgDT1yFZOFVxnpg=="


def there(hashes: str) -> httpx.Response:
    """The answer to HEAD."""
    return httpx.Response(200, headers={"x-goog-generation": "7", "content-length": "1", "x-goog-hash": hashes})


@pytest.mark.parametrize("lost", [httpx.ReadTimeout("lost"), httpx.Response(502)])
def test_put_whose_answer_was_lost_is_found_by_who_may_not_overwrite(lost: Answer) -> None:
    """The second try is refused for the first one's sake; the object there has the content that was sent."""
    script = Script(lost, MAY_NOT_OVERWRITE, there(MD5_OF_X))
    assert script.store().put("k", b"x").version_id == "7"
    assert [request.method for request in script.requests] == ["PUT", "PUT", "HEAD"]


@pytest.mark.parametrize(
    ("head", "said"),
    [
        (there("crc32c=AAAAAA=="), "another object"),
        (there("md5=AAAAAAAAAAAAAAAAAAAAAA=="), "another object"),
        (httpx.Response(403), "first answer was lost"),
    ],
)
def test_put_whose_answer_was_lost_is_in_doubt_where_nothing_shows_it(head: Answer, said: str) -> None:
    """Never taken for a success, and not for a missing right either."""
    with pytest.raises(PreconditionError, match=said):
        Script(httpx.ReadTimeout("lost"), MAY_NOT_OVERWRITE, head).store().put("k", b"x")


def test_refused_overwriting_is_a_missing_right_when_no_answer_was_lost() -> None:
    """Whether at once or after a try that surely did nothing."""
    for answers in ([MAY_NOT_OVERWRITE], [httpx.Response(429), MAY_NOT_OVERWRITE]):
        with pytest.raises(AccessDeniedError, match="delete"):
            Script(*answers).store().put("k", b"x")
