"""What a load test has found, in numbers, and as the report has it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gateway.loading.tally import Counts, Tally
from gateway.printable import printable
from gateway.telemetry.histogram import BOUNDS, Histogram

_SHARES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p99_9": 0.999}


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds; all 0 where nothing was measured."""

    mean: float
    min: float
    max: float
    p50: float
    p90: float
    p95: float
    p99: float
    p99_9: float

    @classmethod
    def of(cls, histogram: Histogram) -> Latency:
        """The numbers of a histogram."""
        summary = histogram.summary()
        shares = {name: histogram.percentile(share) for name, share in _SHARES.items()}
        return cls(summary.mean, summary.min, summary.max, **shares)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of all requests, or of those for one tool."""

    requests: int
    succeeded: int
    failed: int
    size: int
    latency: Latency

    @property
    def success_rate(self) -> float:
        """The share that succeeded; 0 where there were none."""
        return self.succeeded / self.requests if self.requests else 0.0

    @classmethod
    def of(cls, counts: Counts) -> Numbers:
        """The numbers of one tool."""
        made = counts.succeeded + counts.failed
        return cls(made, counts.succeeded, counts.failed, counts.size, Latency.of(counts.latency))

    def as_json(self) -> dict[str, Any]:
        """As the report has it."""
        return {
            "requests": self.requests,
            "succeeded": self.succeeded,
            "failed": self.failed,
            "success_rate": self.success_rate,
            "bytes": self.size,
            "latency": asdict(self.latency),
        }


@dataclass(frozen=True, slots=True)
class Second:
    """One second of a run."""

    at: int
    succeeded: int
    failed: int
    p50: float
    p99: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """Latencies up to a bound: how many there were above that of the bucket before."""

    up_to: float
    count: int


@dataclass(frozen=True, slots=True)
class Result:
    """What a run has found."""

    seconds: float
    all: Numbers
    tools: Mapping[str, Numbers]
    errors: Mapping[str, int]
    """How many of each kind, the most frequent first."""
    details: Mapping[str, str]
    timeline: Sequence[Second]
    histogram: Sequence[Bucket]
    """From the first bucket that holds something to the last one."""

    @property
    def rate(self) -> float:
        """Requests a second that were answered well."""
        return self.all.succeeded / self.seconds if self.seconds else 0.0

    def as_json(self) -> dict[str, Any]:
        """As the report has it; durations are seconds."""
        return {
            "seconds": self.seconds,
            "requests_per_second": self.rate,
            **self.all.as_json(),
            "errors": dict(self.errors),
            "error_details": dict(self.details),
            "tools": {name: numbers.as_json() for name, numbers in self.tools.items()},
            "histogram": [asdict(bucket) for bucket in self.histogram],
            "timeline": [asdict(second) for second in self.timeline],
        }


def result_of(tally: Tally, seconds: float) -> Result:
    """The numbers of what was counted in `seconds`."""
    latency = tally.latency()
    whole = Counts(latency, tally.succeeded, tally.failed, tally.size)
    return Result(
        seconds,
        Numbers.of(whole),
        {name: Numbers.of(counts) for name, counts in sorted(tally.tools.items())},
        dict(tally.errors.most_common()),
        {kind: printable(detail, 200) for kind, detail in tally.details.items() if detail},
        [
            Second(at, one.succeeded, one.failed, one.latency.percentile(0.5), one.latency.percentile(0.99))
            for at, one in sorted(tally.seconds.items())
        ],
        _buckets(latency),
    )


def _buckets(histogram: Histogram) -> list[Bucket]:
    counts = histogram.counts
    filled = [index for index, count in enumerate(counts) if count]
    if not filled:
        return []
    bounds = (*BOUNDS, histogram.max)
    return [Bucket(bounds[index], counts[index]) for index in range(filled[0], filled[-1] + 1)]
