"""Each guard taken away in turn: exactly the right check fails, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from recordings.outputs import WriterAccess
from recordings.stores import Identity, open_store
from recordings.verification import Check, Context, Status, http_client, verify
from recordings.verification.checks import CORS, CREDENTIALS, PERMISSIONS, REGION
from recordings.verification.guards import DRIFT
from sandbox.servers import Sandbox
from tests.functional.stand import Stand, entered

ORIGINS = ("https://app.example.com", "https://*.example.org")


@pytest.fixture(autouse=True)
def in_sandbox(sandbox: Sandbox) -> Iterator[None]:
    with entered(sandbox):
        yield


def run(stand: Stand, writer: Identity = Identity.WRITER) -> dict[str, Check]:
    """Every check by its id; no waiting, since nothing is new by the time a guard was taken away."""
    with http_client() as http:
        context = Context(
            outputs=stand.outputs,
            slot="blue",
            writer=open_store(stand.outputs, writer),
            reader=open_store(stand.outputs, Identity.READER),
            operator=open_store(stand.outputs, Identity.OPERATOR),
            http=http,
            patience=timedelta(0),
        )
        return {check.id: check for check in verify(context, None, (), lambda _: None)}


def failed(checks: dict[str, Check]) -> dict[str, str]:
    """The checks that failed, with the fix that they name."""
    return {id_: check.fix for id_, check in checks.items() if check.status is Status.FAILED}


@pytest.mark.parametrize(
    ("prefix", "access"),
    [
        ("", WriterAccess.FULL),
        ("", WriterAccess.UPLOAD_ONLY),
        ("recordings/", WriterAccess.FULL),
        ("a/b c/", WriterAccess.READ_WRITE),
        ("recordings/", WriterAccess.UPLOAD_ONLY),
    ],
)
def test_sound_stack_passes_whatever_its_prefix_and_access(prefix: str, access: WriterAccess) -> None:
    """Nothing fails, and no version, marker or upload of it stays."""
    stand = Stand.build(prefix=prefix, access=access, origins=ORIGINS)
    checks = run(stand)
    assert failed(checks) == {}
    not_run = [id_ for id_, check in checks.items() if check.status is Status.NOT_RUN]
    assert not_run == (["writer-list-other"] if not prefix and access is WriterAccess.FULL else [])
    assert stand.contents() == []


def public(stand: Stand) -> None:
    stand.s3.delete_public_access_block(Bucket=stand.bucket)
    resource = f"arn:aws:s3:::{stand.bucket}/*"
    stand.set_bucket_policy({"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": resource})


GUARDS: dict[str, tuple[Callable[[Stand], object], dict[str, str]]] = {
    "CORS removed": (lambda s: s.set_cors(), {f"cors {origin}": CORS for origin in ORIGINS}),
    "one origin removed": (lambda s: s.set_cors(ORIGINS[1]), {f"cors {ORIGINS[0]}": CORS}),
    "CORS for everybody": (lambda s: s.set_cors("*"), {"cors foreign": CORS}),
    "CORS exposes too little": (
        lambda s: s.set_cors(*ORIGINS, exposed=("ETag",)),
        {f"cors {origin}": CORS for origin in ORIGINS},
    ),
    "bucket made public": (public, {"unsigned": "the bucket is public", "public-access": DRIFT}),
    "public access block removed": (
        lambda s: s.s3.delete_public_access_block(Bucket=s.bucket),
        {"public-access": DRIFT},
    ),
    "versioning suspended": (
        lambda s: s.s3.put_bucket_versioning(Bucket=s.bucket, VersioningConfiguration={"Status": "Suspended"}),
        {"versioning": DRIFT},
    ),
    "lifecycle removed": (lambda s: s.s3.delete_bucket_lifecycle(Bucket=s.bucket), {"lifecycle": DRIFT}),
    "lifecycle without unfinished uploads": (lambda s: s.set_lifecycle("old", "verify"), {"lifecycle": DRIFT}),
    "lifecycle without old versions": (lambda s: s.set_lifecycle("unfinished", "verify"), {"lifecycle": DRIFT}),
    "lifecycle without .verify/": (lambda s: s.set_lifecycle("unfinished", "old"), {"lifecycle": DRIFT}),
    "plain HTTP allowed": (lambda s: s.s3.delete_bucket_policy(Bucket=s.bucket), {"plain-http": "permissions"}),
    "writer may put anywhere": (lambda s: s.allow("writer", "s3:PutObject"), {"writer-outside": "permissions"}),
    "writer may list anything": (
        lambda s: s.allow("writer", "s3:ListBucket"),
        {"writer-list-other": "permissions", "writer-list": "permissions"},
    ),
    "writer may delete": (lambda s: s.allow("writer", "s3:DeleteObject"), {"writer-delete": "permissions"}),
    "reader may write": (lambda s: s.allow("reader", "s3:PutObject"), {"reader-write": "permissions"}),
    "writer may not put": (lambda s: s.deny("writer", "s3:PutObject"), {"writer-put": PERMISSIONS}),
    "writer may not abort": (lambda s: s.deny("writer", "s3:AbortMultipartUpload"), {"writer-abort": PERMISSIONS}),
    "writer may not read": (lambda s: s.deny("writer", "s3:GetObject"), {"writer-read": PERMISSIONS}),
    "reader may not read": (lambda s: s.deny("reader", "s3:GetObject"), {"reader-head": PERMISSIONS}),
    "writer key inactive": (lambda s: s.deactivate("writer"), {"writer-put": CREDENTIALS}),
    "reader key inactive": (lambda s: s.deactivate("reader"), {"reader-head": CREDENTIALS}),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_guard_taken_away_fails_exactly_its_check(guard: str) -> None:
    """The right checks fail, with the right fix; checks that need them are not run; nothing stays in the bucket."""
    damage, expected = GUARDS[guard]
    stand = Stand.build(access=WriterAccess.READ_WRITE, origins=ORIGINS)
    damage(stand)
    seen = failed(run(stand))
    assert seen.keys() == expected.keys()
    for id_, fix in expected.items():
        assert seen[id_].startswith(fix)
    assert stand.contents() == []


def test_wrong_region_fails_alone() -> None:
    """100ms would upload to another region: said first, and all else waits for it."""
    stand = Stand.build().declared(region="eu-west-1")
    checks = run(stand)
    assert failed(checks) == {"region": REGION}
    assert checks["writer-put"].detail == "needs region"


def test_wrong_prefix_is_a_matter_of_permissions() -> None:
    """The key is good, and is not allowed to write there."""
    assert failed(run(Stand.build().declared(pathPrefix="elsewhere/"))) == {"writer-put": PERMISSIONS}


def test_wrong_secret_is_a_matter_of_credentials() -> None:
    """A signature that does not match is told from a permission that is missing."""
    stand = Stand.build().declared(writerSecretAccessKey="wrong")
    assert failed(run(stand)) == {"writer-put": CREDENTIALS}


def test_missing_bucket_fails_alone() -> None:
    """A destroyed stack's outputs: one failure that says so."""
    checks = run(Stand.build().declared(bucketName="no-such-bucket-anywhere"))
    assert list(failed(checks)) == ["region"]
    assert failed(checks)["region"].startswith("the bucket is gone")


def test_upload_only_writer_that_can_read_fails() -> None:
    """writerAccess upload-only promises that the key in 100ms' hands reads nothing."""
    stand = Stand.build(access=WriterAccess.UPLOAD_ONLY)
    stand.allow("writer", "s3:GetObject")
    assert list(failed(run(stand))) == ["writer-read"]


def test_operator_without_a_login_leaves_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything else is proved; the clean-up names where the objects stay and who takes them away."""
    stand = Stand.build()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
    checks = run(stand)
    assert failed(checks) == {}
    assert checks["cleanup"].status is Status.NOT_RUN
    assert "recordings/.verify/" in checks["cleanup"].detail
    assert "lifecycle" in checks["cleanup"].fix
    assert stand.contents()


def test_interruption_cleans_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a multipart upload: objects, versions and the upload are gone afterwards."""
    stand = Stand.build()
    reported: list[Check] = []

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with http_client() as http:
        writer = open_store(stand.outputs, Identity.WRITER)
        monkeypatch.setattr(writer, "complete_upload", interrupted)
        context = Context(
            outputs=stand.outputs,
            slot="blue",
            writer=writer,
            reader=open_store(stand.outputs, Identity.READER),
            operator=open_store(stand.outputs, Identity.OPERATOR),
            http=http,
        )
        with pytest.raises(KeyboardInterrupt):
            verify(context, None, (), reported.append)
    assert reported[-1].id == "cleanup"
    assert reported[-1].status is Status.PASSED
    assert stand.contents() == []
