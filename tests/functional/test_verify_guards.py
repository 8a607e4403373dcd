"""Each guard taken away in turn, on both providers: exactly the right check fails, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, Final

import pytest

from recordings.outputs import WriterAccess
from recordings.stores import Identity, open_store
from recordings.verification import Check, Context, Status, http_client, verify
from recordings.verification.checks import CORS, CREDENTIALS, FORBIDDEN, PERMISSIONS, REGION
from recordings.verification.guards import DRIFT
from sandbox.servers import Sandbox
from tests.functional.google_lab import Lab
from tests.functional.google_stand import GoogleStand
from tests.functional.stand import Stand, entered

AnyStand = Stand | GoogleStand
Build = Callable[..., AnyStand]
ORIGINS: Final = ("https://app.example.com", "https://other.example.org:8443")
EVERY_ORIGIN: Final = {f"cors {origin}": CORS for origin in ORIGINS}


@pytest.fixture(autouse=True)
def in_sandbox(sandbox: Sandbox) -> Iterator[None]:
    with entered(sandbox):
        yield


@pytest.fixture(scope="module")
def lab(sandbox: Sandbox) -> Iterator[Lab]:
    found = Lab(sandbox)
    yield found
    found.close()


@pytest.fixture(params=["s3", "gcs"])
def build(request: pytest.FixtureRequest, lab: Lab) -> Build:
    """How to make a stand on each provider."""

    def on_google(**how: Any) -> GoogleStand:
        return GoogleStand.build(lab, **how)

    return Stand.build if request.param == "s3" else on_google


def run(stand: AnyStand, writer: Identity = Identity.WRITER) -> dict[str, Check]:
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


def having(status: Status, checks: dict[str, Check]) -> list[str]:
    """The checks of this status."""
    return [id_ for id_, check in checks.items() if check.status is status]


def failed(checks: dict[str, Check]) -> dict[str, str]:
    """The checks that failed, with the fix that they name."""
    return {id_: checks[id_].fix for id_ in having(Status.FAILED, checks)}


@pytest.mark.parametrize(
    ("prefix", "access"),
    [
        ("", WriterAccess.FULL),
        ("", WriterAccess.UPLOAD_ONLY),
        ("recordings/", WriterAccess.FULL),
        ("a/b c/", WriterAccess.READ_WRITE),
        ("it's \\ odd/", WriterAccess.READ_WRITE),
        ("recordings/", WriterAccess.UPLOAD_ONLY),
    ],
)
def test_sound_stack_passes_whatever_its_prefix_and_access(build: Build, prefix: str, access: WriterAccess) -> None:
    """Nothing fails, and no version, marker or upload of it stays; HTTP is a warning where buckets can't refuse it."""
    stand = build(prefix=prefix, access=access, origins=ORIGINS)
    checks = run(stand)
    assert failed(checks) == {}
    skipped = ["writer-list-other"] if not prefix and access is WriterAccess.FULL else []
    assert having(Status.NOT_RUN, checks) == skipped
    assert having(Status.WARNING, checks) == ({"s3": [], "gcs": ["plain-http"]}[stand.provider])
    assert stand.contents() == []


def test_origin_with_a_wildcard_passes_where_there_are_such() -> None:
    """S3 takes `https://*.example.org`; Google has no such origins."""
    stand = Stand.build(origins=("https://app.example.com", "https://*.example.org"))
    assert failed(run(stand)) == {}
    stand.set_cors("https://app.example.com")
    assert failed(run(stand)) == {"cors https://*.example.org": CORS}


GUARDS: Final[dict[str, tuple[Callable[[Any], object], dict[str, str]]]] = {
    "CORS removed": (lambda s: s.set_cors(), EVERY_ORIGIN),
    "one origin removed": (lambda s: s.set_cors(ORIGINS[1]), {f"cors {ORIGINS[0]}": CORS}),
    "CORS for everybody": (lambda s: s.set_cors("*"), {"cors foreign": CORS}),
    "CORS exposes too little": (lambda s: s.set_cors(*ORIGINS, exposed=("ETag",)), EVERY_ORIGIN),
    "bucket made public": (
        lambda s: s.open_to_the_public(),
        {"unsigned": "the bucket is public", "public-access": DRIFT},
    ),
    "public access allowed": (lambda s: s.allow_public_access(), {"public-access": DRIFT}),
    "versioning suspended": (lambda s: s.suspend_versioning(), {"versioning": DRIFT}),
    "lifecycle removed": (lambda s: s.set_lifecycle("none"), {"lifecycle": DRIFT}),
    "lifecycle without unfinished uploads": (lambda s: s.set_lifecycle("old", "verify"), {"lifecycle": DRIFT}),
    "lifecycle without old versions": (lambda s: s.set_lifecycle("unfinished", "verify"), {"lifecycle": DRIFT}),
    "lifecycle without .verify/": (lambda s: s.set_lifecycle("unfinished", "old"), {"lifecycle": DRIFT}),
    "writer may put anywhere": (lambda s: s.allow("writer", "put"), {"writer-outside": "permissions"}),
    "writer may list anything": (
        lambda s: s.allow("writer", "list"),
        {"writer-list-other": "permissions", "writer-list": "permissions"},
    ),
    "writer may delete": (lambda s: s.allow("writer", "delete"), {"writer-delete": "permissions"}),
    "reader may write": (lambda s: s.allow("reader", "put"), {"reader-write": "permissions"}),
    "writer may not put": (lambda s: s.deny("writer", "put"), {"writer-put": PERMISSIONS}),
    "writer may not read": (lambda s: s.deny("writer", "read"), {"writer-read": PERMISSIONS}),
    "reader may not read": (lambda s: s.deny("reader", "read"), {"reader-head": PERMISSIONS}),
    "writer key inactive": (lambda s: s.deactivate("writer"), {"writer-put": CREDENTIALS}),
    "reader key inactive": (lambda s: s.deactivate("reader"), {"reader-head": CREDENTIALS}),
    "region is another": (lambda s: s.raw.update(region="us-west1"), {"region": REGION}),
    "prefix is another": (lambda s: s.raw.update(pathPrefix="elsewhere/"), {"writer-put": PERMISSIONS}),
    "secret is another": (lambda s: s.raw.update(writerSecretAccessKey="wrong"), {"writer-put": CREDENTIALS}),
    "bucket is gone": (lambda s: s.raw.update(bucketName="no-such-bucket-anywhere"), {"region": "the bucket is gone"}),
}


@pytest.mark.parametrize("guard", GUARDS)
def test_guard_taken_away_fails_exactly_its_check(build: Build, guard: str) -> None:
    """The right checks fail, with the right fix; checks that need them are not run; nothing stays in the bucket."""
    damage, expected = GUARDS[guard]
    stand = build(access=WriterAccess.READ_WRITE, origins=ORIGINS)
    bucket = stand.declared(**stand.raw)
    damage(stand)
    seen = failed(run(stand))
    assert seen.keys() == expected.keys()
    for id_, fix in expected.items():
        assert seen[id_].startswith(fix)
    assert bucket.contents() == []


ON_S3: Final[dict[str, tuple[Callable[[Stand], object], dict[str, str]]]] = {
    "plain HTTP allowed": (lambda s: s.s3.delete_bucket_policy(Bucket=s.bucket), {"plain-http": "permissions"}),
    "writer may not abort": (lambda s: s.deny("writer", "abort"), {"writer-abort": PERMISSIONS}),
}


@pytest.mark.parametrize("guard", ON_S3)
def test_guard_that_s3_alone_has_fails_exactly_its_check(guard: str) -> None:
    """On Google no bucket refuses HTTP, and no predefined role uploads without aborting."""
    damage, expected = ON_S3[guard]
    stand = Stand.build()
    damage(stand)
    seen = failed(run(stand))
    assert seen.keys() == expected.keys()
    assert all(seen[id_].startswith(fix) for id_, fix in expected.items())


def test_plain_http_passes_where_the_organisation_forbids_it(lab: Lab) -> None:
    """The organisation policy turns Google's warning into a passed check."""
    lab.switch(constraints=["constraints/storage.secureHttpTransport"])
    try:
        assert run(GoogleStand.build(lab))["plain-http"].status is Status.PASSED
    finally:
        lab.switch(constraints=[])


def test_organisation_that_refuses_hmac_is_named_with_the_way_out(lab: Lab) -> None:
    """Neither key can be used: not the fault of the stack, with the constraint and what to ask for."""
    stand = GoogleStand.build(lab)
    lab.switch(constraints=["constraints/storage.restrictAuthTypes"])
    try:
        checks = run(stand)
    finally:
        lab.switch(constraints=[])
    assert failed(checks) == {"writer-put": FORBIDDEN}
    assert "SERVICE_ACCOUNT_HMAC_SIGNED_REQUESTS" in checks["writer-put"].detail


def test_region_makes_all_else_wait(build: Build) -> None:
    """100ms would upload to another region: said first."""
    checks = run(build().declared(region="us-west1"))
    assert checks["writer-put"].detail == "needs region"


def test_upload_only_writer_that_can_read_fails(build: Build) -> None:
    """writerAccess upload-only promises that the key in 100ms' hands reads nothing."""
    stand = build(access=WriterAccess.READ_WRITE).declared(writerAccess="upload-only")
    assert list(failed(run(stand))) == ["writer-read"]


def test_operator_without_a_login_leaves_and_says_so(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that keys can show is proved; the clean-up names where the objects stay and who takes them away."""
    stand = build()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAUNKNOWN")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    checks = run(stand)
    assert failed(checks) == {}
    assert having(Status.WARNING, checks) == ([] if stand.provider == "s3" else ["region", "plain-http"])
    assert having(Status.NOT_RUN, checks) == ["public-access", "versioning", "lifecycle", "cleanup"]
    assert "recordings/.verify/" in checks["cleanup"].detail
    assert "lifecycle" in checks["cleanup"].fix
    assert stand.contents()


def test_interruption_cleans_up(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of a multipart upload: objects, versions and the upload are gone afterwards."""
    stand = build()
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
