"""What guards an S3 bucket, read from its three answers."""

from __future__ import annotations

import pytest

from recordings.errors import AccessDeniedError
from recordings.stores import Guards, LifecycleRule
from tests.unit.s3_wire import Reply, Wire, store_on

NO_BLOCK = Reply(404, code="NoSuchPublicAccessBlockConfiguration")
NO_RULES = Reply(404, code="NoSuchLifecycleConfiguration")
KEPT = Reply(body=b"<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")


def block(*names: str) -> Reply:
    """An answer with these settings on."""
    inner = "".join(f"<{name}>true</{name}>" for name in names)
    return Reply(body=f"<PublicAccessBlockConfiguration>{inner}</PublicAccessBlockConfiguration>".encode())


def rules(*bodies: str) -> Reply:
    """An answer with these rules."""
    inner = "".join(f"<Rule>{body}</Rule>" for body in bodies)
    return Reply(body=f"<LifecycleConfiguration>{inner}</LifecycleConfiguration>".encode())


def guards(*replies: Reply) -> Guards:
    """In the order in which they are asked for: public access, lifecycle, versioning."""
    return store_on(Wire(*replies)).guards()


ALL = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@pytest.mark.parametrize(("found", "refuses"), [(block(*ALL), True), (block(*ALL[1:]), False), (NO_BLOCK, False)])
def test_public_access_is_refused_by_all_four_blocks(found: Reply, refuses: bool) -> None:
    """Three of them leave a way."""
    assert guards(found, NO_RULES, KEPT).refuses_public_access is refuses


@pytest.mark.parametrize(
    ("versioning", "keeps"),
    [(KEPT, True), (Reply(body=b"<V><Status>Suspended</Status></V>"), False), (Reply(body=b"<V/>"), False)],
)
def test_versions_are_kept_while_versioning_is_enabled(versioning: Reply, keeps: bool) -> None:
    """Suspended is as never enabled: what is overwritten from now on is lost."""
    assert guards(NO_BLOCK, NO_RULES, versioning).keeps_versions is keeps


CASES = [
    ("<Filter><Prefix>a/</Prefix></Filter><Expiration><Days>1</Days></Expiration>", LifecycleRule("a/", 1)),
    ("<Prefix>a/</Prefix><Expiration><Days>1</Days></Expiration>", LifecycleRule("a/", 1)),
    (
        "<Filter/><NoncurrentVersionExpiration><NoncurrentDays>30</NoncurrentDays></NoncurrentVersionExpiration>",
        LifecycleRule("", old_versions_days=30),
    ),
    (
        "<Filter/><AbortIncompleteMultipartUpload><DaysAfterInitiation>7</DaysAfterInitiation>"
        "</AbortIncompleteMultipartUpload>",
        LifecycleRule("", abort_uploads_days=7),
    ),
    ("<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter><Expiration><Days>1</Days></Expiration>", None),
    ("<Filter><ObjectSizeLessThan>9</ObjectSizeLessThan></Filter><Expiration><Days>1</Days></Expiration>", None),
]


@pytest.mark.parametrize(("body", "expected"), CASES)
def test_lifecycle_rules_count_for_what_they_do(body: str, expected: LifecycleRule | None) -> None:
    """Per prefix; one that holds for some objects only, or is disabled, counts for none."""
    enabled = rules(f"<Status>Enabled</Status>{body}")
    disabled = rules(f"<Status>Disabled</Status>{body}")
    assert list(guards(NO_BLOCK, enabled, KEPT).lifecycle) == ([expected] if expected else [])
    assert guards(NO_BLOCK, disabled, KEPT).lifecycle == ()


def test_refusal_is_not_taken_for_a_missing_guard() -> None:
    """Who may not see a guard does not say that it is gone."""
    with pytest.raises(AccessDeniedError):
        guards(Reply(403, code="AccessDenied"))
