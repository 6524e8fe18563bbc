"""Patterns of file names, matched without the backtracking of regular expressions."""

from __future__ import annotations


class Glob:
    """A pattern such as `highlight/web-types.*.json` or `docs/**/*.md`.

    `*` is any text within one path segment, `**` as a whole segment is any number of segments, also none; nothing else
    is special. `fnmatch` makes a backtracking regular expression, which a pattern of many stars drives into polynomial
    time. Within a segment the first place where each literal occurs is always right, so one pass is enough; of several
    `**` only the last one met has ever to be tried again, which takes at most segments times segments.
    """

    def __init__(self, pattern: str) -> None:
        self._segments = [None if segment == "**" else segment.split("*") for segment in pattern.split("/")]

    def matches(self, path: str) -> bool:
        """Whether the whole `path` matches."""
        texts, wanted = path.split("/"), self._segments
        at, position = 0, 0
        again: tuple[int, int] | None = None
        while position < len(texts):
            literals = wanted[at] if at < len(wanted) else []
            if literals is None:
                again = at, position
                at += 1
            elif literals and _segment_matches(literals, texts[position]):
                at, position = at + 1, position + 1
            elif again is not None:  # the last `**` takes one segment more
                again = again[0], again[1] + 1
                at, position = again[0] + 1, again[1]
            else:
                return False
        return all(literals is None for literals in wanted[at:])


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
