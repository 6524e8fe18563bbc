"""HTML as a stream of tags and texts, in linear time.

Python's own parser takes quadratic time for comments that are never closed (200 kB of `<!--`: 14 seconds), and to find
words in a page no tree is needed.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

_NAME = re.compile(r"</?([a-zA-Z][a-zA-Z0-9]{0,30})")
_RAW = frozenset({"script", "style", "template", "noscript", "head"})
"""Elements of which nothing is read (head: the title stands in the page's first heading as well)."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A start tag or an end tag; the name in lower case."""

    name: str
    is_end: bool


def parse(page: str) -> Iterator[Tag | str]:
    """The tags and texts of a page in order; comments, declarations and scripts are left out. Never fails."""
    at = 0
    while (bracket := page.find("<", at)) >= 0:
        if bracket > at:
            yield html.unescape(page[at:bracket])
        match = _NAME.match(page, bracket)
        if match is None:
            at = _after_markup(page, bracket)
            if at == bracket + 1:
                yield "<"
            continue
        end = page.find(">", match.end())
        at = len(page) if end < 0 else end + 1
        tag = Tag(match[1].lower(), page[bracket + 1] == "/")
        if tag.name in _RAW and not tag.is_end:
            at = _after_element(page, tag.name, at)
        else:
            yield tag
    if at < len(page):
        yield html.unescape(page[at:])


def _after_markup(page: str, bracket: int) -> int:
    """Where the text goes on after a comment or a declaration; just after the bracket where it is neither."""
    if page.startswith("<!--", bracket):
        end = page.find("-->", bracket + 4)
        return len(page) if end < 0 else end + 3
    if page.startswith(("<!", "<?"), bracket):
        end = page.find(">", bracket)
        return len(page) if end < 0 else end + 1
    return bracket + 1


def _after_element(page: str, name: str, at: int) -> int:
    """Where the text goes on after an element of which nothing is read."""
    end = re.compile(f"</{name}\\b", re.IGNORECASE).search(page, at)
    if end is None:
        return len(page)
    closed = page.find(">", end.end())
    return len(page) if closed < 0 else closed + 1
