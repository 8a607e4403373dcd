"""The operator's AWS login and addresses come from files and variables of others: what is wrong there is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from recordings.adoption.survey import Surveyor
from recordings.errors import CredentialsError, StoreError


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment with nothing of AWS' but empty files."""
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        (tmp_path / name).touch()
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_profile_that_is_not_there_is_named(login: pytest.MonkeyPatch) -> None:
    """A mistyped AWS_PROFILE is an error of ours, so that a table of many checks goes on without the operator."""
    login.setenv("AWS_PROFILE", "mistyped")
    with pytest.raises(CredentialsError, match="mistyped"):
        Surveyor("us-east-1")


def test_login_file_that_cannot_be_read_is_named(login: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So is a file that is no AWS configuration."""
    (tmp_path / "AWS_CONFIG_FILE").write_text("[default\nx")
    with pytest.raises(CredentialsError, match="AWS_CONFIG_FILE"):
        Surveyor("us-east-1")


@pytest.mark.parametrize("ask", [Surveyor.account, lambda s: s.user("u"), lambda s: s.access_keys("u")])
def test_address_that_is_none_is_told(login: pytest.MonkeyPatch, ask: object) -> None:
    """botocore has a bare ValueError for it."""
    for service in ("STS", "IAM"):
        login.setenv(f"AWS_ENDPOINT_URL_{service}", "nonsense")
    login.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false")
    assert callable(ask)
    with pytest.raises(StoreError, match="AWS_ENDPOINT_URL"):
        ask(Surveyor("us-east-1"))
