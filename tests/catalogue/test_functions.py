from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.functions import words
from gateway.catalogue.select import Selection


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
