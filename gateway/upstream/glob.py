"""Patterns of file names, matched without the backtracking of regular expressions."""

from __future__ import annotations

from gateway.pipeline import glob

_NOTHING = glob.Glob("")
"""Stands behind the last segment of a pattern."""


class Glob:
    """A pattern such as `highlight/web-types.*.json` or `docs/**/*.md`.

    `*` is any text within one path segment, `**` as a whole segment is any number of segments, also none; nothing else
    is special. Of several `**` only the last one met has ever to be tried again, which takes at most segments times
    segments; within a segment one pass is enough, as `gateway.pipeline.glob` has it.
    """

    def __init__(self, pattern: str) -> None:
        self._segments = [None if segment == "**" else glob.Glob(segment) for segment in pattern.split("/")]

    def matches(self, path: str) -> bool:
        """Whether the whole `path` matches."""
        texts, wanted = path.split("/"), self._segments
        at, position = 0, 0
        again: tuple[int, int] | None = None
        while position < len(texts):
            segment = wanted[at] if at < len(wanted) else _NOTHING
            if segment is None:
                again = at, position
                at += 1
            elif segment is not _NOTHING and segment.matches(texts[position]):
                at, position = at + 1, position + 1
            elif again is not None:  # the last `**` takes one segment more
                again = again[0], again[1] + 1
                at, position = again[0] + 1, again[1]
            else:
                return False
        return all(segment is None for segment in wanted[at:])
