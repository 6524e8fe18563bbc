from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.functions import words
from gateway.catalogue.select import Selection
from gateway.errors import UpstreamInvalid


def call(name: str, *arguments: str) -> Any:
    """The function called with string values, as an expression calls it."""
    values = {f"a{index}": argument for index, argument in enumerate(arguments)}
    return Selection("test", f"{name}({', '.join(values)})").of(values, {})


@pytest.mark.parametrize("spelling", ["var-button", "VarButton", "var_button", "varButton", "Var Button", "VAR-BUTTON"])
@pytest.mark.parametrize(
    ("function", "expected"),
    [("kebab", "var-button"), ("snake", "var_button"), ("pascal", "VarButton"), ("camel", "varButton")],
)
def test_one_name_in_any_spelling(function: str, expected: str, spelling: str) -> None:
    """Every spelling of a name becomes the one that is asked for."""
    assert call(function, spelling) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("HTTPServer", ["http", "server"]),
        ("col2row", ["col", "2", "row"]),
        ("h1", ["h", "1"]),
        ("按钮Button", ["按钮", "button"]),
        ("", []),
        ("--", []),
        ("\ud800", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    """Words end at case, digits, other scripts and punctuation; acronyms are one word."""
    assert words(text) == expected


@given(st.text())
def test_kebab_and_snake_are_idempotent(text: str) -> None:
    """A name that has its spelling already keeps it: normalised arguments stay what they are."""
    for function in ("kebab", "snake"):
        once = call(function, text)
        assert call(function, once) == once


@given(st.lists(st.from_regex(r"[a-z]{2,8}", fullmatch=True), min_size=1, max_size=4))
def test_spellings_lead_to_each_other(parts: list[str]) -> None:
    """From each spelling of plain words the others can be had."""
    name = "-".join(parts)
    for function in ("pascal", "camel", "snake"):
        assert call("kebab", call(function, name)) == name


@pytest.mark.parametrize(
    ("function", "arguments", "expected"),
    [
        ("lower", ["ÄB"], "äb"),
        ("trim", [" a b\n"], "a b"),
        ("trim_prefix", ["var-button", "var-"], "button"),
        ("trim_prefix", ["button", "var-"], "button"),
        ("trim_suffix", ["a.md", ".md"], "a"),
        ("replace", ["a.b.c", ".", "-"], "a-b-c"),
        ("split", ["a,b", ","], ["a", "b"]),
        ("split", ["a,b", ""], ["a,b"]),
    ],
)
def test_text_functions(function: str, arguments: list[str], expected: Any) -> None:
    """The small functions do what they are called."""
    assert call(function, *arguments) == expected


def test_arg() -> None:
    """`arg` is the argument's value, whatever it is, and null where there is none."""
    arguments = {"a": {"b": [1]}, "text": "a') || @ || ('"}
    assert Selection("test", "arg('a').b[0]").of({}, arguments) == 1
    assert Selection("test", "arg('no')").of({}, arguments) is None
    assert Selection("test", "arg('text')").of({}, arguments) == "a') || @ || ('"


def test_root_and_release() -> None:
    """From within a projection an expression can still see the whole document, and which releases were read."""
    document = {"known": ["a"], "asked": ["a", "b"]}
    assert Selection("test", "asked[?contains(root().known, @)]").of(document, {}) == ["a"]
    assert Selection("test", "[release('old'), release('new')]").of({}, {}, {"old": "1.0.0"}) == ["1.0.0", None]


@pytest.mark.parametrize(
    ("expression", "document", "expected"),
    [
        ("items(@)", {"a": 1, "b": 2}, [{"key": "a", "value": 1}, {"key": "b", "value": 2}]),
        ("from_items(items(@)[?value > `1`])", {"a": 1, "b": 2}, {"b": 2}),
        ("get(@, 'b')", {"a": 1, "b": 2}, 2),
        ("get(@, 'c')", {"a": 1}, None),
        ("take(@, `2`)", [1, 2, 3], [1, 2]),
        ("take(@, `-1`)", [1, 2, 3], []),
        ("take(@, arg('limit'))", [1, 2, 3], [1, 2, 3]),
        ("[].format('{a}:{b}', @)", [{"a": 1}, {"a": "{b}", "b": 2}], ["1:", "{b}:2"]),
        ("plain(@)", "[a](b) **c**", "a c"),
        ("tables(@)[0].rows[0].a", "|a|\n|-|\n|1|\n", "1"),
        ("changelog(@)[].version", "# 1.0.0\n", ["1.0.0"]),
        ("diff(a, b)[].change", {"a": {"x": 1}, "b": {"x": 2}}, ["changed"]),
        ("diff_by(a, b, 'n')[].path", {"a": [{"n": "x"}], "b": []}, [["x"]]),
        ("diff_text(a, b)", {"a": "x", "b": "y"}, "@@ -1 +1 @@\n-x\n+y"),
        ("[?satisfies(@, '^3')]", ["3.1.0", "4.0.0", None, 1], ["3.1.0"]),
        ("semver_sort(@)[-1]", ["3.9.0", "3.10.0"], "3.10.0"),
        ("max_satisfying(@, '3.9.x')", ["3.9.0", "3.10.0"], "3.9.0"),
        ("[?semver_compare(@, '3.9.1') > `0`]", ["3.9.0", "3.10.0", "x"], ["3.10.0"]),
        ("[?between(@, '3.9.0', '3.10.0')]", ["3.9.0", "3.9.5", "3.10.0"], ["3.9.5", "3.10.0"]),
        ("find_version(@)", "v3.9.0 is out", "3.9.0"),
    ],
)
def test_transforms(expression: str, document: Any, expected: Any) -> None:
    """Each function does what the README says of it."""
    assert Selection("test", expression).of(document, {}) == expected


@pytest.mark.parametrize(("expression", "long"), [("a.b[?c].d", False), ("{a: [sections(b)[0].text]}", True)])
def test_what_takes_long(expression: str, long: bool) -> None:
    """An expression that parses Markdown or compares documents says so, however deep that stands in it."""
    assert Selection("test", expression).long is long


@pytest.mark.parametrize("expression", ["from_items(@)", "[].format('{', @)", "take(@, 'x')", "get(@, 'a')"])
def test_values_that_do_not_fit(expression: str) -> None:
    """What a function can't use is an error of the expression with its key."""
    with pytest.raises(UpstreamInvalid, match=r"^test: "):
        Selection("test", expression).of(["a", "b"], {})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("lines('')", []),
        ("base64('<p>按钮</p>')", "PHA+5oyJ6ZKuPC9wPg=="),
        ("url_encode('a b/ü?')", "a%20b%2F%C3%BC%3F"),
        ('json({"App.vue": `"<p>按</p>"`})', '{"App.vue":"<p>按</p>"}'),
        ('unique(`[1, true, 1.0, 1, "1", null, {}, {}]`)', [1, True, 1.0, "1", None, {}]),
    ],
)
def test_spellings_of_values(expression: str, expected: Any) -> None:
    """Values as text of other kinds, and each value once; what JSON tells apart stays apart."""
    found = Selection("test", expression).of({}, {})
    assert found == expected
    assert list(map(type, found)) == list(map(type, expected))
    assert Selection("test", "lines(@)").of("a\r\nb\n\nc", {}) == ["a", "b", "", "c"]


def test_names_for_values() -> None:
    """What a projection needs from outside of it; the inner name counts, and outside there is none."""
    document = {"wanted": "b", "all": [{"n": "a"}, {"n": "b"}]}
    expression = "let(@, {w: wanted, x: `1`}, &all[?n == var('w')].let(@, {x: n}, &[var('x'), var('w'), var('z')]))"
    assert Selection("test", expression).of(document, {}) == [["b", "b", None]]
    assert Selection("test", "[var('w'), let(@, {w: wanted}, &var('w')), var('w')]").of(document, {}) == [
        None,
        "b",
        None,
    ]
