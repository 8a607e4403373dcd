"""What a pull request names its things stays text in the report on its preview, and the report fits into a comment."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from scripts.preview import report
from tests.unit.preview_kit import preview, step, told

HOSTILE = [
    "x | y | z",
    "`code` ``` fence",
    "</code></td></table><img src=x onerror=alert(1)>",
    "@octocat and @acme/team",
    "fixes #1, acme/repo#2, https://evil.example/?a=b www.evil.example me@evil.example",
    "[click](https://evil.example) ![i](https://evil.example/i.png) <https://evil.example>",
    "line\n\n# heading\n| a | b |\n| --- | --- |\n- [x] done\r\n</details>",
    "**bold** __u__ ~~s~~ $\\alpha$ :smile: ",
    "\u202egnp.exe \u200b \x00 \x1b[31m \ufeff",
    "&lt;b&gt; &amp; &#64;octocat <!-- comment -->",
    "\\",
    "",
    "\ud800",
]
RENDERED = MarkdownIt("commonmark").enable("table")
LEGAL_TAGS = {"p", "strong", "code", "h4", "table", "thead", "tbody", "tr", "th", "td", "details", "summary"}


def cells(text: str) -> int:
    return str(RENDERED.render(text)).count("<td")


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(text: str) -> None:
    """A name, key or value can neither end its cell, nor make a tag, a link, a mention or a heading."""
    harmless = preview(step(name="name", old={"key": "old", "list": ["item"]}, new={"key": "new", "list": []}))
    hostile = preview(
        step(name=f"n{text}", old={f"k{text}": f"o{text}", "list": [text]}, new={f"k{text}": f"w{text}", "list": []})
    )
    hostile["steps"][0]["replaceReasons"] = harmless["steps"][0]["replaceReasons"] = ["list"]
    for each in (harmless, hostile):
        each["steps"][0]["op"] = "replace"
    markdown = told(hostile)
    rendered = RENDERED.render(markdown)
    assert cells(markdown) == cells(told(harmless))
    assert {line.count("|") for line in markdown.splitlines() if line.startswith("|")} == {4}
    assert set(re.findall(r"</?([a-z0-9]+)", rendered)) <= LEGAL_TAGS
    assert "@" not in re.sub(r"<code>.*?</code>", "", rendered, flags=re.DOTALL)
    assert "<!--" not in markdown
    assert not re.search(r"@|www\.|://|\w#\d|[\x00-\x09\x0b-\x1f\u200b-\u200f\u202a-\u202e\ufeff]", markdown)
    markdown.encode()


@given(st.text(max_size=300))
def test_any_name_and_value_keeps_the_table_whole(text: str) -> None:
    """Whatever a pull request names a thing, the table has the same cells."""
    raw = preview(step(name=text, old={"a": "old"}, new={"a": text, "b": text}))
    if text == "old" or "\x1e" in text:
        return
    assert cells(told(raw)) == 6


def huge(resources: int, properties: int, length: int) -> dict[str, Any]:
    many = {f"key{number:04}": "é@|" * length for number in range(properties)}
    return preview(
        *(step(op, f"{op}{number:04}", **sides) for number in range(resources) for op, sides in
          [("create", {"new": many}), ("update", {"old": {}, "new": many}), ("delete", {"old": many})])
    )  # fmt: skip


def test_report_with_endless_names_fits_and_keeps_its_verdict() -> None:
    """Where even a few rows are too long, verdict and rules are left; a long list of reasons does not get in whole."""
    name = "\u202e" * 1000
    head = "urn:pulumi:dev::p::recordings:index:S3RecordingStorage$aws:s3/bucketPolicy:BucketPolicy::"
    public = json.dumps({"Statement": [{"Effect": "Allow", "Principal": "*", "Action": [name], "Resource": name}]})
    made = [
        {"op": "create", "urn": f"{head}{name}{number}", "newState": {"inputs": {"policy": public}}}
        for number in range(20)
    ]
    markdown = told(preview(*made))
    assert len(markdown) <= report.LONGEST
    assert "Dangerous" in markdown
    assert "- `public-principal`: 20 findings" in markdown
    replaced = step("replace", old={"a": "b"}, new={"a": "c"})
    replaced["replaceReasons"] = [f"{name}{number}" for number in range(500)]
    markdown = told(preview(replaced))
    assert len(markdown) <= report.LONGEST
    assert re.search(r"and \d+ more changes", markdown)


@pytest.mark.parametrize(("resources", "properties", "length"), [(3, 3, 3), (40, 20, 100), (1000, 1, 1), (1, 5000, 1)])
def test_report_fits_into_a_comment(resources: int, properties: int, length: int) -> None:
    """However much changes, the report has room in one comment, tells how much it leaves out, and ends whole."""
    markdown = told(huge(resources, properties, length))
    assert len(markdown.encode()) <= report.LONGEST < 65_536
    assert markdown.count("<details>") == markdown.count("</details>")
    assert markdown.startswith("**🛑 Dangerous**")
    if resources > 3 or properties > 3:
        assert re.search(r"… and \d+ more", markdown)


def test_long_lists_are_folded() -> None:
    """What has many rows is folded; what has few is open."""
    assert "<details>" in told(huge(1, 30, 1))
    assert "<details>" not in told(preview(step(old={"a": "b"}, new={"a": "c"})))
