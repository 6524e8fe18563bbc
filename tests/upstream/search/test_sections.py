from __future__ import annotations

import orjson
import pytest

from gateway.upstream.search.sections import Section, text_of

MARKDOWN = """
Some words before.

# Button

A button, with a [link](https://example.org) and `code`.

## Props

### Button Props

| Prop | Default |
|------|---------|
| `type` | `default` |

```html
<var-button />
```

## Events ##

- one
- two
"""


def test_markdown() -> None:
    """What stands under each heading, as text; the first heading is the title, and headings alone are no sections."""
    text = text_of(MARKDOWN, "text/markdown")
    assert text.title == "Button"
    assert text.sections == [
        Section((), "Some words before."),
        Section((), "A button, with a link and code."),
        Section(("Props", "Button Props"), "Prop | Default\ntype | default", "<var-button />"),
        Section(("Events",), "one\ntwo"),
    ]


def test_html() -> None:
    """The same for a page; what nobody sees is not there."""
    page = """<html><head><title>x</title><style>p { color: red }</style></head><body>
    <h1>Big &amp; <b>bold</b></h1><p>First<br>line</p><script>alert()</script>
    <h2>Code</h2><pre>let x = 1</pre></body>"""
    text = text_of(page, "text/html")
    assert text.title == "Big & bold"
    assert text.sections == [Section((), "First\nline"), Section(("Code",), "", "let x = 1")]


def test_json_and_plain_text() -> None:
    """Every text in a JSON document, in order; any other text is one section."""
    body = orjson.dumps({"b": ["one", {"c": "two"}], "a": 3, "d": "three"}).decode()
    assert text_of(body, "application/json").sections == [Section((), "one\ntwo\nthree")]
    assert text_of("{", "application/json").sections == [Section((), "{")]
    assert text_of("# not Markdown", "text/plain").sections == [Section((), "# not Markdown")]


def test_a_document_with_nothing_in_it() -> None:
    """Has its title still."""
    assert text_of("# Only a title", "text/markdown").sections == [Section(())]
    assert text_of("", "text/markdown").sections == [Section(())]


def test_long_sections_are_cut() -> None:
    """At the end of a line; nothing is lost."""
    text = text_of("# T\n\n" + "\n\n".join(f"line {number} of many" for number in range(1000)), "text/markdown")
    assert len(text.sections) > 3
    assert all(len(section.body) <= 4000 for section in text.sections)
    assert "\n".join(section.body.strip() for section in text.sections).count("of many") == 1000


@pytest.mark.parametrize(
    ("body", "media_type"),
    [
        ("[" * 50_000, "text/markdown"),
        ("> " * 20_000 + "x", "text/markdown"),
        ("*a_ " * 20_000, "text/markdown"),
        ("<" * 200_000, "text/html"),
        ("<div>" * 50_000, "text/html"),
        ("<!--" * 50_000, "text/html"),
        ("<script>" * 50_000, "text/html"),
        ("<a " * 50_000, "text/html"),
        ("&" * 200_000, "text/html"),
        ("x" * 3_000_000, "text/markdown"),
        ("[" * 1000 + "]" * 1000, "application/json"),
    ],
)
@pytest.mark.timeout(60)
def test_hostile_documents(body: str, media_type: str) -> None:
    """Deep, long or unclosed: read in bounded time, never an error."""
    assert text_of(body, media_type).sections
