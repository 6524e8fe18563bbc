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
        ("**/*.md", "a.md", True),
        ("**/*.md", "a/b/c.md", True),
        ("docs/**", "docs", True),
        ("docs/**", "docs/a/b", True),
        ("**/a/**/b", "x/a/a/y/b", True),
        ("**/a/**/b", "x/b/a", False),
        ("**/.*/**", "a/.git/config", True),
        ("a**", "a/b", False),
    ],
)
def test_patterns(pattern: str, path: str, matches: bool) -> None:
    """A star is any text within one segment; everything else is itself."""
    assert Glob(pattern).matches(path) is matches


def as_expression(pattern: str) -> str:
    """A backtracking expression that means the same; a path is looked at with a slash behind every segment."""
    segments = (
        r"(?:[^/]*/)*" if segment == "**" else "[^/]*".join(map(re.escape, segment.split("*"))) + "/"
        for segment in pattern.split("/")
    )
    return "".join(segments)


@given(st.text("ab*/.", max_size=8), st.text("ab/.", max_size=12))
def test_as_a_regular_expression_would(pattern: str, path: str) -> None:
    """The oracle is the backtracking expression that this stands in for."""
    expected = re.fullmatch(as_expression(pattern), path + "/") is not None
    assert Glob(pattern).matches(path) is expected


@pytest.mark.timeout(20)
def test_many_stars_do_not_run_away() -> None:
    """A backtracking matcher would not end on this."""
    glob = Glob("*a" * 50 + "b")
    assert not any(glob.matches("a" * 1000) for _ in range(1000))
    assert not Glob("**/a/" * 50 + "b").matches("a/" * 2000 + "c")
