"""How long something takes, over many times: counts in buckets, from which percentiles are read."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_RENARD = (1.0, 1.12, 1.25, 1.4, 1.6, 1.8, 2.0, 2.24, 2.5, 2.8, 3.15, 3.55, 4.0, 4.5, 5.0, 5.6, 6.3, 7.1, 8.0, 9.0)
"""R20 of ISO 3, twenty steps of about 12 % to a decade, of which 1, 2.5 and 5 are three."""

BOUNDS = tuple(float(f"{step}e{decade}") for decade in range(-6, 3) for step in _RENARD)
"""Upper bounds of the buckets in seconds, from a microsecond to a quarter of an hour; one more bucket is above them."""

EXPOSED = tuple(float(f"{step}e{decade}") for decade in range(-6, 2) for step in (1.0, 2.5, 5.0))
"""The bounds that leave the process: few enough for a monitoring system, the same everywhere, so that they add up."""

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
    """Durations in seconds. A percentile is within its bucket, so within 15 % of the truth; the rest is exact."""

    __slots__ = ("counts", "max", "min", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.sum = 0.0
        self.min = float("inf")
        self.max = 0.0

    def record(self, seconds: float) -> None:
        """Count one more."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds
        if seconds < self.min:
            self.min = seconds
        if seconds > self.max:
            self.max = seconds

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)

    def summary(self) -> Summary:
        """Its numbers."""
        count = self.count
        if not count:
            return Summary(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
        p50, p95, p99 = (self.percentile(share) for share in (0.5, 0.95, 0.99))
        return Summary(count, self.sum, self.sum / count, self.min, self.max, p50, p95, p99)

    def percentile(self, share: float) -> float:
        """What `share` of all are not longer than, by interpolation within a bucket; 0 for an empty one."""
        count = self.count
        rank, seen = share * count, 0
        for index, here in enumerate(self.counts):
            if here and seen + here >= rank:
                low = BOUNDS[index - 1] if index else 0.0
                high = BOUNDS[index] if index < len(BOUNDS) else self.max
                inside = low + (high - low) * (rank - seen) / here
                return min(max(inside, self.min), self.max)
            seen += here
        return 0.0

    def exposed(self) -> list[int]:
        """How many are at most as long as each of `EXPOSED`."""
        running, cumulative = 0, []
        for here in self.counts:
            running += here
            cumulative.append(running)
        return [cumulative[index] for index in _EXPOSED_AT]

    def copy(self) -> Histogram:
        """The same, which stays as it is."""
        return combined((self,))

    def since(self, before: Histogram | None) -> Histogram:
        """What was recorded after `before`, an earlier copy; the least and the longest are bounds of buckets then."""
        if before is None:
            return self.copy()
        part = Histogram()
        part.counts = [now - then for now, then in zip(self.counts, before.counts, strict=True)]
        part.sum = max(0.0, self.sum - before.sum)
        filled = [index for index, here in enumerate(part.counts) if here]
        if filled:
            part.min = max(self.min, BOUNDS[filled[0] - 1] if filled[0] else 0.0)
            part.max = min(self.max, BOUNDS[filled[-1]] if filled[-1] < len(BOUNDS) else self.max)
        return part


def combined(parts: Iterable[Histogram]) -> Histogram:
    """All of them together."""
    whole = Histogram()
    columns: list[Sequence[int]] = []
    for part in parts:
        columns.append(part.counts)
        whole.sum += part.sum
        whole.min = min(whole.min, part.min)
        whole.max = max(whole.max, part.max)
    if columns:
        whole.counts = [sum(column) for column in zip(*columns, strict=True)]
    return whole
