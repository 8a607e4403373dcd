"""Nothing secret gets into the report on a preview, not even what became a secret only now."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from scripts.preview import report
from scripts.preview.secrecy import WORDS
from tests.unit.preview_kit import judged, preview, step

SECRET = "hunter2 & friends/+=?<b>é"
PLACES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "became secret": ({"old": {"a": SECRET}, "new": {"a": "[secret]"}}, {}),
    "was secret": ({"old": {"a": "[secret]"}, "new": {"a": SECRET}}, {}),
    "deep": ({"old": {"a": {"b": {"c": SECRET}}}, "new": {"a": {"b": {"c": "[secret]"}}}}, {}),
    "became secret as a whole": ({"old": {"a": {"b": [SECRET]}}, "new": {"a": "[secret]"}}, {}),
    "in a list": ({"old": {"a": [SECRET, "x"]}, "new": {"a": ["[secret]", "y"]}}, {}),
    "in JSON": ({"old": {"a": json.dumps({"b": SECRET})}, "new": {"a": json.dumps({"b": "[secret]"})}}, {}),
    "output": ({"old": {"a": SECRET}, "new": {"a": "new" + SECRET}, "new_outputs": {"a": "[secret]"}}, {}),
    "by its name": ({"old": {"password": SECRET}, "new": {"password": "x" + SECRET}}, {}),
    "elsewhere": ({"old": {"url": f"db://{SECRET}@h", "p": SECRET}, "new": {"url": "db://", "p": "[secret]"}}, {}),
    "as a key": ({"old": {"p": SECRET}, "new": {"p": "[secret]", SECRET: "x"}}, {}),
    "in base64": (
        {"old": {"u": base64.b64encode(f"ab:{SECRET}".encode()).decode(), "p": SECRET}, "new": {"p": "[secret]"}},
        {},
    ),
    "in a URL": ({"old": {"u": f"http://h/?q={quote(SECRET)}", "p": SECRET}, "new": {"p": "[secret]"}}, {}),
    "configuration": ({"old": {"a": "b"}, "new": {"a": SECRET}}, {"p:token": SECRET}),
    "JSON configuration": (
        {"old": {"a": "b"}, "new": {"a": SECRET}},
        {"recordings:writerExternal": json.dumps({"secretAccessKey": SECRET})},
    ),
    "in the other form of a secret": (
        {
            "old": {"a": SECRET},
            "new": {"a": {"4dabf18193072939515e22adb298388d": "x", "plaintext": json.dumps(SECRET)}},
        },
        {},
    ),
    "private key": ({"old": {"a": "b"}, "new": {"a": f"-----BEGIN PRIVATE KEY-----{SECRET}"}}, {}),
    "presigned": ({"old": {"a": "b"}, "new": {"a": f"https://h/k?X-Amz-Signature={SECRET}"}}, {}),
}


def forms(secret: str) -> list[str]:
    encoded = [base64.b64encode(text.encode()).decode().rstrip("=")[:-1] for text in (secret,)]
    return [secret, *encoded, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1]]


def assert_hidden(raw: dict[str, Any], secret: str) -> None:
    """In no form of the report, whatever the characters were escaped to."""
    found = judged(raw)
    plain = MarkdownIt("commonmark").enable("table").render(report.markdown(found))
    for text in (
        report.markdown(found),
        plain,
        json.dumps(report.data(found)),
        json.dumps(report.data(found), ensure_ascii=False),
    ):
        for form in forms(secret):
            assert form not in text


@pytest.mark.parametrize("place", PLACES)
def test_secret_is_not_shown(place: str) -> None:
    """Neither in clear nor encoded, on neither side, although one side of the preview has it in clear."""
    sides, config = PLACES[place]
    raw = preview(
        step(**sides), step("create", SECRET if place == "became secret" else "other", new={"a": "b"}), **config
    )
    raw["diagnostics"] = [{"severity": "error", "message": f"cannot do it: {SECRET}"}] if place == "was secret" else []
    assert_hidden(raw, SECRET)


@given(
    secret=st.text(st.characters(blacklist_categories=["Cs"]), min_size=6, max_size=40).filter(
        lambda text: len(set(text)) > 4 and text.casefold() not in WORDS
    ),
    way=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3),
    outputs=st.booleans(),
    first=st.booleans(),
)
def test_any_secret_in_any_place_is_hidden(secret: str, way: list[str], outputs: bool, first: bool) -> None:
    """Masked on one of the four sides is masked on all, and wherever else the same text stands."""

    def at(value: str) -> dict[str, Any]:
        for key in reversed(way):
            value = {key: value}  # type: ignore[assignment]
        return value  # type: ignore[return-value]

    sides: dict[str, Any] = (
        {"old": at(secret), "new": at(secret + "!")} if outputs else {"old": at(secret), "new": at("[secret]")}
    )
    if outputs:
        sides["new_outputs"] = at("[secret]")
    other = step(name="other", old={"note": "none"}, new={"note": f"it is {secret}"})
    raw = preview(*([step(**sides), other] if first else [other, step(**sides)]))
    for resource in judged(raw).resources:
        for change in resource.changes:
            assert secret not in f"{change.path}{change.before}{change.after}"


def test_short_secret_is_hidden_at_its_place() -> None:
    """Too short to be looked for everywhere, it is still not shown where it stands, whichever side is masked."""
    masked = {"pin": {"inner": "[secret]"}}
    raw = preview(step(old={"pin": {"inner": "q7"}}, new={"pin": {"inner": "z9"}}, new_outputs=masked))
    (found,) = judged(raw).resources
    assert [(item.before, item.after) for item in found.changes] == [("[secret]", "[secret]")]


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_secret_within_encoded_text_is_hidden(before: str) -> None:
    """Base64 looks different for each of three places in which a secret can begin."""
    encoded = base64.b64encode(f"{before}{SECRET}:more".encode()).decode()
    raw = preview(step(old={"p": SECRET, "header": "x"}, new={"p": "[secret]", "header": f"Basic {encoded}"}))
    assert encoded[4:-8] not in report.markdown(judged(raw))


def test_changed_secret_is_told_without_its_value() -> None:
    """Both sides are masked and look the same; that it changes is told nevertheless."""
    changed = step(old={"p": "[secret]"}, new={"p": "[secret]"}) | {"diffReasons": ["p"]}
    (found,) = judged(preview(changed)).resources
    assert [(item.path, item.before, item.after) for item in found.changes] == [("p", "[secret]", "[secret]")]
