"""Who a store on Google is, and how each signs: HMAC keys, JSON keys, logins; with no service and no library."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import google.auth.credentials
import google.auth.exceptions
import pytest
from pydantic import SecretStr

from recordings.errors import (
    ConfigurationError,
    CredentialsError,
    StoreError,
    StoreUnreachableError,
)
from recordings.stores import AccessKey, Identity, open_store
from recordings.stores.gcs_rsa import RsaSigner, ambient_signer
from tests.unit.gcs_script import BASE, OK, READER, WRITER, Script, outputs
from tests.unit.google_fake import json_key
from tests.unit.s3_wire import RAW_OUTPUTS


@pytest.mark.parametrize(
    ("identity", "key_id"),
    [
        (Identity.WRITER, "AKIAWRITER"),
        (Identity.READER, "AKIAREADER"),
        (AccessKey("GOOG1GREEN", SecretStr("s")), "GOOG1GREEN"),
    ],
)
def test_each_identity_signs_with_its_own_key(identity: Identity | AccessKey, key_id: str) -> None:
    """In the header, in Google's dialect, at Google's address."""
    script = Script(OK)
    script.store(identity).put("recordings/a b.mp4", b"x", content_type="video/mp4")
    (request,) = script.requests
    assert str(request.url) == f"{BASE}/recordings/a%20b.mp4"
    assert request.headers["authorization"].startswith(f"GOOG4-HMAC-SHA256 Credential={key_id}/")
    assert request.headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    ("email", "project"),
    [
        (WRITER, "some-project"),
        ("sa@proj.example.com.iam.gserviceaccount.com", "example.com:proj"),
        ("arn:aws:iam::1:user/x", None),
        ("person@example.com", None),
        ("", None),
    ],
)
def test_account_is_the_project_in_the_service_accounts_name(email: str, project: str | None) -> None:
    """A project of a domain is written the other way round; what is no service account names none."""
    store = Script(OK).store(writerPrincipal=email)
    if project is None:
        with pytest.raises(StoreError, match="project"):
            store.account()
    else:
        assert store.account() == project


def test_key_of_a_slot_belongs_to_its_account() -> None:
    """A writer's other slot is the writer's account; an unknown key is nobody's."""
    slots = {**RAW_OUTPUTS["writerKeys"], "green": {"id": "GOOG1GREEN", "secret": "s", "status": "active"}}
    key = AccessKey("GOOG1GREEN", SecretStr("s"))
    assert Script(OK).store(key, writerKeys=slots).account() == "some-project"
    with pytest.raises(StoreError, match="GOOG1GREEN"):
        Script(OK).store(key).account()


def test_signed_url_is_of_the_readers_key_and_hides_it() -> None:
    """HMAC in Google's dialect; asks nothing; what is shown has no query."""
    script = Script(OK)
    signed = script.store(Identity.READER).sign(
        "recordings/a.mp4", timedelta(hours=1), filename="b.mp4", at=datetime(2026, 7, 1, tzinfo=UTC)
    )
    query = parse_qs(urlsplit(signed.reveal()).query)
    assert query["X-Goog-Algorithm"] == ["GOOG4-HMAC-SHA256"]
    assert query["X-Goog-Credential"] == ["AKIAREADER/20260701/auto/storage/goog4_request"]
    assert query["response-content-disposition"] == ['attachment; filename="b.mp4"']
    assert str(signed) == f"{BASE}/recordings/a.mp4?…"
    assert script.requests == []


@pytest.fixture
def without_google(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's library is not installed, and what needs it was not imported before."""
    for name in ("gcs_operator", "gcs_rsa", "gcs_sdk_errors"):
        monkeypatch.delitem(sys.modules, f"recordings.stores.{name}", raising=False)
    for name in ("google", "google.auth", "google.cloud", "google.api_core", "google.oauth2"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.usefixtures("without_google")
def test_without_the_extra_keys_work_and_the_operator_names_it() -> None:
    """A back end that signs and reads with the reader's key needs no library of Google's."""
    reader = open_store(outputs(), Identity.READER)
    assert reader.sign("recordings/k", timedelta(hours=1)).reveal().startswith(BASE)
    with pytest.raises(ConfigurationError, match=r"pip install '\.\[gcs\]'"):
        open_store(outputs(), Identity.OPERATOR)


def test_json_key_of_another_account_does_not_sign_for_the_reader() -> None:
    """Only the reader's own key stands for the reader; the writer's may not read where writerAccess says so."""
    for email, algorithm in ((READER, "GOOG4-RSA-SHA256"), (WRITER, "GOOG4-HMAC-SHA256")):
        store = Script(OK).store(Identity.READER, serviceAccountKey=json_key(email))
        query = parse_qs(urlsplit(store.sign("k", timedelta(hours=1)).reveal()).query)
        assert query["X-Goog-Algorithm"] == [algorithm]


@pytest.mark.parametrize(
    "text", ["no json", "{}", '"text"', json.dumps({"client_email": READER, "private_key": "sesame"})]
)
def test_json_key_that_is_none_is_an_error_that_does_not_quote_it(text: str) -> None:
    """Bad configuration, named by its output."""
    store = Script(OK).store(Identity.READER, serviceAccountKey=text)
    with pytest.raises(ConfigurationError, match="serviceAccountKey") as caught:
        store.sign("k", timedelta(hours=1))
    assert "sesame" not in str(caught.value)
    assert caught.value.__cause__ is None


class _Person(google.auth.credentials.Credentials):
    """A person's login: it has tokens and cannot sign."""

    def refresh(self, request: Any) -> None:
        raise AssertionError("nothing to refresh")


def test_persons_login_cannot_sign_and_is_told_how_to() -> None:
    """The way out is another identity or impersonation."""
    with pytest.raises(CredentialsError, match="impersonate-service-account"):
        ambient_signer(_Person())  # type: ignore[no-untyped-call]


class _Machine(_Person):
    """A machine's login: it learns its account with its first token, and IAM signs for it."""

    service_account_email = "default"

    def refresh(self, request: Any) -> None:
        self.service_account_email = READER


def test_machine_asks_iam_to_sign(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own account's name, which it learns first."""
    asked: list[tuple[str, bytes]] = []

    class Iam:
        def __init__(self, request: object, credentials: object, email: str) -> None:
            self._email = email

        def sign(self, message: bytes) -> bytes:
            asked.append((self._email, message))
            return b"\x01\x02"

    monkeypatch.setattr("google.auth.iam.Signer", Iam)
    signer = ambient_signer(_Machine())  # type: ignore[no-untyped-call]
    assert (signer.key_id, signer.sign("20260701T000000Z", b"message")) == (READER, "0102")
    assert asked == [(READER, b"message")]


def test_refused_signature_is_a_store_error() -> None:
    """Whatever Google's library raises is mapped."""

    def refuse(message: bytes) -> bytes:
        raise google.auth.exceptions.TransportError("https://iam/?token=sesame")

    with pytest.raises(StoreUnreachableError) as caught:
        RsaSigner(READER, refuse).sign("20260701T000000Z", b"x")
    assert "sesame" not in str(caught.value)
