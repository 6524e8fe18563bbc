"""From a document to the sections that are found: what stands under each heading, as plain text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import orjson
from markdown_it import MarkdownIt
from markdown_it.token import Token

from gateway.upstream.content import is_json
from gateway.upstream.search.html import parse as parse_html

_MARKDOWN = MarkdownIt("commonmark").enable("table")
_MAX_MARKDOWN = 2_000_000
"""Characters from which on Markdown is taken as plain text: parsing a megabyte takes a second."""
_CHUNK = 4_000
"""Characters of a section; a longer one is cut, or a word in a long list would count less than in a short note."""
_MAX_STRINGS = 100_000
_TAG = re.compile(r"<[^<>]*>")
_BLANK = re.compile(r"[ \t\u00a0]+")
_HEADINGS = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
_BLOCKS = frozenset({"p", "li", "tr", "div", "br", "dt", "dd", "section", "article"})


@dataclass(slots=True)
class Section:
    """What stands under one heading, without what stands under the headings below it."""

    headings: tuple[str, ...] = ()
    """The headings that it is under, without the document's title, from the highest to its own."""
    body: str = ""
    code: str = ""


@dataclass(slots=True)
class Text:
    """A document as it is indexed."""

    title: str
    """The first heading of the highest level, or empty."""
    sections: list[Section] = field(default_factory=list)


@dataclass(slots=True)
class _Outline:
    """Collects sections while a document is read from its beginning to its end."""

    path: list[tuple[int, str]] = field(default_factory=list)
    title: str = ""
    sections: list[Section] = field(default_factory=lambda: [Section()])
    body: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)

    def heading(self, level: int, text: str) -> None:
        self.close()
        self.path = [above for above in self.path if above[0] < level]
        if not self.title and not self.path:
            self.title = text
            self.path = [(level, "")]  # the title stands for itself, and is not a heading over every section
        else:
            self.path.append((level, text))
        self.sections.append(Section(tuple(heading for _, heading in self.path if heading)))

    def close(self) -> None:
        section = self.sections[-1]
        section.body, section.code = _tidy("".join(self.body)), "\n".join(self.code).strip()
        self.body, self.code = [], []

    def text(self) -> Text:
        self.close()
        # What stands directly under a heading may be nothing: the headings below it have its words as well.
        told = [section for section in self.sections if section.body or section.code] or self.sections[-1:]
        return Text(self.title, [chunk for section in told for chunk in _chunks(section)])


def text_of(body: str, media_type: str) -> Text:
    """The document's title and sections. Never fails: what is not what it claims to be is plain text."""
    if media_type == "text/html":
        return _html(body)
    if is_json(media_type):
        return _json(body)
    if media_type in ("text/markdown", "text/x-markdown") and len(body) <= _MAX_MARKDOWN:
        return _markdown(body)
    outline = _Outline(body=[body])
    return outline.text()


def _markdown(body: str) -> Text:
    outline = _Outline()
    tokens = _MARKDOWN.parse(body)
    for index, token in enumerate(tokens):
        match token.type:
            case "heading_open":
                outline.heading(int(token.tag[1]), _inline(tokens[index + 1]))
            case "fence" | "code_block":
                outline.code.append(token.content)
            case "inline" if tokens[index - 1].type != "heading_open":
                outline.body.append(_inline(token))
            case "html_block":
                outline.body.append(_TAG.sub(" ", token.content))
            case "th_close" | "td_close":
                outline.body.append(" | ")
            case "paragraph_close" | "tr_close" | "list_item_close":
                outline.body.append("\n")
            case _:
                pass
    return outline.text()


def _inline(token: Token) -> str:
    """The text of a line: links and emphasis without their marks."""
    parts = []
    for child in token.children or ():
        if child.type in ("softbreak", "hardbreak"):
            parts.append(" ")
        elif child.type == "image" or child.type != "html_inline":
            parts.append(child.content)
    return "".join(parts).strip()


def _html(body: str) -> Text:
    outline = _Outline()
    heading: list[str] | None = None
    code = 0
    for part in parse_html(body):
        if isinstance(part, str):
            place = heading if heading is not None else outline.code if code else outline.body
            place.append(part)
        elif part.name in _HEADINGS:
            if part.is_end and heading is not None:
                outline.heading(int(part.name[1]), " ".join("".join(heading).split()))
            heading = None if part.is_end else []
        elif part.name == "pre":
            code = max(0, code + (-1 if part.is_end else 1))
        elif part.name in _BLOCKS:
            outline.body.append("\n")
    return outline.text()


def _json(body: str) -> Text:
    """Every text in a JSON document, each on a line of its own."""
    try:
        ahead = [orjson.loads(body)]
    except orjson.JSONDecodeError:
        return _Outline(body=[body]).text()
    lines: list[str] = []
    while ahead and len(lines) < _MAX_STRINGS:
        value = ahead.pop()
        if isinstance(value, str):
            lines.append(value)
        elif isinstance(value, dict):
            ahead += reversed(value.values())
        elif isinstance(value, list):
            ahead += reversed(value)
    return _Outline(body=["\n".join(lines)]).text()


def _tidy(text: str) -> str:
    lines = (_BLANK.sub(" ", line).strip(" |") for line in text.splitlines())
    return "\n".join(line for line in lines if line)


def _chunks(section: Section) -> Iterator[Section]:
    bodies, codes = list(_cut(section.body)), list(_cut(section.code))
    for index in range(max(len(bodies), len(codes), 1)):
        body = bodies[index] if index < len(bodies) else ""
        code = codes[index] if index < len(codes) else ""
        yield Section(section.headings, body, code)


def _cut(text: str) -> Iterator[str]:
    """Parts of at most `_CHUNK` characters that end with a line where there is one."""
    start = 0
    while start < len(text):
        end = start + _CHUNK
        line = text.rfind("\n", start, end) if end < len(text) else -1
        end = line + 1 if line > start else end
        yield text[start:end]
        start = end
