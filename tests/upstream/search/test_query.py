from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.upstream.search.query import MAX_TERMS, Query, parse


def expression(text: str) -> str | None:
    return parse(text).expression(lambda phrase: True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("button disabled", '("button" OR "disabled")'),
        ("how do I disable a button", '("disable" OR "button")'),
        ("how to", '("how" OR "to")'),
        ("butt*", '("butt"*)'),
        ('"loading state"', '("loading state") AND ("loading state")'),
        ('button "loading state"', '("loading state") AND ("button" OR "loading state")'),
        ("+button size", '("button") AND ("size" OR "button")'),
        ("button -group", '(("button")) NOT ("group")'),
        ('button -"button group"', '(("button")) NOT ("button group")'),
        ('"a b" OR "c d"', '("a b" OR "c d") AND ("a b" OR "c d")'),
        ("+vue OR +react size", '("vue" OR "react") AND ("size" OR "vue" OR "react")'),
        ("a OR button", '("button")'),
        ("如何禁用按钮", '("何禁" OR "禁用" OR "用按" OR "按钮")'),
        ("按", '("按"*)'),
        ('"禁用按钮"', '("禁用 用按 按钮") AND ("禁用 用按 按钮")'),
        ('"按"', '("按"*) AND ("按"*)'),
        ("auto-loading", '("auto" OR "loading")'),
        ("button button", '("button")'),
        ('NEAR(a b) col:x ^y {z} "', '("near" OR "b" OR "col" OR "x" OR "y" OR "z")'),
        ("", None),
        ("-button", None),
        ('"" * ^ -', None),
    ],
)
def test_what_fts5_is_asked(text: str, expected: str | None) -> None:
    """Quoted terms and operators of our own; words that say nothing are left out, unless there are no others."""
    assert expression(text) == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("button", None),
        (" ", None),
        ("?!", "there is no word to look for"),
        ("-button", "there is no word to look for beside those that must not be there"),
        ('button "loading', 'a " was never closed'),
        ("x" * 2000, "only the first 1000 characters were read"),
        (" ".join(f"w{number}" for number in range(50)), "only the first 32 words were looked for"),
    ],
)
def test_what_a_query_can_not_mean(text: str, problem: str | None) -> None:
    """Is told, and the rest is looked for."""
    assert parse(text).problem == problem


def test_more_stop_words() -> None:
    """Those of the profile are left out, too."""
    assert parse("varlet button", ["Varlet"]).expression(lambda phrase: True) == '("button")'


def test_words_that_are_nowhere() -> None:
    """Are taken as beginnings; a pair between two words that are known is dropped."""
    known = {'"禁用"', '"按钮"', '"模式"', '"size"'}

    def near(text: str) -> str | None:
        return parse(text).expression(lambda phrase: str(phrase) in known)

    assert near("禁用按钮") == '("禁用" OR "按钮")'
    assert near("暗黑模式") == '("暗"* OR "模式")'
    assert near("sizes size xyz") == '("sizes"* OR "size")'
    assert near("xyz") is None


FTS = "CREATE VIRTUAL TABLE t USING fts5(a, b, tokenize = 'porter unicode61 remove_diacritics 2')"


@given(st.text(st.sampled_from('ab 按钮"*+-^:(){}NEAROTD\x00\ud800\u0300①') | st.characters(), max_size=60))
@example('"')
@example('-"" OR +"')
@example("x" * 100_000)
@example('"a" ' * 25_000)
def test_whatever_is_asked_fts5_takes_it(text: str) -> None:
    """No query is a syntax error, nor takes more than its first thousand characters."""
    query = parse(text)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute(FTS)
        asked = query.expression(lambda phrase: False), query.expression(lambda phrase: True)
        for match in (each for each in asked if each is not None):
            connection.execute("SELECT * FROM t WHERE t MATCH ?", (match,)).fetchall()


def test_the_number_of_terms_is_bounded() -> None:
    """In every part of a query."""
    query = parse(" ".join(f'w{number} +p{number} -n{number} "a{number} b"' for number in range(500)))
    assert isinstance(query, Query)
    assert max(len(query.words), len(query.required), len(query.excluded)) <= MAX_TERMS
