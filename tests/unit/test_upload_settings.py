"""`recording.upload` in a settings document: put in, compared, taken back, shown without its secrets."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from recordings.errors import HmsError
from recordings.outputs import StorageProvider
from recordings.upload_settings import (
    Upload,
    check_form,
    diff_lines,
    differences,
    is_masked,
    is_restorable,
    is_same,
    points_at,
    upload_of,
    with_original,
    with_upload,
)
from tests.unit.hms_fake import foreign_settings, stack_outputs, stored, unset_settings

WANTED = Upload("s3", "our-bucket", "recordings", "eu-central-1", "AKIAOURS", SecretStr("secret-of-ours"))
TEXT = st.text(max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
UNKNOWN = st.dictionaries(st.text("uvwxyz", min_size=1, max_size=5), JSON, max_size=4)
SECRETS = st.text("abcdefgABCDEFG0123456789/+", min_size=20, max_size=40)


@st.composite
def uploads(draw: st.DrawFn) -> dict[str, Any]:
    secret_name = draw(st.sampled_from(["secret", "secretKey"]))
    return {
        **draw(UNKNOWN),
        "type": draw(st.sampled_from(["s3", "gs", "oss", "azure"])),
        "location": draw(TEXT),
        **draw(st.fixed_dictionaries({}, optional={"prefix": TEXT | st.none()})),
        "options": draw(st.none() | UNKNOWN.map(lambda more: {"region": "x", **more})),
        "credentials": {"key": draw(TEXT), secret_name: draw(SECRETS), **draw(UNKNOWN)},
    }


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Settings documents as 100ms might have them: anything unknown at every level."""
    upload = draw(st.sampled_from([{}, {"upload": None}]) | uploads().map(lambda upload: {"upload": upload}))
    recording = draw(st.none() | UNKNOWN.map(lambda more: {**more, **upload}))
    document = draw(UNKNOWN)
    return document if draw(st.booleans()) and recording is None else {**document, "recording": recording}


def without_upload(settings: dict[str, Any]) -> dict[str, Any]:
    rest = copy.deepcopy(settings)
    recording = rest.pop("recording", None) or {}
    upload = recording.pop("upload", None) or {}
    for known in ("type", "location", "prefix", "credentials"):
        upload.pop(known, None)
    options = upload.pop("options", None) or {}
    options.pop("region", None)
    return {"top": rest, "recording": recording, "upload": upload, "options": options}


@given(documents())
def test_with_upload_changes_the_upload_alone(settings: dict[str, Any]) -> None:
    """Every unknown field survives at every level, and the document that was read is not touched."""
    before = copy.deepcopy(settings)
    changed = with_upload(settings, WANTED)
    assert settings == before
    assert without_upload(changed) == without_upload(before)
    assert differences(changed, WANTED) == []
    assert points_at(changed, WANTED)


@given(documents())
def test_with_upload_twice_is_once(settings: dict[str, Any]) -> None:
    """Registering again changes nothing, whichever name the answer gives the secret."""
    once = stored(with_upload(settings, WANTED))
    assert is_same(once, with_upload(once, WANTED))
    assert diff_lines(once, with_upload(once, WANTED)) == []


@given(documents())
def test_with_upload_leaves_nothing_of_the_old_key(settings: dict[str, Any]) -> None:
    """The credentials are ours and nothing else."""
    credentials = with_upload(settings, WANTED)["recording"]["upload"]["credentials"]
    assert credentials == {"key": "AKIAOURS", "secretKey": "secret-of-ours"}


@given(documents())
def test_with_original_undoes_with_upload(settings: dict[str, Any]) -> None:
    """What was there before is there again, null and absent included."""
    registered = stored(with_upload(settings, WANTED))
    restored = with_original(registered, settings)
    assert is_same(restored, settings)
    assert stored(restored).get("recording", "absent") == stored(settings).get("recording", "absent")


@given(documents(), UNKNOWN)
def test_with_original_keeps_what_changed_since(settings: dict[str, Any], since: dict[str, Any]) -> None:
    """Other fields that somebody set after the registration are kept."""
    registered = {**stored(with_upload(settings, WANTED)), **since}
    rest = {name: value for name, value in with_original(registered, settings).items() if name != "recording"}
    assert rest == {name: value for name, value in registered.items() if name != "recording"}


@given(documents(), documents())
def test_is_same_sees_every_other_change(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two documents are the same only if they are equal as 100ms keeps them, null, empty and absent alike."""

    def canonical(settings: dict[str, Any]) -> dict[str, Any]:
        kept = stored(settings)
        recording = kept["recording"] = kept.get("recording") or {}
        upload = recording["upload"] = recording.get("upload") or {}
        upload["credentials"] = upload.get("credentials") or {}
        return kept

    assert is_same(one, other) == (canonical(one) == canonical(other))


def test_with_original_sends_the_secret_under_its_one_name() -> None:
    """100ms takes `secretKey`; the name that it answered with does not go along."""
    sent = with_original(with_upload(foreign_settings(), WANTED), foreign_settings())
    assert sent["recording"]["upload"]["credentials"] == {"key": "AKIATHEIRS", "secretKey": "secret-of-theirs"}


def test_is_same_compares_secrets_that_are_shown() -> None:
    """A secret alone makes a difference, unless one of the answers masks it."""
    one, other, masked = foreign_settings(), foreign_settings(), foreign_settings()
    other["recording"]["upload"]["credentials"]["secret"] = "another"
    masked["recording"]["upload"]["credentials"]["secret"] = "****"
    assert [is_same(one, other), is_same(one, masked), is_same(masked, other)] == [False, True, True]


@given(documents())
def test_diff_lines_show_no_secret(settings: dict[str, Any]) -> None:
    """No secret is in a diff, neither the old one nor the new one, nor anything that we do not know."""
    lines = "\n".join(diff_lines(settings, with_upload(settings, WANTED)))
    credentials = (upload_of(settings) or {}).get("credentials") or {}
    for secret in ("secret-of-ours", credentials.get("secret"), credentials.get("secretKey")):
        assert not secret or secret not in lines


def test_diff_lines_of_a_move() -> None:
    """The diff says by property what changes, in order, and that a secret changes."""
    before = foreign_settings()
    assert diff_lines(before, with_upload(before, WANTED)) == [
        "~ recording.upload.credentials.key: 'AKIATHEIRS' => 'AKIAOURS'",
        "~ recording.upload.credentials.secret: [secret] => [secret]",
        "~ recording.upload.location: 'their-bucket' => 'our-bucket'",
        "~ recording.upload.options.region: 'us-west-2' => 'eu-central-1'",
        "~ recording.upload.prefix: 'their/prefix' => 'recordings'",
    ]


def test_diff_lines_of_a_first_registration() -> None:
    """Where nothing was set, every property is new."""
    before = unset_settings()
    assert [line[0] for line in diff_lines(before, with_upload(before, WANTED))] == ["+"] * 6


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("type",), "gs", ["type"]),
        (("location",), "other", ["location"]),
        (("prefix",), "recordings/", ["prefix"]),
        (("prefix",), None, ["prefix"]),
        (("options",), None, ["options.region"]),
        (("options", "region"), "us-east-1", ["options.region"]),
        (("credentials", "key"), "AKIAOLD", ["credentials.key"]),
        (("credentials", "secret"), "another", ["credentials.secret"]),
        (("credentials",), None, ["credentials.key"]),
        (("credentials", "secret"), "*****", []),
        (("unknown",), 1, []),
    ],
)
def test_differences_name_the_property(path: tuple[str, ...], value: Any, named: list[str]) -> None:
    """Each property is compared; masked secrets, unknown fields and `retry` are not."""
    settings = {**stored(with_upload(unset_settings(), WANTED)), "retry": {}}
    node = settings["recording"]["upload"]
    for step in path[:-1]:
        node = node[step]
    node[path[-1]] = value
    assert differences(settings, WANTED) == named


def test_differences_of_nothing() -> None:
    """A template that 100ms stores itself differs in everything."""
    assert set(differences({"recording": None}, WANTED)) >= {"type", "location", "options.region", "credentials.key"}


@pytest.mark.parametrize(("prefix", "sent"), [("recordings/", "recordings"), ("a/b/", "a/b"), ("", "")])
def test_upload_from_outputs_prefix(prefix: str, sent: str) -> None:
    """`<prefix>/beam/…` must come out as pathPrefix followed by `beam/…`, with no doubled slash."""
    upload = Upload.from_outputs(stack_outputs(pathPrefix=prefix))
    assert upload.prefix == sent
    assert f"{upload.prefix}/beam/room".lstrip("/") == f"{prefix}beam/room"


def test_upload_has_the_type_that_100ms_has_for_the_provider() -> None:
    """Each provider of the stack outputs has its own name at 100ms."""
    types = {p: Upload.from_outputs(stack_outputs(storageProvider=p.value)).type for p in StorageProvider}
    assert types == {StorageProvider.S3: "s3", StorageProvider.GCS: "gs"}


def test_upload_hides_its_secret() -> None:
    """No representation of an upload holds the secret."""
    assert "secret-of-ours" not in repr(WANTED) + str(WANTED)


@pytest.mark.parametrize("secret", ["", "****", "AKIA****", "••••", "xxxxxxxx", "XXXX", "..."])
def test_is_masked(secret: str) -> None:
    """What an answer shows instead of a secret is known as such."""
    assert is_masked(secret)


@given(SECRETS)
def test_is_masked_never_takes_a_secret_for_a_mask(secret: str) -> None:
    """Secrets of the providers are letters, digits, `/` and `+`."""
    assert not is_masked(secret)


@pytest.mark.parametrize(("mask", "restorable"), [("secret", True), ("****", False), ("", False)])
def test_is_restorable(mask: str, restorable: bool) -> None:
    """Settings whose secret is not shown cannot be put back; those without credentials can."""
    settings = foreign_settings()
    settings["recording"]["upload"]["credentials"]["secret"] = mask
    assert is_restorable(settings) is restorable
    assert is_restorable(unset_settings())


@pytest.mark.parametrize(
    "settings",
    [
        {"recording": []},
        {"recording": "x"},
        {"recording": {"upload": 1}},
        {"recording": {"upload": {"credentials": ["canary"]}}},
        {"recording": {"upload": {"options": "canary"}}},
        {"recording": {"upload": {"options": [], "credentials": None}}},
    ],
)
def test_check_form_refuses(settings: dict[str, Any]) -> None:
    """An answer of another form is named, and not quoted."""
    with pytest.raises(HmsError, match="recording") as caught:
        check_form(settings)
    assert "canary" not in str(caught.value)


@given(documents())
def test_check_form_takes_what_is_documented(settings: dict[str, Any]) -> None:
    """Null, absent and unknown fields are all fine."""
    check_form(settings)
