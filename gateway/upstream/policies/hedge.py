"""A second, equal request for one that takes long (J. Dean, L. A. Barroso, "The Tail at Scale", CACM 56, 2013)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import trio

from gateway.errors import UpstreamUnavailable
from gateway.profile.upstreams.policies import Hedge

T = TypeVar("T")

_REMEMBERED = 100
_ENOUGH = 20
"""Answers from which on a percentile says something."""


class Latencies:
    """How long the last 100 answers took, in seconds."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)

    def add(self, seconds: float) -> None:
        """One answer more."""
        self._seconds.append(seconds)

    def percentile(self, share: float) -> float:
        """The time within which `share` of the answers came (nearest rank); 0 while there are too few to say."""
        if len(self._seconds) < _ENOUGH:
            return 0.0
        rank = math.ceil(share * len(self._seconds) - 1e-9)
        return sorted(self._seconds)[max(rank, 1) - 1]


def delay_of(section: Hedge, latencies: Latencies) -> float:
    """The seconds after which a second request is due."""
    return max(section.after, 0.0 if section.percentile is None else latencies.percentile(section.percentile))


async def hedged(
    first: Callable[[], Awaitable[T]], delay: float, second: Callable[[], Callable[[], Awaitable[T]] | None]
) -> T:
    """What `first` answers, or, when that takes longer than `delay`, whichever answers first of it and another.

    `second` gives the other one at that moment, or None where there may be none; its block of resources is its own.
    The one that comes too late is cancelled. UpstreamUnavailable of one is no answer as long as the other is under way;
    if both fail, the failure of `first` is raised. Any other exception counts as an answer. Cancelling cancels both.
    """
    race: _Race[T] = _Race()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(race.run, first, 0)
        with trio.move_on_after(delay):
            await race.over.wait()
        other = None if race.over.is_set() else second()
        if other is not None:
            race.runners += 1
            nursery.start_soon(race.run, other, 1)
        await race.over.wait()
        nursery.cancel_scope.cancel()
    return race.answer()


class _Race(Generic[T]):
    def __init__(self) -> None:
        self.over = trio.Event()
        self.runners = 1
        self._answers: list[T] = []
        self._final: list[Exception] = []
        self._failures: dict[int, UpstreamUnavailable] = {}

    async def run(self, ask: Callable[[], Awaitable[T]], number: int) -> None:
        try:
            answer = await ask()
        except UpstreamUnavailable as failure:
            self._failures[number] = failure
            if len(self._failures) == self.runners:
                self.over.set()
        except Exception as error:
            self._end(self._final, error)
        else:
            self._end(self._answers, answer)

    def answer(self) -> T:
        if self._answers:
            return self._answers[0]
        raise self._final[0] if self._final else self._failures[min(self._failures)]

    def _end(self, what: list[T] | list[Exception], value: T | Exception) -> None:
        """Only the first one counts: the other may end before it is cancelled."""
        if not self.over.is_set():
            what.append(value)  # type: ignore[arg-type]  # each list gets its own kind
            self.over.set()
