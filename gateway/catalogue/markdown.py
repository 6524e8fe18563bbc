"""Markdown as data: sections, titled code blocks, tables and releases, as CommonMark and GitHub see them.

Only blocks are parsed, which takes linear time whatever the text is; the markup within a line is looked at in titles
and cells, and only up to a bounded length, since there a parser may take quadratic time.
"""

from __future__ import annotations

import re
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token

from gateway.catalogue.versions import release_in

_BLOCKS = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])
_INLINE = MarkdownIt("commonmark").enable("strikethrough")
_LINE_END = re.compile(r"\r\n?|\n")  # CommonMark, section 2.1
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b", re.ASCII)

_MAX_INLINE = 4096
"""Characters of a title or a cell whose markup is looked at; a longer one stays as it is written."""


def sections(text: str) -> list[dict[str, Any]]:
    """Every heading with its level and the source text from it to the next heading of the same or a higher level.

    Each is {"title", "level", "text"}, the title as it is written; text before the first heading is in none.
    """
    lines = _LINE_END.split(text)  # and no others, or the parser's line numbers would not fit
    headings = _headings(_BLOCKS.parse(text))
    ends = [len(lines)] * len(headings)
    opened: list[int] = []
    for index, (line, level, _) in enumerate(headings):
        while opened and headings[opened[-1]][1] >= level:
            ends[opened.pop()] = line
        opened.append(index)
    return [
        {"title": title, "level": level, "text": "\n".join(lines[line:end]).strip()}
        for (line, level, title), end in zip(headings, ends, strict=True)
    ]


def passages(text: str) -> list[dict[str, Any]]:
    """The text cut at every heading: {"title", "level", "text"}; joined by line breaks the pieces are the text again.

    What stands before the first heading has no title, and level 0; it is left out where it is blank.
    """
    lines = _LINE_END.split(text)
    headings = _headings(_BLOCKS.parse(text))
    starts = [(0, 0, ""), *headings]
    ends = [*(line for line, _, _ in headings), len(lines)]
    pieces = (
        {"title": title, "level": level, "text": "\n".join(lines[line:end])}
        for (line, level, title), end in zip(starts, ends, strict=True)
    )
    return [piece for piece in pieces if piece["level"] or str(piece["text"]).strip()]


def section(text: str, title: str) -> str | None:
    """The text of the first section of that title, whatever its case and markup; None where there is none."""
    wanted = title.strip().casefold()
    found = sections(text)
    exact = (one for one in found if one["title"].casefold() == wanted)
    alike = (one for one in found if plain(one["title"]).casefold() == wanted)
    one = next(exact, None) or next(alike, None)
    return str(one["text"]) if one is not None else None


def code_blocks(text: str) -> list[dict[str, Any]]:
    """Every fenced code block under the nearest heading before it: {"title", "language", "code"}."""
    title = ""
    blocks = []
    tokens = _BLOCKS.parse(text)
    for index, token in enumerate(tokens):
        if token.type == "heading_open":
            title = tokens[index + 1].content
        elif token.type == "fence":
            language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
            blocks.append({"title": title, "language": language, "code": token.content.rstrip("\n")})
    return blocks


def tables(text: str) -> list[dict[str, Any]]:
    """Every table (GitHub Flavored Markdown, section 4.10) under the nearest heading before it.

    Each is {"title", "columns", "rows"}; a row is a record of plain texts by the names of the columns. A column without
    a name is called by its number, a name that comes again is numbered: "Default", "Default 2".
    """
    title = ""
    found: list[dict[str, Any]] = []
    cells: list[str] = []
    tokens = _BLOCKS.parse(text)
    for index, token in enumerate(tokens):
        match token.type:
            case "heading_open":
                title = tokens[index + 1].content
            case "table_open":
                found.append({"title": title, "columns": [], "rows": []})
            case "tr_open":
                cells = []
            case "th_open" | "td_open":
                cells.append(plain(tokens[index + 1].content))
            case "tr_close" if found[-1]["columns"]:
                found[-1]["rows"].append(dict(zip(found[-1]["columns"], cells, strict=False)))
            case "tr_close":
                found[-1]["columns"] = _names(cells)
    return found


def changelog(text: str) -> list[dict[str, Any]]:
    """Every release of a change log, as it orders them: {"version", "date", "text"}.

    A heading that names a version begins a release, whatever its level, and the next one ends it. `date` is the first
    such as 2026-01-31 in the heading, or null.
    """
    lines = _LINE_END.split(text)
    named = [
        (line, version, _DATE.search(title))
        for line, _, title in _headings(_BLOCKS.parse(text))
        if (version := release_in(plain(title))) is not None
    ]
    ends = [*(line for line, _, _ in named[1:]), len(lines)]
    return [
        {"version": version, "date": date and date[0], "text": "\n".join(lines[line:end]).strip()}
        for (line, version, date), end in zip(named, ends, strict=False)
    ]


def plain(text: str) -> str:
    """A line of Markdown as a reader sees it: links by their text, images by theirs, no emphasis; tags stay."""
    if len(text) > _MAX_INLINE or not text:
        return text.strip()
    (inline,) = _INLINE.parseInline(text)
    return "".join(map(_seen, inline.children or ())).strip()


def _seen(token: Token) -> str:
    match token.type:
        case "softbreak":
            return " "
        case "hardbreak":
            return "\n"
        case "html_inline" if _BREAK.fullmatch(token.content):
            return "\n"
        case "image":
            return "".join(map(_seen, token.children or ()))
        case _:
            return token.content  # of a mark that opens or closes something it is empty


def _names(cells: list[str]) -> list[str]:
    """A name for every column, none twice."""
    names: dict[str, None] = {}
    counted: dict[str, int] = {}
    for number, cell in enumerate(cells, 1):
        name = wanted = cell or str(number)
        while name in names:
            counted[wanted] = counted.get(wanted, 1) + 1
            name = f"{wanted} {counted[wanted]}"
        names[name] = None
    return list(names)


def _headings(tokens: list[Token]) -> list[tuple[int, int, str]]:
    """Line, level and title of every heading."""
    return [
        (token.map[0], int(token.tag[1]), tokens[index + 1].content)
        for index, token in enumerate(tokens)
        if token.type == "heading_open" and token.map is not None
    ]
