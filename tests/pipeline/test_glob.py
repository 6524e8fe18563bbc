from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.pipeline.glob import Glob


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("*", "", True),
        ("*", "anything at all", True),
        ("a", "a", True),
        ("a", "ab", False),
        ("a*", "abc", True),
        ("*c", "abc", True),
        ("a*a", "a", False),
        ("a**b", "ab", True),
        ("result:get_*:*button*", 'result:get_props@1f:{"name":"button"}', True),
        ("[a]?", "[a]?", True),
        ("[a]?", "ab", False),
    ],
)
def test_a_star_is_any_text_and_nothing_else_is_special(pattern: str, text: str, expected: bool) -> None:
    """Stars anywhere, and brackets and question marks as themselves."""
    assert Glob(pattern).matches(text) is expected


@given(st.text("ab*", max_size=12), st.text("ab", max_size=20))
def test_it_agrees_with_a_regular_expression(pattern: str, text: str) -> None:
    """What a backtracking matcher says, without the backtracking."""
    assert Glob(pattern).matches(text) is (re.fullmatch(fnmatch.translate(pattern), text) is not None)


def test_many_stars_take_linear_time() -> None:
    """The pattern that takes a backtracking matcher for ever, over a hundred thousand keys."""
    glob = Glob("*a*a*a*a*a*a*a*a*a*a*b")
    assert not any(glob.matches("a" * 100) for _ in range(100_000))
