"""How misses spread over the arguments of tools: whether the same is asked for in many spellings, or never twice."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_REMEMBERED = 2000
"""Misses of a tool that are looked at: the last ones."""
_LONGEST = 200
"""Characters of a value that count; longer ones are texts of their own."""
_ALIKE = re.compile(r"[\s_\-]+")


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of one argument among the last misses of a tool."""

    misses: int
    values: int
    """Different ones, as they were sent."""
    folded: int
    """Different ones, case, blanks, `-` and `_` aside."""


@dataclass(slots=True)
class _Tool:
    misses: deque[Mapping[str, tuple[int, int]]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))


class MissShapes:
    """Notes hashes of the arguments of misses, by tool: no value is kept. Nothing is noted on a hit."""

    def __init__(self) -> None:
        self._tools: dict[str, _Tool] = {}

    def note(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """A call of `tool`, whose name is the profile's, was not in the cache."""
        seen = {name: _hashes(value) for name, value in arguments.items() if isinstance(value, str | int)}
        self._tools.setdefault(tool, _Tool()).misses.append(seen)

    def spreads(self) -> dict[str, dict[str, Spread]]:
        """By tool and argument."""
        return {tool: dict(_spreads(noted)) for tool, noted in self._tools.items()}


def _spreads(noted: _Tool) -> list[tuple[str, Spread]]:
    names = {name for miss in noted.misses for name in miss}
    found = []
    for name in sorted(names):
        hashes = [miss[name] for miss in noted.misses if name in miss]
        values, folded = {value for value, _ in hashes}, {fold for _, fold in hashes}
        found.append((name, Spread(len(hashes), len(values), len(folded))))
    return found


def _hashes(value: str | int) -> tuple[int, int]:
    text = str(value)[:_LONGEST]
    return hash(text), hash(_ALIKE.sub("", text).casefold())
