"""The numbers that the gateway keeps: families of them by their labels, and how one is told to the outside.

Labels come from the profile only, or are one of a few words: never anything that a request can choose.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from gateway.telemetry.histogram import Histogram

Labels = tuple[str, ...]


@dataclass(slots=True)
class TierMeter:
    """What happened in one tier since the start."""

    hits: int = 0
    misses: int = 0
    writes: int = 0
    errors: int = 0
    """Reads and writes that failed; each was served as a miss."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A family as it is told: every sample has a value for each of the label names.

    `name` ends with its unit (`_seconds`, `_bytes`, `_ratio`); a counter's `_total` is for the exposition to add.
    """

    name: str
    help: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: Labels
    samples: Mapping[Labels, float | Histogram]


class Timings:
    """How long something takes, apart for each combination of labels."""

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self.name = name
        self.labels = labels
        self._about = about
        self._histograms: dict[Labels, Histogram] = {}

    def of(self, *values: str) -> Histogram:
        """The histogram of these values, in the order of `labels`; keep it where it is used often."""
        histogram = self._histograms.get(values)
        if histogram is None:
            histogram = self._histograms[values] = Histogram()
        return histogram

    def items(self) -> Iterator[tuple[Labels, Histogram]]:
        """Each that has anything, by its labels."""
        return ((labels, histogram) for labels, histogram in self._histograms.items() if histogram.count)

    def replace(self, histograms: Mapping[Labels, Histogram]) -> None:
        """Have these, and no others: what other processes have recorded."""
        self._histograms = dict(histograms)

    def by(self, *names: str) -> Mapping[Labels, list[Histogram]]:
        """The histograms that have the same values of the labels `names`."""
        places = [self.labels.index(name) for name in names]
        grouped: dict[Labels, list[Histogram]] = {}
        for labels, histogram in self.items():
            grouped.setdefault(tuple(labels[place] for place in places), []).append(histogram)
        return grouped

    def metric(self) -> Metric:
        """As it is told."""
        return Metric(self.name, self._about, "histogram", self.labels, dict(self.items()))


class Counts:
    """How often something happened, apart for each combination of labels."""

    def __init__(self, name: str, about: str, *labels: str) -> None:
        self.name = name
        self.labels = labels
        self._about = about
        self._counts: Counter[Labels] = Counter()

    def add(self, *values: str, by: int = 1) -> None:
        """Count `by` more."""
        self._counts[values] += by

    def items(self) -> Iterator[tuple[Labels, int]]:
        """Each, by its labels."""
        return iter(self._counts.items())

    def replace(self, counts: Mapping[Labels, int]) -> None:
        """Have these, and no others: what other processes have counted."""
        self._counts = Counter(counts)

    def total(self, *values: str) -> int:
        """How many there were of these values."""
        return self._counts[values]

    def metric(self) -> Metric:
        """As it is told."""
        return Metric(self.name, self._about, "counter", self.labels, dict(self._counts))
