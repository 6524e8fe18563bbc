"""Which call comes next: tools by weight, arguments by their distributions. Pure."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from gateway.loading.model import Call
from gateway.profile.load import LoadCall, Vary


@dataclass(frozen=True, slots=True)
class Weighted:
    """Numbers from 0 on, each as likely as its share of all weights."""

    cumulative: Sequence[float]

    @classmethod
    def of(cls, weights: Iterable[float]) -> Weighted:
        """From weights, each more than 0, at least one."""
        return cls(tuple(accumulate(weights)))

    def at(self, point: float) -> int:
        """The number that `point`, from 0 up to 1, falls on: the inverse of the cumulative distribution."""
        return min(bisect_right(self.cumulative, point * self.cumulative[-1]), len(self.cumulative) - 1)


def zipf(count: int, exponent: float) -> Weighted:
    """The law of Zipf over `count` ranks: rank k (from 1) in proportion to 1 / k ** exponent.

    So are pages and names asked for (Breslau and others, "Web caching and Zipf-like distributions", INFOCOM 1999, who
    find exponents of 0.6 to 0.9 at proxies).
    """
    return Weighted.of(rank**-exponent for rank in range(1, count + 1))


@dataclass(frozen=True, slots=True)
class _Varied:
    name: str
    values: Sequence[Any]
    ranks: Weighted

    @classmethod
    def of(cls, name: str, section: Vary) -> _Varied:
        exponent = section.exponent if section.distribution == "zipf" else 0.0
        return cls(name, section.values, zipf(len(section.values), exponent))


@dataclass(frozen=True, slots=True)
class _Kind:
    """One `[[load.calls]]`."""

    call: Call
    varied: Sequence[_Varied]

    def draw(self, by: random.Random) -> Call:
        if not self.varied:
            return self.call
        drawn = {one.name: one.values[one.ranks.at(by.random())] for one in self.varied}
        return Call(self.call.tool, {**self.call.arguments, **drawn})


@dataclass(frozen=True, slots=True)
class Mix:
    """Calls to draw from."""

    kinds: Sequence[_Kind]
    weights: Weighted

    def draw(self, by: random.Random) -> Call:
        """The next call."""
        return self.kinds[self.weights.at(by.random())].draw(by)


def mix_of(calls: Sequence[LoadCall]) -> Mix:
    """The mix that `[[load.calls]]` say; at least one."""
    kinds = [
        _Kind(Call(call.tool, call.arguments), [_Varied.of(name, vary) for name, vary in call.vary.items()])
        for call in calls
    ]
    return Mix(kinds, Weighted.of(call.weight for call in calls))


def uniform_mix(calls: Sequence[tuple[str, Mapping[str, Any]]]) -> Mix:
    """Each of these tools with its arguments as often as the others; at least one."""
    return Mix([_Kind(Call(*call), ()) for call in calls], Weighted.of(1.0 for _ in calls))
