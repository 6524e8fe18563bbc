"""What the misses of tools have in common: the same again, the same in many spellings, or never the same twice."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_REMEMBERED = 500
"""Misses of a tool that are looked at: the last ones. Each takes some two hundred bytes."""
_SURE = 0.9
"""Of the values with several spellings, how many have to be answered the same in all of them."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The values of one argument, a text, among the last misses of a tool."""

    values: int
    """Different ones, as they were asked for."""
    fewest: int
    """Different ones under the way of writing that leaves the fewest and changes no answer."""
    way: int | None
    """Which of the ways that is, by its place; None where none leaves fewer."""


@dataclass(frozen=True, slots=True)
class Misses:
    """The last misses of one tool that were answered."""

    noted: int
    again: int
    """Those of the same key as one before: the answer had been there."""
    arguments: Mapping[str, Spread]


@dataclass(frozen=True, slots=True)
class _Noted:
    """Hashes alone, of 64 bits each: the key's, the answer's, then each text's in each way of writing it."""

    names: tuple[str, ...]
    """The arguments that are texts; one object for all misses that have the same."""
    hashes: array[int]

    def miss(self) -> _Miss:
        key, answer, *texts = self.hashes
        ways = len(texts) // len(self.names) if self.names else 0
        parts = {name: tuple(texts[at * ways : (at + 1) * ways]) for at, name in enumerate(self.names)}
        return _Miss(key, answer, parts)


@dataclass(frozen=True, slots=True)
class _Miss:
    key: int
    answer: int
    arguments: Mapping[str, tuple[int, ...]]


class MissShapes:
    """Notes hashes of answered misses, by tool: no value is kept. Nothing is noted on a hit."""

    def __init__(self) -> None:
        self._tools: dict[str, deque[_Noted]] = {}
        self._told: dict[str, Misses] | None = None

    def note(self, tool: str, key: str, texts: Mapping[str, Sequence[str]], answer: bytes) -> None:
        """A call of `tool`, whose name is the profile's, was not in the cache, and was answered.

        `texts` are its arguments that are texts: each as it was asked for, then in ways of writing it alike, the ones
        that change the least first. They are as many for each, and always in the same order.
        """
        noted = self._tools.setdefault(tool, deque(maxlen=_REMEMBERED))
        names = tuple(texts)
        if noted and noted[-1].names == names:
            names = noted[-1].names
        hashes = array("q", (hash(key), hash(answer), *(hash(text) for each in texts.values() for text in each)))
        noted.append(_Noted(names, hashes))

    def replace(self, misses: Mapping[str, Misses]) -> None:
        """Have these, and no others: what other processes have noted."""
        self._told = dict(misses)

    def misses(self) -> dict[str, Misses]:
        """By tool."""
        if self._told is not None:
            return self._told
        return {tool: _misses([each.miss() for each in noted]) for tool, noted in self._tools.items()}


def _misses(noted: Sequence[_Miss]) -> Misses:
    names = sorted({name for miss in noted for name in miss.arguments})
    again = len(noted) - len({miss.key for miss in noted})
    return Misses(len(noted), again, {name: _spread(name, noted) for name in names})


def _spread(name: str, noted: Sequence[_Miss]) -> Spread:
    having = [miss for miss in noted if name in miss.arguments]
    values = fewest = len({miss.arguments[name][0] for miss in having})
    best = None
    for way in range(1, len(having[0].arguments[name])):
        left = len({miss.arguments[name][way] for miss in having})
        if left < fewest and _changes_nothing(name, way, having):
            fewest, best = left, way - 1
    return Spread(values, fewest, best)


def _changes_nothing(name: str, way: int, having: Sequence[_Miss]) -> bool:
    """Whether what is one under this way was answered the same, and was asked for under that very spelling, too."""
    groups: dict[tuple[int, int], tuple[set[int], set[int]]] = {}
    for miss in having:
        own = miss.arguments[name]
        others = hash(tuple((key, texts[0]) for key, texts in sorted(miss.arguments.items()) if key != name))
        spellings, answers = groups.setdefault((own[way], others), (set(), set()))
        spellings.add(own[0])
        answers.add(miss.answer)
    several = [(folded, *sets) for (folded, _), sets in groups.items() if len(sets[0]) > 1]
    same = sum(len(answers) == 1 and folded in spellings for folded, spellings, answers in several)
    return bool(several) and same >= _SURE * len(several)
