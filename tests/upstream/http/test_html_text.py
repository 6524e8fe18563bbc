from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.profile.fetch import Html
from gateway.upstream.http.html_text import NotHtml, html_as

PAGE = """<!doctype html><html><head><title>T</title><style>p { color: red }</style></head><body>
<nav><a href="/">home</a></nav>
<main><h1>Tom &amp; Jerry</h1><p>See <a href="/x?a=1&amp;b=2">this</a>.<script>evil()</script> é</p>
<pre><code class="language-js">let x = a_b
</code></pre><table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table></main></body></html>"""


def made(html: str, limit: int = 16_000_000, **section: Any) -> str:
    return html_as(html.encode(), Html.model_validate(section), limit).decode()


def test_markdown() -> None:
    """The selected part, without scripts, with links, code and tables."""
    assert made(PAGE, select="main") == (
        "# Tom & Jerry\n\nSee [this](/x?a=1&b=2). é\n\n```js\nlet x = a_b\n```\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    )


def test_what_is_dropped() -> None:
    """The whole body but for what the profile leaves out; the text behind it stays."""
    text = made("<body><nav>n</nav>before<aside>x</aside>after<p>p", drop=["nav", "aside"], to="text")
    assert text.split() == ["beforeafter", "p"]


def test_elements() -> None:
    """Data for JMESPath: name, attributes and text of each element, in the document's order."""
    assert orjson.loads(made(PAGE, select="a[href], th", to="elements")) == [
        {"tag": "a", "attributes": {"href": "/"}, "text": "home"},
        {"tag": "a", "attributes": {"href": "/x?a=1&b=2"}, "text": "this"},
        {"tag": "th", "attributes": {}, "text": "a"},
        {"tag": "th", "attributes": {}, "text": "b"},
    ]
    assert orjson.loads(made(PAGE, select="video", to="elements")) == []


def test_parts_within_each_other_are_told_once() -> None:
    """A selector that finds an element and what it holds does not double the text."""
    assert made("<div>a<div>b</div></div>", select="div").split() == ["a", "b"]


@pytest.mark.parametrize(
    ("html", "reason"),
    [
        (PAGE, "it has nothing that html.select selects"),
        ("", "it has no elements"),
        ("<!-- only a comment", "it has no elements"),
        ("<div>" * 100_000, "its elements are more than 200 deep"),
        ("<blockquote>x" * 5_000, "its elements are more than 200 deep"),
        ("<b>" * 100_000, "its elements are more than 200 deep"),
        ("<p>x</p>" * 200_001, "it has more than 200000 elements"),
        (f"<a {' '.join(f'x{i}=1' for i in range(300_000))}>", "an element has more than 1000 attributes"),
    ],
    ids=["select", "empty", "comment", "div", "quote", "b", "many", "attributes"],
)
@pytest.mark.timeout(20)
def test_what_is_refused(html: str, reason: str) -> None:
    """What would take quadratic time, or memory in multiples of its size, is refused at once."""
    with pytest.raises(NotHtml) as refused:
        made(html, select="video")
    assert str(refused.value).startswith(reason)


def test_output_is_bounded() -> None:
    """Elements within each other repeat their text: what is made is never larger than an answer may be."""
    html = "<div>" * 190 + "x" * 1_000
    with pytest.raises(NotHtml, match="larger than the answer may be"):
        made(html, 100_000, select="div", to="elements")
    with pytest.raises(NotHtml, match="larger than the answer may be"):
        made("<p>" + "x" * 2_000, 1_000, select="p")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(["<div>", "</div>", "<p", " x=1>", "<table>", "<td>", "<script>", "&amp;", "<!--", "é", "\0"])
    ),
    st.sampled_from(["markdown", "text", "elements"]),
)
def test_any_page(pieces: list[str], to: str) -> None:
    """UTF-8, or NotHtml."""
    try:
        made("".join(pieces), to=to)
    except NotHtml:
        return
