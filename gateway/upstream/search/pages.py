"""Which documents are searched: paths of the profile with every value of their fields, or found in a list of paths."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from gateway.profile.templates import Field, parse_template
from gateway.profile.upstreams.search import SearchDocuments
from gateway.upstream.glob import Glob

_MAX_PATH = 500
"""Characters of a path in a list; longer ones are left out."""


@dataclass(frozen=True, slots=True)
class Page:
    """A document that is searched."""

    path: str
    names: tuple[str, ...]
    """The values of the fields of its path, which are searched too."""
    fields: Mapping[str, str]
    weight: float


class Rule:
    """One `[[upstreams.NAME.documents]]`."""

    def __init__(self, section: SearchDocuments) -> None:
        self._section = section
        self._fields = {name: parse_template(template) for name, template in section.fields.items()}
        self._patterns = [_Pattern(section.path, values) for values in _combinations(section.each)]

    @property
    def needs_list(self) -> bool:
        """Whether a list of paths has to be looked through."""
        return any(pattern.is_open for pattern in self._patterns)

    def pages(self, paths: Iterable[str] | None) -> Iterator[Page]:
        """The documents among `paths`; without a list, those that the profile names."""
        for pattern in self._patterns:
            if not pattern.is_open:
                path = pattern.literal
                if paths is None or path in paths:
                    yield self._page(path, pattern.values)
                continue
            for path in paths or ():
                values = pattern.match(path)
                if values is not None:
                    yield self._page(path, values)

    def _page(self, path: str, values: Mapping[str, str]) -> Page:
        more = {
            name: "".join(part if isinstance(part, str) else values.get(part.name, "") for part in parts)
            for name, parts in self._fields.items()
        }
        names = tuple(values.values()) or (path.rpartition("/")[2].partition(".")[0],)
        return Page(path, names, {**values, **more}, self._section.weight)


def pages(rules: Iterable[Rule], paths: Iterable[str] | None) -> list[Page]:
    """Every document once, as the first rule that fits it has it, ordered by path."""
    known = None if paths is None else {path.removeprefix("/"): None for path in paths if len(path) <= _MAX_PATH}
    found: dict[str, Page] = {}
    for rule in rules:
        for page in rule.pages(known):
            found.setdefault(page.path, page)
    return [found[path] for path in sorted(found)]


class _Pattern:
    """A path of the profile in which some fields have a value; the others are found in a path, in linear time."""

    def __init__(self, template: str, values: Mapping[str, str]) -> None:
        self.values = values
        parts = [values.get(part.name, part) if isinstance(part, Field) else part for part in parse_template(template)]
        self._open = [part.name for part in parts if isinstance(part, Field)]
        pattern = "".join("\0" if isinstance(part, Field) else part for part in parts)
        self.is_open = bool(self._open) or "*" in pattern
        self.literal = "" if self.is_open else pattern
        self._glob = Glob(pattern.replace("\0", "*"))
        self._segments = pattern.split("/")

    def match(self, path: str) -> Mapping[str, str] | None:
        """The fields' values in `path`; None where it does not fit. A field is at least one character."""
        if not self._glob.matches(path):
            return None
        segments = path.split("/")
        found: list[str] = []
        for wanted, text in self._aligned(segments):
            captured = _captured(wanted, text)
            if captured is None:
                return None
            found += captured
        values = dict(self.values)
        for name, value in zip(self._open, found, strict=True):
            if values.setdefault(name, value) != value:
                return None
        return values

    def _aligned(self, segments: list[str]) -> Iterator[tuple[str, str]]:
        """The segments of the pattern with those of a path; what `**` stands for is left out.

        With one `**` there is one way to align them; of several, the later ones take what they can get.
        """
        wanted = self._segments
        if "**" not in wanted:
            yield from zip(wanted, segments, strict=True)
            return
        first = wanted.index("**")
        last = len(wanted) - wanted[::-1].index("**")
        yield from zip(wanted[:first], segments[:first], strict=True)
        tail = wanted[last:]
        yield from zip(tail, segments[len(segments) - len(tail) :], strict=True)


def _captured(wanted: str, text: str) -> list[str] | None:
    """What the fields (NUL) of one segment stand for, each the shortest that lets the rest fit."""
    captured: list[str] = []
    pieces = wanted.replace("*", "\1*").replace("\0", "\1\0").split("\1")
    position = len(pieces[0])
    if not text.startswith(pieces[0]):
        return None
    for index, piece in enumerate(pieces[1:], 1):
        kind, literal = piece[0], piece[1:]
        least = position + (kind == "\0")
        if index == len(pieces) - 1:
            end = len(text) - len(literal)
            if end < least or not text.endswith(literal):
                return None
        else:
            end = text.find(literal, least)
            if end < 0:
                return None
        if kind == "\0":
            captured.append(text[position:end])
        position = end + len(literal)
    return captured if position == len(text) else None


def _combinations(each: Mapping[str, Iterable[str]]) -> Iterator[dict[str, str]]:
    for values in itertools.product(*each.values()):
        yield dict(zip(each, values, strict=True))
