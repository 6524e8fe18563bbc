from __future__ import annotations

import string
import tomllib
from typing import Any

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from gateway.profile.positions import KeyPath, Position, dotted, positions

SCALARS = st.one_of(
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
)
KEYS = st.text(st.sampled_from(string.ascii_letters + "é ._-\"'\\ü\t"), min_size=1, max_size=5)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)
TABLES = st.dictionaries(KEYS, VALUES, max_size=4)


def at(text: str, path: KeyPath) -> tuple[tuple[int, int], tuple[int, int]]:
    place = positions(text)[path]
    return (place.key.line, place.key.column), (place.value.line, place.value.column)


def paths(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [below for step, child in items for below in [(*path, step), *paths(child, (*path, step))]]


def test_key_and_value_of_a_pair() -> None:
    """A pair's key and value each have their own column."""
    assert at("a = 1\nbc  =  'x'", ("bc",)) == ((2, 1), (2, 8))


def test_dotted_keys() -> None:
    """Each part of a dotted key has its own place."""
    text = 'a."b c" . d = 1'
    assert at(text, ("a",))[0] == (1, 1)
    assert at(text, ("a", "b c"))[0] == (1, 3)
    assert at(text, ("a", "b c", "d")) == ((1, 11), (1, 15))


def test_inline_tables_and_arrays() -> None:
    """Inline tables and arrays are entered, nested in each other and over several lines."""
    text = "x = { y = 2, z.w = [1, { q = 3 },\n  [ 4 ],  # five\n  5] }"
    assert at(text, ("x", "y")) == ((1, 7), (1, 11))
    assert at(text, ("x", "z", "w", 0)) == ((1, 21), (1, 21))
    assert at(text, ("x", "z", "w", 1, "q")) == ((1, 26), (1, 30))
    assert at(text, ("x", "z", "w", 2, 0)) == ((2, 5), (2, 5))
    assert at(text, ("x", "z", "w", 3)) == ((3, 3), (3, 3))


def test_arrays_of_tables() -> None:
    """A header in double brackets begins the next element, and tables below it belong to the last one."""
    text = "[[a]]\nn = 1\n[[a.b]]\nm = 1\n[[a.b]]\nm = 2\n[[a]]\n[a.c]\nk = 3\n[[a.b]]\nm = 4"
    assert at(text, ("a", 0, "n"))[0] == (2, 1)
    assert at(text, ("a", 0, "b", 1, "m"))[0] == (6, 1)
    assert at(text, ("a", 1)) == ((7, 3), (7, 1))
    assert at(text, ("a", 1, "c", "k"))[1] == (9, 5)
    assert at(text, ("a", 1, "b", 0, "m"))[0] == (11, 1)


def test_a_table_stands_at_its_own_header() -> None:
    """A table's own header wins over an earlier mention of it in another header."""
    text = "[t.x.fetch]\n[t.x]\nk = 1"
    assert at(text, ("t", "x")) == ((2, 4), (2, 1))
    assert at(text, ("t",))[0] == (1, 2)


def test_columns_count_characters() -> None:
    """Columns count characters, not bytes, also behind letters that take several."""
    assert at('a = ["é", "😀", "x"]', ("a", 2)) == ((1, 16), (1, 16))


def test_line_breaks_of_windows() -> None:
    """A carriage return is no line of its own."""
    assert at("a = 1\r\nb = 2\r\n", ("b",)) == ((2, 1), (2, 5))


@given(TABLES)
def test_agrees_with_tomllib(table: dict[str, Any]) -> None:
    """Every key path that tomllib finds in a document has a place, and there are no others."""
    text = tomli_w.dumps(table)
    assert set(positions(text)) == set(paths(tomllib.loads(text)))


@given(TABLES)
def test_points_at_the_text(table: dict[str, Any]) -> None:
    """At each scalar's place stands TOML that begins with that scalar."""
    text = tomli_w.dumps(table)
    lines = text.split("\n")
    for path, place in positions(text).items():
        value: Any = tomllib.loads(text)
        for step in path:
            value = value[step]
        rest = lines[place.value.line - 1][place.value.column - 1 :]
        if isinstance(value, bool):
            assert rest.startswith("true" if value else "false")
        elif isinstance(value, int):
            assert rest.startswith(str(value))
        elif isinstance(value, str):
            assert rest[0] in "\"'"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("cache", "memory", "max_size"), "cache.memory.max_size"),
        (("warm", "calls", 0, "tool"), "warm.calls[0].tool"),
        (("upstreams", "varlet-docs"), "upstreams.varlet-docs"),
        (("upstreams", 'a b."c"\\\x1b'), 'upstreams."a b.\\"c\\"\\\\\\U0000001b"'),
        ((), ""),
    ],
)
def test_dotted(path: KeyPath, text: str) -> None:
    """A key path is written as TOML writes it, with elements in brackets and nothing that a terminal obeys."""
    assert dotted(path) == text


def test_positions_are_ordered() -> None:
    """Positions sort as they stand in the text."""
    assert sorted([Position(2, 1), Position(1, 9)]) == [Position(1, 9), Position(2, 1)]
