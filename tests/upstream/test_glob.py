from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.upstream.glob import Glob


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("highlight/web-types.*.json", "highlight/web-types.en-US.json", True),
        ("highlight/web-types.*.json", "highlight/web-types.json", False),
        ("highlight/web-types.*.json", "highlight/x/web-types.en.json", False),
        ("*/*.md", "docs/a/b.md", False),
        ("docs/*", "docs/", True),
        ("a.b", "aXb", False),
        ("[ab]?", "a", False),
        ("*", "anything", True),
        ("*aa*aa*", "aaa", False),
        ("a*a", "a", False),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    """A star is any text within one segment; everything else is itself."""
    assert Glob(pattern).matches(path) is matches


@given(st.text("ab*/.", max_size=8), st.text("ab/.", max_size=12))
def test_as_a_regular_expression_would(pattern: str, path: str) -> None:
    """The oracle is the backtracking expression that this stands in for."""
    expression = "[^/]*".join(re.escape(literal) for literal in pattern.split("*"))
    assert Glob(pattern).matches(path) is (re.fullmatch(expression, path) is not None)


@pytest.mark.timeout(20)
def test_many_stars_do_not_run_away() -> None:
    """A backtracking matcher would not end on this."""
    glob = Glob("*a" * 50 + "b")
    assert not any(glob.matches("a" * 1000) for _ in range(1000))
