"""Patterns of keys, matched in linear time."""

from __future__ import annotations


class Glob:
    """A pattern in which `*` is any text, also none, and nothing else is special.

    A regular expression, `fnmatch` and SQLite's GLOB backtrack, which a pattern of many stars drives into polynomial
    time. With nothing but stars, taking the first place where each literal occurs is always right: one pass is enough.
    """

    __slots__ = ("_first", "_last", "_middle")

    def __init__(self, pattern: str) -> None:
        first, *rest = pattern.split("*")
        self._first = first
        self._last = rest.pop() if rest else None
        self._middle = [literal for literal in rest if literal]

    def matches(self, text: str) -> bool:
        """Whether the whole `text` matches."""
        first, last = self._first, self._last
        if last is None:
            return text == first
        if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
            return False
        position, end = len(first), len(text) - len(last)
        for literal in self._middle:
            found = text.find(literal, position, end)
            if found < 0:
                return False
            position = found + len(literal)
        return True
