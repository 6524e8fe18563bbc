"""HTML as Markdown, as plain text, or as the elements that a CSS selector finds.

Every bound stands before the tree, so that nothing sees a document that is large in another way than in bytes:
a page is measured first, and one of too many levels, elements or attributes is refused.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from html_to_markdown import ConversionOptions, convert
from lxml import etree
from lxml.cssselect import CSSSelector

from gateway.profile.fetch import Html

_ELEMENTS = 200_000
"""As a tree each takes some hundred bytes."""
_ATTRIBUTES = 1_000
"""Of one element; they are a list, which is searched for each."""
_DEPTH = 200
"""Of elements within each other; libxml2 itself leaves out what is deeper than 256, and says nothing."""

_NEVER_TEXT = frozenset({"script", "style", "template", "noscript"})


class NotHtml(ValueError):
    """HTML that can't be read, or does not have what is looked for."""


class _Measure:
    """What a parser reports to before there is a tree: `refused` says what was too much."""

    def __init__(self) -> None:
        self.refused = ""
        self._elements = 0
        self._depth = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._depth += 1
        if self._depth > _DEPTH:
            self.refused = f"its elements are more than {_DEPTH} deep"
        if self._elements > _ELEMENTS:
            self.refused = f"it has more than {_ELEMENTS} elements"
        if len(attributes) > _ATTRIBUTES:
            self.refused = f"an element has more than {_ATTRIBUTES} attributes"
        if self.refused:
            raise NotHtml(self.refused)

    def end(self, tag: str) -> None:
        self._depth -= 1

    def close(self) -> None:
        pass


def html_as(text: bytes, section: Html, limit: int) -> bytes:
    """What `section` makes of the UTF-8 `text`: Markdown, plain text, or for "elements" a JSON array.

    Raises NotHtml, also where the outcome is larger than `limit` bytes. Bounded in time and memory.
    """
    root = _tree(text)
    for unwanted in (element for css in section.drop for element in _selector(css)(root)):
        _remove(unwanted)
    for element in list(root.iter(*_NEVER_TEXT)):
        _remove(element)
    found = _selector(section.select)(root)
    if section.to == "elements":
        return _elements(found, limit)
    if not found:
        raise NotHtml("it has nothing that html.select selects")
    within = set(found)
    outermost = [element for element in found if within.isdisjoint(element.iterancestors())]
    html = "\n".join(
        etree.tostring(element, encoding="unicode", method="html", with_tail=False) for element in outermost
    )
    return _bounded(_converted(html, section.to).encode(), limit)


def _tree(text: bytes) -> Any:
    """The tree of a page that has been measured first: to build one of any size is what takes time and memory."""
    measure = _Measure()
    for target in ({"target": measure}, {}):
        parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True, **target)
        try:
            root = etree.fromstring(text, parser)
        except (NotHtml, etree.LxmlError):
            root = None
        if measure.refused:
            raise NotHtml(measure.refused)
        for entry in parser.error_log.filter_from_fatals():  # there it stopped: what follows is not in the tree
            raise NotHtml(f"it can't be read: {entry.message.strip()}")
    if root is None:
        raise NotHtml("it has no elements")
    return root


def _remove(element: Any) -> None:
    """Take an element out and leave the text behind it."""
    parent = element.getparent()
    if parent is None:
        return
    if element.tail:
        before = element.getprevious()
        if before is not None:
            before.tail = (before.tail or "") + element.tail
        else:
            parent.text = (parent.text or "") + element.tail
    parent.remove(element)


def _elements(found: list[Any], limit: int) -> bytes:
    """Each element with its name, its attributes and its text, in which runs of white space are one space."""
    pieces: list[bytes] = []
    size = 0
    for element in found:
        text = " ".join("".join(element.itertext()).split())
        piece = orjson.dumps({"tag": element.tag, "attributes": dict(element.attrib), "text": text})
        pieces.append(piece)
        size += len(piece) + 1
        if size > limit:  # elements may lie within each other, so that their texts multiply
            break
    return _bounded(b"[" + b",".join(pieces) + b"]", limit)


def _converted(html: str, to: str) -> str:
    options = ConversionOptions(
        output_format="plain" if to == "text" else "markdown",
        extract_metadata=False,
        max_depth=2 * _DEPTH,
        bullets="-",
    )
    return (convert(html, options).content or "").strip() + "\n"


def _bounded(text: bytes, limit: int) -> bytes:
    if len(text) > limit:
        raise NotHtml("what is made of it is larger than the answer may be")
    return text


@lru_cache(maxsize=256)
def _selector(css: str) -> Any:
    return CSSSelector(css, translator="html")
