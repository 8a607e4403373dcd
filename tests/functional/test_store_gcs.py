"""The Google store beside other clients: what boto3 and Google's library write and sign, ours reads, and back."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from typing import Any, Final

import httpx
import pytest

from recordings.errors import AccessDeniedError, CredentialsError, PreconditionError
from recordings.outputs import WriterAccess
from recordings.signing_gcs import HmacAuth
from recordings.signing_v4 import AWS4
from recordings.stores import AccessKey, Identity, gcs, open_store
from recordings.stores.gcs_errors import way_out
from recordings.stores.gcs_wire import Call, Wire
from sandbox.servers import Sandbox
from tests.functional.clients import browser, client_tls
from tests.functional.google_lab import Lab
from tests.functional.google_stand import GoogleStand
from tests.functional.stand import entered

KEY: Final = "recordings/beam/a room/Rec-é+1.mp4"
MIB: Final = 1024 * 1024


@pytest.fixture(scope="module")
def lab(sandbox: Sandbox) -> Iterator[Lab]:
    with entered(sandbox):
        found = Lab(sandbox)
        yield found
        found.close()


@pytest.fixture(scope="module")
def stand(lab: Lab) -> GoogleStand:
    """One for all tests here: they use keys of their own."""
    return GoogleStand.build(lab)


@pytest.fixture(scope="module")
def http(sandbox: Sandbox) -> Iterator[httpx.Client]:
    with browser(sandbox) as client:
        yield client


def test_boto3_reads_what_the_writer_uploaded_and_back(stand: GoogleStand) -> None:
    """AWS4 against the XML API with the same HMAC key is the second witness of our signatures."""
    boto3 = stand.lab.s3((stand.raw["writerAccessKeyId"], stand.raw["writerSecretAccessKey"]))
    writer = open_store(stand.outputs, Identity.WRITER)
    body = secrets.token_bytes(5 * MIB + 7)
    upload = writer.create_upload(KEY, content_type="video/mp4")
    parts = [writer.upload_part(KEY, upload, n, part) for n, part in enumerate((body[: 5 * MIB], body[5 * MIB :]), 1)]
    writer.complete_upload(KEY, upload, parts)
    answer = boto3.get_object(Bucket=stand.bucket, Key=KEY)
    assert (answer["Body"].read(), answer["ContentType"]) == (body, "video/mp4")
    boto3.put_object(Bucket=stand.bucket, Key=KEY, Body=b"by boto3")
    assert writer.read(KEY)[0] == b"by boto3"


def test_upload_begun_by_boto3_is_finished_by_ours(stand: GoogleStand) -> None:
    """An upload belongs to the bucket, not to a client."""
    boto3 = stand.lab.s3((stand.raw["writerAccessKeyId"], stand.raw["writerSecretAccessKey"]))
    writer = open_store(stand.outputs, Identity.WRITER)
    upload = boto3.create_multipart_upload(Bucket=stand.bucket, Key=KEY)["UploadId"]
    writer.complete_upload(KEY, upload, [writer.upload_part(KEY, upload, 1, b"ours")])
    assert boto3.get_object(Bucket=stand.bucket, Key=KEY)["Body"].read() == b"ours"


def test_header_signature_in_amazons_dialect_is_taken_too(stand: GoogleStand) -> None:
    """The same code in the other dialect: Google takes both, so that one proves the other."""
    raw = stand.outputs
    auth = HmacAuth(raw.writer_access_key_id, raw.writer_secret_access_key, dialect=AWS4)
    Wire(f"{raw.endpoint_url}/{stand.bucket}", auth).send(Call("put", "PUT", KEY, content=b"as Amazon would"))
    assert open_store(raw, Identity.READER).read(KEY)[0] == b"as Amazon would"


def test_urls_of_googles_library_and_ours_work_alike(stand: GoogleStand, http: httpx.Client) -> None:
    """RSA by the library and HMAC by ours open the same object."""
    open_store(stand.outputs, Identity.WRITER).put(KEY, b"content")
    email = stand.raw["readerPrincipal"]
    client: Any = stand.lab.storage(stand.lab.key(email))
    theirs = (
        client.bucket(stand.bucket)
        .blob(KEY)
        .generate_signed_url(
            version="v4",
            expiration=timedelta(minutes=5),
            api_access_endpoint=stand.lab.url,
            headers={"Host": stand.lab.url.rpartition("/")[2]},
        )
    )
    ours = open_store(stand.outputs, Identity.READER).sign(KEY, timedelta(minutes=5)).reveal()
    assert [http.get(url).content for url in (theirs, ours)] == [b"content", b"content"]


def test_json_key_of_the_reader_signs_for_the_reader(stand: GoogleStand, http: httpx.Client) -> None:
    """With the opt-in key URLs are RSA-signed, work where HMAC is refused, and reach no further than the reader."""
    open_store(stand.outputs, Identity.WRITER).put(KEY, b"content")
    open_store(stand.outputs, Identity.OPERATOR).put("outside", b"x")
    key = json.dumps(stand.lab.key(stand.raw["readerPrincipal"]))
    reader = open_store(stand.declared(serviceAccountKey=key).outputs, Identity.READER)
    url = reader.sign(KEY, timedelta(minutes=5), content_type="video/mp4").reveal()
    assert "X-Goog-Algorithm=GOOG4-RSA-SHA256" in url
    stand.lab.switch(constraints=["constraints/storage.restrictAuthTypes"])
    try:
        answer = http.get(url)
    finally:
        stand.lab.switch(constraints=[])
    assert (answer.content, answer.headers["content-type"]) == (b"content", "video/mp4")
    assert http.get(reader.sign("outside", timedelta(minutes=5)).reveal()).status_code == 403


def test_hmac_that_an_organisation_refuses_is_explained(stand: GoogleStand) -> None:
    """Not a missing right: the way of signing is refused, and what to ask for is said."""
    stand.lab.switch(constraints=["constraints/storage.restrictAuthTypes"])
    try:
        with pytest.raises(CredentialsError, match="SERVICE_ACCOUNT_HMAC_SIGNED_REQUESTS"):
            open_store(stand.outputs, Identity.WRITER).put(KEY, b"x")
        with pytest.raises(CredentialsError, match="SERVICE_ACCOUNT_HMAC_SIGNED_REQUESTS"):
            open_store(stand.outputs, Identity.READER).head(KEY)
    finally:
        stand.lab.switch(constraints=[])


@pytest.mark.parametrize(
    "constraint", ["iam.disableServiceAccountKeyCreation", "iam.managed.disableServiceAccountKeyCreation"]
)
def test_key_creation_that_an_organisation_forbids_is_explained(lab: Lab, constraint: str) -> None:
    """What Google answers to the deployment is recognised as it is printed, with the way out."""
    email = lab.account()
    lab.switch(constraints=[f"constraints/{constraint}"])
    try:
        answer = lab.operator.post(
            f"/storage/v1/projects/{lab.project}/hmacKeys", params={"serviceAccountEmail": email}
        )
    finally:
        lab.switch(constraints=[])
    assert answer.status_code == 412
    assert "writerExternal" in (way_out(answer.text) or "")


def test_inactive_key_is_bad_credentials_and_works_again_when_active(stand: GoogleStand) -> None:
    """The state of a key, not its rights."""
    writer = open_store(stand.outputs, Identity.WRITER)
    stand.activate("writer")
    writer.put(KEY, b"x")
    stand.deactivate("writer")
    try:
        with pytest.raises(CredentialsError, match="InvalidSecurity"):
            writer.put(KEY, b"x")
    finally:
        stand.activate("writer")


@pytest.mark.parametrize("access", [WriterAccess.READ_WRITE, WriterAccess.UPLOAD_ONLY])
def test_smaller_writer_writes_each_key_once(lab: Lab, access: WriterAccess) -> None:
    """On Google overwriting needs the right to delete, which the smaller sets do not give."""
    writer = open_store(GoogleStand.build(lab, access=access).outputs, Identity.WRITER)
    writer.put(KEY, b"1")
    with pytest.raises(AccessDeniedError, match=r"storage\.objects\.delete"):
        writer.put(KEY, b"2")


class LosesFirstAnswer(httpx.HTTPTransport):
    """The way to the sandbox, on which one answer is lost after the request was done."""

    lost = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = super().handle_request(request)
        if not self.lost:
            self.lost = True
            answer.read()
            raise httpx.ReadError("lost")
        return answer


@pytest.mark.parametrize(
    ("access", "is_sure"),
    [(WriterAccess.FULL, True), (WriterAccess.READ_WRITE, True), (WriterAccess.UPLOAD_ONLY, False)],
)
def test_lost_answer_to_a_put(sandbox: Sandbox, lab: Lab, access: WriterAccess, is_sure: bool) -> None:
    """Who may read what it wrote succeeds; who may not is told that it cannot know, not that it lacks a right."""
    outputs = GoogleStand.build(lab, access=access).outputs
    writer = gcs.open_store(outputs, Identity.WRITER, transport=LosesFirstAnswer(verify=client_tls(sandbox)))
    with nullcontext() if is_sure else pytest.raises(PreconditionError, match="first answer was lost"):
        assert writer.put(KEY, b"1").version_id
    assert open_store(outputs, Identity.READER).read(KEY)[0] == b"1"


def test_second_slot_is_the_same_writer(stand: GoogleStand) -> None:
    """Two keys of one account: both upload, and belong to the same project."""
    key_id, secret = stand.lab.hmac(stand.raw["writerPrincipal"])
    slots = {**stand.raw["writerKeys"], "green": {"id": key_id, "secret": secret, "status": "active"}}
    outputs = stand.declared(writerKeys=slots).outputs
    green = open_store(outputs, AccessKey(key_id, outputs.writer_keys["green"].secret))
    green.put(KEY, b"green")
    assert green.account() == stand.lab.project
