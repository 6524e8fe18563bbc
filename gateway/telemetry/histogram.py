"""How long something takes, over many times: counts in buckets, from which percentiles are read."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, MutableSequence, Sequence
from dataclasses import dataclass
from itertools import accumulate

_RENARD = (1.0, 1.12, 1.25, 1.4, 1.6, 1.8, 2.0, 2.24, 2.5, 2.8, 3.15, 3.55, 4.0, 4.5, 5.0, 5.6, 6.3, 7.1, 8.0, 9.0)
"""R20 of ISO 3, twenty steps of about 12 % to a decade, of which 1, 2.5 and 5 are three."""

BOUNDS = tuple(float(f"{step}e{decade}") for decade in range(-6, 3) for step in _RENARD)
"""Upper bounds of the buckets in seconds, from a microsecond to a quarter of an hour; one more bucket is above them."""

EXPOSED = tuple(float(f"{step}e{decade}") for decade in range(-6, 2) for step in (1.0, 2.5, 5.0))
"""The bounds that leave the process: few enough for a monitoring system, the same everywhere, so that they add up."""

_AT_ONCE = 256
"""Durations that are sorted in together: a fifth of the time that it takes one by one."""

_EXPOSED_AT = tuple(BOUNDS.index(bound) for bound in EXPOSED)


@dataclass(frozen=True, slots=True)
class Summary:
    """What a histogram says in numbers; seconds, all 0 for one that is empty."""

    count: int
    sum: float
    mean: float
    min: float
    max: float
    p50: float
    p95: float
    p99: float


class Histogram:
    """Durations in seconds. A percentile is within its bucket, so within 15 % of the truth; the rest is exact.

    To record is to append to a list: what is new is sorted into buckets by the hundred, or when somebody looks.
    """

    __slots__ = ("_count", "_counts", "_max", "_min", "_new", "_sum")

    def __init__(self) -> None:
        self._new: list[float] = []
        self._counts: MutableSequence[int] = [0] * (len(BOUNDS) + 1)
        self._count = 0
        self._sum = 0.0
        self._min = float("inf")
        self._max = 0.0

    def record(self, seconds: float) -> None:
        """Count one more."""
        new = self._new
        new.append(seconds)
        if len(new) >= _AT_ONCE:
            self._sort_in()

    @property
    def counts(self) -> Sequence[int]:
        """How many are in each bucket."""
        self._sort_in()
        return self._counts

    @property
    def count(self) -> int:
        """How many there were."""
        return self._count + len(self._new)

    @property
    def sum(self) -> float:
        """All of them together."""
        self._sort_in()
        return self._sum

    @property
    def min(self) -> float:
        """The least; infinite where there is none."""
        self._sort_in()
        return self._min

    @property
    def max(self) -> float:
        """The longest; 0 where there is none."""
        self._sort_in()
        return self._max

    def summary(self) -> Summary:
        """Its numbers."""
        self._sort_in()
        count = self._count
        if not count:
            return Summary(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        p50, p95, p99 = (self.percentile(share) for share in (0.5, 0.95, 0.99))
        return Summary(count, self._sum, self._sum / count, self._min, self._max, p50, p95, p99)

    def percentile(self, share: float) -> float:
        """What `share` of all are not longer than, by interpolation within a bucket; 0 for an empty one."""
        self._sort_in()
        rank, seen = share * self._count, 0
        for index, here in enumerate(self._counts):
            if here and seen + here >= rank:
                low = BOUNDS[index - 1] if index else 0.0
                high = BOUNDS[index] if index < len(BOUNDS) else self._max
                inside = low + (high - low) * (rank - seen) / here
                return min(max(inside, self._min), self._max)
            seen += here
        return 0.0

    def exposed(self) -> list[int]:
        """How many are at most as long as each of `EXPOSED`."""
        cumulative = list(accumulate(self.counts))
        return [cumulative[index] for index in _EXPOSED_AT]

    def copy(self) -> Histogram:
        """The same, which stays as it is."""
        self._sort_in()
        same = Histogram()
        same._counts, same._count, same._sum = list(self._counts), self._count, self._sum
        same._min, same._max = self._min, self._max
        return same

    def packed(self) -> Histogram:
        """The same to be kept in numbers: it takes half the room, or none where it is empty, and is only read."""
        if not self.count:
            return NOTHING
        small = self.copy()
        small._counts = array("I", small._counts)
        return small

    def parts(self) -> tuple[Sequence[int], int, float, float, float]:
        """What it is made of, for `of_parts`: the counts, how many, their sum, the least, the longest."""
        self._sort_in()
        return list(self._counts), self._count, self._sum, self._min, self._max

    @classmethod
    def of_parts(cls, counts: Sequence[int], count: int, total: float, least: float, longest: float) -> Histogram:
        """The one that `parts` told of. Raises ValueError where that has other buckets."""
        if len(counts) != len(BOUNDS) + 1:
            raise ValueError(f"expected {len(BOUNDS) + 1} buckets, found {len(counts)}")
        same = cls()
        same._counts, same._count, same._sum, same._min, same._max = list(counts), count, total, least, longest
        return same

    def since(self, before: Histogram | None) -> Histogram:
        """What was recorded after `before`, an earlier copy; the least and the longest are bounds of buckets then."""
        if before is None:
            return self.copy()
        part = Histogram()
        part._counts = [now - then for now, then in zip(self.counts, before.counts, strict=True)]
        part._count = self._count - before._count
        part._sum = max(0.0, self._sum - before._sum)
        filled = [index for index, here in enumerate(part._counts) if here]
        if filled:
            part._min = max(self._min, BOUNDS[filled[0] - 1] if filled[0] else 0.0)
            part._max = min(self._max, BOUNDS[filled[-1]] if filled[-1] < len(BOUNDS) else self._max)
        return part

    def _sort_in(self) -> None:
        """Put what is new into its buckets."""
        if not self._new:
            return
        new, self._new = sorted(self._new), []
        self._count += len(new)
        self._sum += sum(new)
        self._min, self._max = min(self._min, new[0]), max(self._max, new[-1])
        start = 0
        while start < len(new):
            index = bisect_left(BOUNDS, new[start])
            end = bisect_right(new, BOUNDS[index], start) if index < len(BOUNDS) else len(new)
            self._counts[index] += end - start
            start = end


NOTHING = Histogram()
"""An empty one, which is only read."""


def combined(parts: Iterable[Histogram]) -> Histogram:
    """All of them together."""
    whole = Histogram()
    columns: list[Sequence[int]] = []
    for part in parts:
        columns.append(part.counts)
        whole._count += part._count
        whole._sum += part._sum
        whole._min = min(whole._min, part._min)
        whole._max = max(whole._max, part._max)
    if len(columns) == 1:
        whole._counts = list(columns[0])
    elif columns:
        whole._counts = [sum(column) for column in zip(*columns, strict=True)]
    return whole
