from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.markdown import changelog, code_blocks, passages, plain, section, sections, tables


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
    assert section("## [`Slots`](#slots)\nd\n", "slots") == "## [`Slots`](#slots)\nd"


TABLE = """
## Props

| Prop | **Type** | Default |
|:-----|:--------:|--------:|
| `type` | `a \\| b` | _none_ |
| [size](#size) | Array<T> &lt;x&gt; | one<br>two | too many |
| ![icon](i.svg) |
"""


def test_tables() -> None:
    """Rows are records of plain texts by column, under the heading before the table; short rows are filled up."""
    assert tables(TABLE) == [
        {
            "title": "Props",
            "columns": ["Prop", "Type", "Default"],
            "rows": [
                {"Prop": "type", "Type": "a | b", "Default": "none"},
                {"Prop": "size", "Type": "Array<T> <x>", "Default": "one\ntwo"},
                {"Prop": "icon", "Type": "", "Default": ""},
            ],
        }
    ]


def test_columns_that_share_a_name_or_have_none() -> None:
    """Nothing is lost: a name that comes again is numbered, a column without one is called by its number."""
    (table,) = tables("| a | | a | a 2 | a |\n|---|---|---|---|---|\n| 1 | 2 | 3 | 4 | 5 |\n")
    assert table["columns"] == ["a", "2", "a 2", "a 2 2", "a 3"]
    assert list(table["rows"][0].values()) == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("text", ["| a |\n| b |\n", "```\n| a |\n|---|\n```\n", "a\n", ""])
def test_what_is_no_table(text: str) -> None:
    """Pipes alone make no table, nor does code."""
    assert tables(text) == []


def test_changelog() -> None:
    """A heading of any level that names a version begins a release, and the next one ends it."""
    text = """# Changes
## [2.0.1](https://example.org/compare/v2.0.0...v2.0.1) (2026-01-31)
### Fixes
* one 1.0.0
# v2.0.0-beta.1
two
## Unreleased 2.0
"""
    found = changelog(text)
    assert [(one["version"], one["date"]) for one in found] == [("2.0.1", "2026-01-31"), ("2.0.0-beta.1", None)]
    assert found[0]["text"].endswith("### Fixes\n* one 1.0.0")
    assert found[1]["text"] == "# v2.0.0-beta.1\ntwo\n## Unreleased 2.0"


def test_a_very_long_title_stays_as_it_is() -> None:
    """Markup within a line is looked at up to a bound: brackets without end would take quadratic time."""
    assert plain("*a*") == "a"
    assert plain("[" * 100_000) == "[" * 100_000


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"{'#' * (i % 6 + 1)} h{i}\n" for i in range(20_000)),
        ">" * 50_000 + "# a\n",
        "".join("  " * i + "- # a\n" for i in range(500)),
        "|" * 20_000 + "\n" + "|-" * 20_000 + "|\n" + "a\n" * 2_000,
        "|a|b|\n" * 20_000,
        "# " + "[" * 4_000 + "\n" + "| " + "*a " * 1_000 + "|\n|-|\n",
        "```\n" * 20_000,
        "<a\n" * 20_000,
    ],
    ids=["headings", "quotes", "lists", "columns", "rows", "brackets", "fences", "tags"],
)
def test_hostile_markdown(text: str) -> None:
    """Many, deep and wide: all of it is read, in time that the test's own bound sees to."""
    for parse in (sections, code_blocks, tables, changelog):
        assert isinstance(parse(text), list)


@given(st.text(alphabet="#`~-=> \n\r\tab1.*_[]()<>\\|:", max_size=200))
def test_any_text_is_markdown(text: str) -> None:
    """No text is refused, and what is found comes from it."""
    for block in code_blocks(text):
        assert isinstance(block["code"], str)
    for table in tables(text):
        assert all(list(row) == table["columns"] for row in table["rows"])
    for one in sections(text):
        assert 1 <= one["level"] <= 6


def test_passages() -> None:
    """The text cut at every heading, and nothing twice; what stands first may have none."""
    text = "Intro\n\n# A\none\n## B\n\n```\n# no heading\n```\n# C"
    assert passages(text) == [
        {"title": "", "level": 0, "text": "Intro\n"},
        {"title": "A", "level": 1, "text": "# A\none"},
        {"title": "B", "level": 2, "text": "## B\n\n```\n# no heading\n```"},
        {"title": "C", "level": 1, "text": "# C"},
    ]
    assert "\n".join(piece["text"] for piece in passages(text)) == text
    assert passages("") == passages("\n \n") == []
    assert [piece["title"] for piece in passages("# A")] == ["A"]
