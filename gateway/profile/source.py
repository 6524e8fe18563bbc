"""One TOML file: read within bounds, parsed, with the place of every key; or the one fault that prevents it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gateway.profile.faults import Fault
from gateway.profile.positions import KeyPath, Place, Position, positions
from gateway.profile.units import format_size

MAX_BYTES = 4_000_000
"""Largest file: far above any profile, far below what would be felt."""

MAX_DEPTH = 100
"""Deepest nesting: whatever walks a profile may recurse."""

_TOP = Place(Position(1, 1), Position(1, 1))

_WHERE = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


@dataclass(frozen=True)
class Source:
    """A file that was read: `name` is how messages call it, `table` what its `text` says."""

    name: str
    path: Path
    text: str = field(repr=False)
    table: dict[str, Any] = field(repr=False)

    @cached_property
    def lines(self) -> tuple[str, ...]:
        """The lines of the text, without their ends."""
        return _lines(self.text)

    @cached_property
    def places(self) -> Mapping[KeyPath, Place]:
        """The place of every key path; found once somebody asks, since it takes as long as all else of loading."""
        return positions(self.text)

    def place(self, path: KeyPath) -> Place:
        """The place of the key at `path`, or of what it stands in."""
        known = (self.places[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.places)
        return next(known, _TOP)


def read_source(path: Path, name: str) -> Source | Fault:
    """The file at `path`, or why it can't be used. A byte order mark is passed over."""
    try:
        if not path.is_file():
            return Fault(name, expected="a file", found="a folder" if path.is_dir() else "no file")
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        return Fault(name, expected="a file that can be read", found=(error.strerror or str(error)).lower())
    if len(content) > MAX_BYTES:
        return Fault(name, expected=f"a file of at most {format_size(MAX_BYTES)}", found="a larger one")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return _not_utf8(name, content, error)
    return _parsed(path, name, text)


def _not_utf8(name: str, content: bytes, error: UnicodeDecodeError) -> Fault:
    before = content[: error.start]
    line = before.count(b"\n") + 1
    start = before.rfind(b"\n") + 1
    column = len(before[start:].decode("utf-8-sig" if line == 1 else "utf-8")) + 1
    shown = content[start:].partition(b"\n")[0].decode("utf-8", errors="replace")
    found = f"the byte 0x{content[error.start]:02x}"
    return Fault(name, line, column, expected="UTF-8 text", found=found, source_line=shown)


def _parsed(path: Path, name: str, text: str) -> Source | Fault:
    try:
        table = tomllib.loads(text)
    except RecursionError:
        return _too_deep(name)
    except ValueError as error:  # TOMLDecodeError, and what int() says of thousands of digits
        return _syntax(name, _lines(text), str(error))
    if depth_exceeds(table):
        return _too_deep(name)
    source = Source(name, path, text, table)
    if (huge := _huge_integer(table)) is not None:
        at = source.place(huge).value
        source_line = source.lines[at.line - 1]
        return Fault(name, at.line, at.column, huge, "an integer of at most 64 bits", "a larger one", source_line)
    return source


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.removesuffix("\r") for line in text.split("\n"))


def _too_deep(name: str) -> Fault:
    return Fault(name, expected=f"tables and arrays nested at most {MAX_DEPTH} deep", found="more")


def _syntax(name: str, lines: tuple[str, ...], message: str) -> Fault:
    match = _WHERE.fullmatch(message)
    problem = match[1] if match else message
    found = f"a syntax error: {problem[:1].lower()}{problem[1:]}"
    if match is None:
        return Fault(name, expected="TOML", found=found)
    line, column = (int(match[2]), int(match[3])) if match[2] else (len(lines), len(lines[-1]) + 1)
    return Fault(name, line, column, expected="TOML", found=found, source_line=lines[line - 1])


def depth_exceeds(value: object, limit: int = MAX_DEPTH) -> bool:
    """Whether tables and arrays in `value` are nested deeper than `limit`; does not recurse."""
    level = [value]
    for _ in range(limit + 1):
        level = [child for parent in level for child in _children(parent)]
        if not level:
            return False
    return True


def _children(value: object) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _huge_integer(value: object, path: KeyPath = ()) -> KeyPath | None:
    """The path of an integer that TOML does not promise to carry, if there is one."""
    if isinstance(value, int):
        return path if not -(2**63) <= value < 2**63 else None
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = (_huge_integer(child, (*path, step)) for step, child in items)
    return next((at for at in found if at is not None), None)
