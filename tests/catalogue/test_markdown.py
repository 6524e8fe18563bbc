from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.markdown import code_blocks, section, sections


def codes(text: str) -> list[tuple[str, str, str]]:
    return [(block["title"], block["language"], block["code"]) for block in code_blocks(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("# A\n```html\n<b/>\n```\n", [("A", "html", "<b/>")]),
        ("```\nx\n```", [("", "", "x")]),
        ("# A\n~~~js\n```\n~~~\n", [("A", "js", "```")]),
        ("# A\n````md\n```js\nx\n```\n````\n", [("A", "md", "```js\nx\n```")]),
        ("A\n===\n```\nx\n```\nB\n---\n```\ny\n```\n", [("A", "", "x"), ("B", "", "y")]),
        ("# A\r\n```js\r\nx\r\ny\r\n```\r\n", [("A", "js", "x\ny")]),
        ("# A\n```js\nx\ny", [("A", "js", "x\ny")]),
        ("# A\n- one\n  ```js\n  x\n    y\n  ```\n", [("A", "js", "x\n  y")]),
        ("> # A\n> ```js\n> x\n> ```\n", [("A", "js", "x")]),
        ('# A\n```js {1,3} title="b"\nx\n```\n', [("A", "js", "x")]),
        ("# A\n```js\n# no heading\n```\n## B #\n```js\n\n```\n", [("A", "js", "# no heading"), ("B", "js", "")]),
        ("# A\n\n    indented\n", []),
        ("# `a` *b*\n```\nx\n```", [("`a` *b*", "", "x")]),
        ("", []),
    ],
    ids=[
        "plain",
        "no heading",
        "tildes",
        "longer fence",
        "setext",
        "CRLF",
        "no end",
        "in a list",
        "in a quote",
        "more about it",
        "hash in code",
        "indented is no fence",
        "source of the title",
        "empty",
    ],
)
def test_code_blocks(text: str, expected: list[tuple[str, str, str]]) -> None:
    """Fenced blocks are found as CommonMark has them, under the heading before them."""
    assert codes(text) == expected


def test_sections() -> None:
    """A section goes on until the next heading of its own or a higher level."""
    text = "intro\n\n# A\na\n## B\nb\n### C\nc\n## D\nd\n# E\n"
    found = {one["title"]: one["text"] for one in sections(text)}
    assert found["A"] == "# A\na\n## B\nb\n### C\nc\n## D\nd"
    assert found["B"] == "## B\nb\n### C\nc"
    assert found["C"] == "### C\nc"
    assert found["E"] == "# E"
    assert [one["level"] for one in sections(text)] == [1, 2, 3, 2, 1]


def test_sections_of_odd_lines() -> None:
    """Separators that Python takes for line ends and CommonMark does not leave the sections where they are."""
    text = "# A\nx\x0cy\u2028z\x85\n\n# B\nb\n"
    assert [one["text"] for one in sections(text)] == ["# A\nx\x0cy\u2028z", "# B\nb"]


def test_section_by_title() -> None:
    """A section is found by its title in any case; the first of several; null for none."""
    text = "## Props\na\n## Events\nb\n## props\nc\n"
    assert section(text, " PROPS ") == "## Props\na"
    assert section(text, "Slots") is None


@given(st.text(alphabet="#`~-=> \n\r\tab1.*_[]()<>\\", max_size=200))
def test_any_text_is_markdown(text: str) -> None:
    """No text is refused, and what is found comes from it."""
    for block in code_blocks(text):
        assert isinstance(block["code"], str)
    for one in sections(text):
        assert 1 <= one["level"] <= 6
