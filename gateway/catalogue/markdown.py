"""Markdown as data: sections and titled code blocks, as CommonMark sees them."""

from __future__ import annotations

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

_COMMONMARK = MarkdownIt("commonmark")
_LINE_END = re.compile(r"\r\n?|\n")  # CommonMark, section 2.1


def sections(text: str) -> list[dict[str, Any]]:
    """Every heading with its level and the source text from it to the next heading of the same or a higher level.

    Each is {"title", "level", "text"}; text before the first heading is in none.
    """
    lines = _LINE_END.split(text)  # and no others, or the parser's line numbers would not fit
    headings = _headings(_COMMONMARK.parse(text))
    found = []
    for index, (line, level, title) in enumerate(headings):
        end = next((start for start, other, _ in headings[index + 1 :] if other <= level), len(lines))
        found.append({"title": title, "level": level, "text": "\n".join(lines[line:end]).strip()})
    return found


def section(text: str, title: str) -> str | None:
    """The text of the first section of that title, whatever its case; None where there is none."""
    wanted = title.strip().casefold()
    return next((found["text"] for found in sections(text) if found["title"].casefold() == wanted), None)


def code_blocks(text: str) -> list[dict[str, Any]]:
    """Every fenced code block under the nearest heading before it: {"title", "language", "code"}."""
    title = ""
    blocks = []
    tokens = _COMMONMARK.parse(text)
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            title = tokens[index + 1].content
        elif token.type == "fence":
            language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
            blocks.append({"title": title, "language": language, "code": token.content.rstrip("\n")})
    return blocks


def _headings(tokens: list[Token]) -> list[tuple[int, int, str]]:
    """Line, level and title of every heading."""
    return [
        (token.map[0], int(token.tag[1]), tokens[index + 1].content)
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.map is not None
    ]
