from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.catalogue.cut import shares, texts


@given(st.text(alphabet="a#\n ö😀", max_size=300), st.integers(8, 60))
def test_nothing_is_lost(text: str, room: int) -> None:
    """The parts of a text are the text, and each of them fits."""
    parts = list(texts(text, room))
    assert "".join(parts) == text
    assert all(len(part.encode()) <= room for part in parts)
    assert all(parts) or text == ""


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("aaa\nbbb\nccc\n# d\neee\nfff\n", "aaa\nbbb\nccc\n"),
        ("aaa\nbbb\nccc\n\neee\nfff\nggg\n", "aaa\nbbb\nccc\n"),
        ("aaa\nbbb\nccc\nddd\neee\nfff\n", "aaa\nbbb\nccc\nddd\neee\n"),
        ("a" * 30, "a" * 20),
        ("ö" * 11, "ö" * 10),
        ("a" + "ö" * 11, "a" + "ö" * 9),
    ],
    ids=["heading", "paragraph", "line", "one line", "whole character", "within a character"],
)
def test_where_a_text_is_cut(text: str, first: str) -> None:
    """Before a heading rather than before a paragraph, rather than after a line; never within a character."""
    assert next(texts(text, 20)) == first


@given(st.lists(st.integers(1, 30)), st.integers(1, 40))
def test_elements_are_shared_out(costs: list[int], room: int) -> None:
    """Every element is in one part, in order, and a part is too large only where its one element is."""
    parts = list(shares(costs, room))
    assert [index for start, end in parts for index in range(start, end)] == list(range(len(costs)))
    assert all(sum(costs[start:end]) <= room or end - start == 1 for start, end in parts)
    assert all(start < end for start, end in parts) or not costs
