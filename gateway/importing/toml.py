"""TOML that a person reviews: tables with comments in front, and small tables on one line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import tomli_w

from gateway.printable import printable
from gateway.profile.interpolation import escape

_WIDTH = 118
"""Characters of a line up to which a table stands on it."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_COMMENT = 300
"""Characters of one line of a comment."""


class Written(str):
    """A text as the profile is to have it, with `${…}` that is to be filled in."""

    __slots__ = ()


def comment(*lines: str) -> str:
    """Lines of a comment; whatever they hold, none of them can end it."""
    return "".join(f"# {printable(line, _COMMENT)}".rstrip() + "\n" for line in lines if line)


def table(path: Iterable[str], values: Mapping[str, Any], *, spread: Iterable[str] = ()) -> str:
    """A table with its header. Members named in `spread` are tables of their own behind it, one member a line.

    Strings are written so that the profile's interpolation leaves them alone; nothing may be None. Without members of
    its own, and with others behind it, a table needs no header.
    """
    path, apart = tuple(path), set(spread)
    own = {key: value for key, value in values.items() if key not in apart}
    text = ""
    if own or not any(values.get(key) for key in apart):
        text = f"[{'.'.join(map(_key, path))}]\n" + "".join(f"{_key(k)} = {_value(v)}\n" for k, v in own.items())
    for key in values:
        if key in apart:
            text += table((*path, key), values[key]) if values[key] else ""
    return text


def _value(value: Any) -> str:
    match value:
        case dict():
            return _inline(value)
        case list() | tuple():
            line = f"[{', '.join(map(_value, value))}]"
            if len(line) <= _WIDTH:
                return line
            return "[\n" + "".join(f"    {_value(element)},\n" for element in value) + "]"
        case str():
            return _text(value)
        case _:
            return _scalar(value)


def _inline(value: Mapping[str, Any]) -> str:
    """A table on one line: TOML 1.0 allows no line break in it, but within arrays and multi-line strings."""
    if not value:
        return "{}"
    return "{ " + ", ".join(f"{_key(key)} = {_value(member)}" for key, member in value.items()) + " }"


def _text(value: str) -> str:
    clean = value.encode("utf-8", "replace").decode()
    return _scalar(clean if isinstance(value, Written) else escape(clean))


def _scalar(value: Any) -> str:
    return tomli_w.dumps({"x": value}).removeprefix("x = ").removesuffix("\n")


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _scalar(key.encode("utf-8", "replace").decode())
