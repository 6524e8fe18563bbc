"""Patterns of file names, matched in linear time."""

from __future__ import annotations


class Glob:
    """A pattern such as `highlight/web-types.*.json`; `*` is any text within one path segment, nothing else is special.

    `fnmatch` makes a backtracking regular expression, which a pattern of many stars drives into polynomial time. With
    nothing but stars, taking the first place where each literal occurs is always right, so one pass is enough.
    """

    def __init__(self, pattern: str) -> None:
        self._segments = [segment.split("*") for segment in pattern.split("/")]

    def matches(self, path: str) -> bool:
        """Whether the whole `path` matches."""
        texts = path.split("/")
        if len(texts) != len(self._segments):
            return False
        return all(_segment_matches(literals, text) for literals, text in zip(self._segments, texts, strict=True))


def _segment_matches(literals: list[str], text: str) -> bool:
    first, *middle = literals
    if not middle:
        return text == first
    last = middle.pop()
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    position, end = len(first), len(text) - len(last)
    for literal in middle:
        found = text.find(literal, position, end)
        if found < 0:
            return False
        position = found + len(literal)
    return True
