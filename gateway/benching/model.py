"""What a benchmark is and what it finds: subjects, their iterations, and the numbers of a run. Pure."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median

Iteration = Callable[[], Awaitable[float]]
"""Makes the operations of one iteration and answers how many seconds they took together.

It takes the time itself, so that what has to be prepared, such as the entries that a purge removes, is no part of it.
"""

Open = Callable[[Path], AbstractAsyncContextManager[Iteration]]
"""Opens what is measured, with a folder of its own, and closes it after the last iteration."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Something whose cost is measured."""

    name: str
    """Stable and hierarchical: what a saved run is compared by."""
    about: str
    """What one operation is."""
    open: Open
    operations: int = 1
    """How many operations an iteration makes: in a row where one alone is too quick for a clock, else at once."""
    share: int = 1
    """One iteration in place of so many, for what takes long."""

    def iterations(self, asked: int) -> int:
        """How many iterations it has where `asked` are asked for: its share of them, and one at least."""
        return max(1, asked // self.share)

    def warmup(self, asked: int) -> int:
        """How many iterations are made ahead and not counted."""
        return math.ceil(asked / self.share)


@dataclass(frozen=True, slots=True)
class Numbers:
    """What one operation costs, in seconds."""

    mean: float
    min: float
    median: float
    max: float
    p95: float
    p99: float

    @classmethod
    def of(cls, costs: Sequence[float]) -> Numbers:
        """The numbers of at least one cost."""
        ordered = sorted(costs)
        return cls(
            fmean(ordered), ordered[0], median(ordered), ordered[-1], _percentile(ordered, 95), _percentile(ordered, 99)
        )


@dataclass(frozen=True, slots=True)
class Measurement:
    """What was found of one subject."""

    name: str
    iterations: int
    operations: int
    """In each iteration."""
    cost: Numbers
    calibration: float
    """The least that an iteration of the calibration loop took in the same minutes, in seconds."""

    @property
    def ratio(self) -> float:
        """What an operation costs in iterations of the calibration loop, least by least: this is what is compared.

        Whatever else a machine does only ever adds to a cost, so the least is the one that it has disturbed least
        (Chen and Revels, "Robust benchmarking in noisy environments", 2016; `timeit` says the same). Of eight runs of
        twelve subjects on two busy cores, the highest ratio of minima was 1.02 to 1.09 times the lowest for what the
        processor does alone, up to 1.26 over sockets and 1.44 for writes at once; with medians it was up to 2.6.
        What only some operations pay is not in it: p95, p99 and max are there for a person to look at.
        """
        return self.cost.min / self.calibration

    @property
    def rate(self) -> float:
        """Operations a second."""
        return 1 / self.cost.mean


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """The nearest rank: the smallest cost that at least `percent` of all do not exceed."""
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]
