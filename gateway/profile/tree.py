"""A profile before it is checked: values that know where each of them comes from, so that merging keeps that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from gateway.profile.faults import Advice, Contradiction, Fault, Finding, shown
from gateway.profile.positions import KeyPath, Place, Position
from gateway.profile.source import Source


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from. `file` is a file as messages call it, an environment variable or `--set`.

    Where it is a file, the value is that of `path` in `source`.
    """

    file: str
    source: Source | None = field(default=None, repr=False, compare=False)
    path: KeyPath = ()

    @property
    def place(self) -> Place | None:
        """The place of the key and of the value; None where there is no file."""
        return self.source.place(self.path) if self.source else None

    @property
    def line(self) -> int | None:
        """The line of the key, from 1; None where there is no file."""
        return self.source.place(self.path).key.line if self.source else None

    @property
    def column(self) -> int | None:
        """The column of the key, from 1; None where there is no file."""
        return self.source.place(self.path).key.column if self.source else None

    @property
    def label(self) -> str:
        """The origin in a word: `base.toml:12`, `GATEWAY__CACHE__POOL_SIZE` or `--set`."""
        return f"{PurePath(self.file).name}:{self.line}" if self.source else self.file

    def source_line(self, position: Position | None) -> str | None:
        """The line of the file that holds `position`."""
        lines = self.source.lines if self.source else ()
        return lines[position.line - 1] if position and position.line <= len(lines) else None


@dataclass(frozen=True, slots=True)
class Node:
    """A value: a scalar, a dict of nodes or a list of nodes.

    `written` is the text before `${…}` was filled in, where there was any: the only form that is ever shown.
    """

    value: Any
    origin: Origin
    written: str | None = None

    def shown(self) -> str:
        """The value as a message may quote it."""
        return shown(self.value if self.written is None else self.written)


def grow(value: Any, origin_of: Callable[[KeyPath], Origin], path: KeyPath = ()) -> Node:
    """The tree of a parsed TOML value; `origin_of` says where each path comes from."""
    if isinstance(value, dict):
        value = {key: grow(child, origin_of, (*path, key)) for key, child in value.items()}
    elif isinstance(value, list):
        value = [grow(child, origin_of, (*path, index)) for index, child in enumerate(value)]
    return Node(value, origin_of(path))


def from_source(source: Source) -> Node:
    """The tree of a file."""
    return grow(source.table, lambda path: Origin(source.name, source, path))


def merge(under: Node, over: Node) -> Node:
    """`over` on top of `under`: tables are merged deeply, anything else is replaced."""
    if not (isinstance(under.value, dict) and isinstance(over.value, dict)):
        return over
    merged = dict(under.value)
    for key, node in over.value.items():
        merged[key] = merge(merged[key], node) if key in merged else node
    return Node(merged, over.origin)


def plain(node: Node) -> Any:
    """The value alone, as `tomllib` would have given it."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def walk(root: Node) -> Iterator[tuple[KeyPath, Node]]:
    """Every node with its path, parents first."""
    waiting: list[tuple[KeyPath, Node]] = [((), root)]
    while waiting:
        path, node = waiting.pop()
        yield path, node
        if isinstance(node.value, dict):
            waiting += [((*path, key), child) for key, child in reversed(node.value.items())]
        elif isinstance(node.value, list):
            waiting += [((*path, index), child) for index, child in reversed([*enumerate(node.value)])]


def lookup(root: Node, path: KeyPath) -> tuple[Node, KeyPath]:
    """The node at `path`, or its nearest ancestor that exists; and the path of that."""
    node = root
    for depth, step in enumerate(path):
        known: bool = (isinstance(node.value, dict) and step in node.value) or (
            isinstance(node.value, list) and isinstance(step, int) and step < len(node.value)
        )
        if not known:
            return node, path[:depth]
        node = node.value[step]
    return node, path


def place_fault(root: Node, finding: Finding) -> Fault:
    """`finding` as a fault of the place that its value comes from; a missing key's is its table's header.

    Of a value that was filled in, nothing but the text before that is told: it may be a secret.
    """
    node, known = lookup(root, finding.path)
    there = known == finding.path
    origin = node.origin
    position = None
    if origin.place is not None:
        position = origin.place.key if finding.at == "key" and there else origin.place.value
    table, _ = lookup(root, finding.path[:-1])
    secret = any(below.written is not None for _, below in walk(table))
    found = finding.found if finding.found is not None and node.written is None else None
    return Fault(
        file=origin.file,
        line=position.line if position else None,
        column=position.column if position else None,
        key=finding.path,
        expected=f"{finding.expected} ({finding.detail})" if finding.detail and not secret else finding.expected,
        found=found or (node.shown() if there else "nothing"),
        source_line=None if finding.secret else origin.source_line(position),
        suggestion=None if node.written is not None else finding.suggestion,
    )


def place_advice(root: Node, contradiction: Contradiction) -> Advice:
    """`contradiction` at the first of its keys that a file, a variable or `--set` sets; else at the profile's top."""
    for path in contradiction.paths:
        node, known = lookup(root, path)
        if known == path:
            break
    else:
        node, path = root, contradiction.paths[0]
    origin = node.origin
    position = origin.place.key if origin.place else None
    return Advice(
        file=origin.file,
        line=origin.line,
        column=origin.column,
        key=path,
        problem=contradiction.problem,
        remedy=contradiction.remedy,
        source_line=origin.source_line(position),
    )
