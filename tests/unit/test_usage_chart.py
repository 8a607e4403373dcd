"""The chart of usage: true to the numbers, well-formed whatever names come, readable by people and by readers."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordings.usage import chart as module
from recordings.usage.chart import MOST_MONTHS, chart
from recordings.usage.spool import Sum

SVG = "{http://www.w3.org/2000/svg}"


def sums(amounts: dict[tuple[str, str], int]) -> list[Sum]:
    return [Sum(names, 1, 0, octets, 0.0) for names, octets in amounts.items()]


def drawn(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text)  # noqa: S314 - our own


def heights(picture: ElementTree.Element) -> list[float]:
    """Of each column, what its parts are high together."""
    groups = picture.findall(f"{SVG}g")
    return [sum(float(part.attrib["height"]) for part in group.findall(f"{SVG}rect")) for group in groups]


MONTHS = st.builds("{:04}-{:02}".format, st.integers(2024, 2027), st.integers(1, 12))
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff"), max_size=12)


@given(st.dictionaries(st.tuples(MONTHS, NAMES), st.integers(0, 10**16), max_size=30), NAMES)
def test_any_usage_is_drawn(amounts: dict[tuple[str, str], int], title: str) -> None:
    """Well-formed, inside of its frame, with as many columns as there are months from the first to the last."""
    picture = drawn(chart(title, sums(amounts), "note"))
    months = sorted({month for month, _ in amounts})
    span = 0
    if months:
        years, rest = int(months[-1][:4]) - int(months[0][:4]), int(months[-1][5:]) - int(months[0][5:])
        span = min(12 * years + rest + 1, MOST_MONTHS)
    assert len(heights(picture)) == span
    assert all(0 <= height <= 276.5 for height in heights(picture))


def test_columns_are_as_high_as_their_bytes() -> None:
    """Twice the bytes, twice the height; a month with nothing is there, and empty."""
    picture = drawn(chart("t", sums({("2026-01", "a"): 10**9, ("2026-03", "a"): 10**9, ("2026-03", "b"): 10**9}), "n"))
    first, second, third = heights(picture)
    assert second == 0
    assert third == pytest.approx(2 * first, abs=0.2)


def test_it_says_in_words_what_it_shows() -> None:
    """Title and description for who cannot see it, numbers for who points at a column; a hostile name is only text."""
    text = chart("<script>x</script>", sums({("2026-01", "<b>"): 1500, ("2026-01", "chat"): 500}), "2 objects")
    picture = drawn(text)
    assert (picture.attrib["role"], picture.attrib["aria-labelledby"]) == ("img", "title desc")
    title, description = picture.find(f"{SVG}title"), picture.find(f"{SVG}desc")
    assert title is not None
    assert title.text == "<script>x</script>"
    assert description is not None
    assert "2026-01 2.0 kB" in (description.text or "")
    assert [found.text for found in picture.findall(f"{SVG}g/{SVG}title")] == [
        "2026-01: 2.0 kB (<b> 1.5 kB, chat 500 B)"
    ]
    assert not picture.findall(f".//{SVG}script")
    assert not picture.findall(f".//{SVG}b")


def test_many_kinds_and_months_are_folded_and_said() -> None:
    """Eight colours at most, the smallest kinds as one; months beyond the picture are said to be left out."""
    amounts = {(f"{2020 + n // 12}-{n % 12 + 1:02}", f"kind{k:02}"): 100 + 50 - k for n in range(48) for k in range(12)}
    picture = drawn(chart("t", sums(amounts), "n"))
    names = [text.text for text in picture.findall(f"{SVG}text")]
    assert "all others" in names
    assert len(picture.findall(f"{SVG}rect")) == 8
    assert any("the 12 months before are not shown" in (name or "") for name in names)
    assert heights(picture)[0] == pytest.approx(heights(picture)[-1])


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = "".join(2 * char for char in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_enough_in_light_and_dark() -> None:
    """WCAG 2.2: 4.5 for text, 3 for shapes; the dark scheme lightens shapes."""
    light, dark = module._STYLE.split("@media")
    for style, background in ((light, "#fff"), (dark, "#161b22")):
        texts = re.findall(r"(?:text|\.s)\{[^}]*fill:(#[0-9a-f]+)", style)
        assert len(texts) == 2
        assert all(contrast(text, background) >= 4.5 for text in texts)
    assert all(contrast(colour, "#fff") >= 3 for colour in module._COLOURS)
    assert "brightness(1.35)" in dark
    for colour in module._COLOURS:
        channels = [min(255, round(int(colour[at : at + 2], 16) * 1.35)) for at in (1, 3, 5)]
        assert contrast("#" + "".join(f"{channel:02x}" for channel in channels), "#161b22") >= 3, colour
