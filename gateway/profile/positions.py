"""Where each key of a TOML text stands. `tomllib` gives the values and no places; tree-sitter gives the places."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

KeyPath = tuple[str | int, ...]
"""The way to a value: keys of tables, and indexes (from 0) into arrays and arrays of tables."""

_KEYS = ("bare_key", "quoted_key", "dotted_key")
_HEADERS = ("table", "table_array_element")
_PUNCTUATION = ("[", "]", "[[", "]]", "{", "}", ",", "=", ".", "comment", "ERROR")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A character of a text: line and column, both from 1, columns counted in characters."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a key and its value begin. An array's element has no key of its own: both are the value's.

    A table made by a header has its value at the header's bracket.
    """

    key: Position
    value: Position


def positions(text: str) -> Mapping[KeyPath, Place]:
    """The place of every key path in the TOML `text`, which `tomllib` must have accepted.

    Tables that are only implied (`a` in `[a.b]`) have the place of their first mention; a header of
    their own wins over that.
    """
    import tree_sitter_toml  # a profile without faults is used without its places
    from tree_sitter import Language, Parser

    source = text.encode()
    walk = _Walk(source.split(b"\n"))
    walk.document(Parser(Language(tree_sitter_toml.language())).parse(source).root_node)
    return walk.places


def dotted(path: KeyPath) -> str:
    """A key path as a person writes it: `cache.memory.max_size`, `warm.calls[0].tool`, `upstreams."a b"`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f"{'.' if text else ''}{step if _BARE_KEY.fullmatch(step) else _quoted(step)}"
    return text


def _quoted(key: str) -> str:
    return '"' + "".join(_escaped(character) for character in key) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"


@dataclass(slots=True)
class _Walk:
    """One pass over a syntax tree."""

    lines: list[bytes]
    places: dict[KeyPath, Place] = field(default_factory=dict)
    lengths: dict[KeyPath, int] = field(default_factory=dict)
    """How many elements each array of tables has so far: a header means the last one."""

    def document(self, root: Node) -> None:
        for child in root.children:
            if child.type == "pair":
                self._pair(child, ())
            elif child.type in _HEADERS:
                self._table(child)

    def _table(self, node: Node) -> None:
        key = next((child for child in node.children if child.type in _KEYS), None)
        if key is None:
            return
        steps = list(_steps(key))
        opening = self._position(node)
        path: KeyPath = ()
        for part, name in steps[:-1]:
            path = self._into(path, name, self._position(part))
        part, name = steps[-1]
        place = Place(self._position(part), opening)
        path = (*path, name)
        if node.type == "table_array_element":
            self.places.setdefault(path, place)
            self.lengths[path] = self.lengths.get(path, 0) + 1
            path = (*path, self.lengths[path] - 1)
        self.places[path] = place
        for child in node.children:
            if child.type == "pair":
                self._pair(child, path)

    def _into(self, path: KeyPath, name: str, at: Position) -> KeyPath:
        """The path of table `name` in `path`, or of its last element where it is an array of tables."""
        path = (*path, name)
        self.places.setdefault(path, Place(at, at))
        return (*path, self.lengths[path] - 1) if path in self.lengths else path

    def _pair(self, node: Node, path: KeyPath) -> None:
        parts = [child for child in node.children if child.type not in ("=", "comment", "ERROR")]
        if len(parts) != 2:
            return
        key, value = parts
        *tables, (last, name) = _steps(key)
        for part, table in tables:
            path = self._into(path, table, self._position(part))
        path = (*path, name)
        self.places[path] = Place(self._position(last), self._position(value))
        self._value(value, path)

    def _value(self, node: Node, path: KeyPath) -> None:
        if node.type == "inline_table":
            for child in node.children:
                if child.type == "pair":
                    self._pair(child, path)
        elif node.type == "array":
            elements = (child for child in node.children if child.type not in _PUNCTUATION)
            for index, element in enumerate(elements):
                at = self._position(element)
                self.places[*path, index] = Place(at, at)
                self._value(element, (*path, index))

    def _position(self, node: Node) -> Position:
        row, byte = node.start_point
        return Position(row + 1, len(self.lines[row][:byte].decode(errors="replace")) + 1)


def _steps(key: Node) -> Iterator[tuple[Node, str]]:
    """The parts of a key in order, each with its text unquoted."""
    if key.type == "dotted_key":
        for child in key.children:
            if child.type in _KEYS:
                yield from _steps(child)
        return
    text = (key.text or b"").decode()
    yield key, next(iter(tomllib.loads(f"{text} = 0"))) if key.type == "quoted_key" else text
