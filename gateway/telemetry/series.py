"""What happened lately, sample by sample: what alerts, charts and the diagnosis look at."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from gateway.telemetry.histogram import Histogram, combined

ANSWERED_FROM_CACHE = ("hit", "stale")
CACHEABLE = (*ANSWERED_FROM_CACHE, "miss")
"""Outcomes of requests that could have come from the cache; the others say nothing about it."""
FAILURES = ("failed", "crashed")
"""Outcomes that are not the caller's doing."""
UPSTREAM_FAILURES = ("unavailable", "not_asked", "rejected", "invalid")
"""Ends of questions to an upstream that are its fault, or that a limit prevented."""


@dataclass(frozen=True, slots=True)
class UpstreamSample:
    """What one upstream did."""

    timings: Histogram
    outcomes: Mapping[str, int]
    under_way: int = 0
    queued: int = 0
    throttled: int = 0
    requests: int = 0
    """Sent for callers, each once."""
    extra: int = 0
    """Retries and hedges beside those."""
    breaker_open: bool = False
    waits: int = 0
    """Requests that had to wait for a slot."""


@dataclass(frozen=True, slots=True)
class TierSample:
    """What one tier did, and how full it is."""

    hits: int
    misses: int
    failed: int
    entries: int
    size: int
    limit: int
    evictions: int


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """What the process used. Bytes, a share of one core, seconds."""

    memory: int = 0
    cpu: float = 0.0
    lag: float = 0.0
    """The longest that the event loop kept a task waiting."""
    descriptors: int = 0
    disk_free: int | None = None
    """Where the disk tier's file lies; None where there is none."""
    shared_down: float | None = None
    """For how long the engine of the shared tier has been out of reach; None where there is none."""
    threads: int = 0
    """Worker threads that worked..."""
    threads_waiting: int = 0
    """...and tasks that waited for one."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What happened in `seconds` until `at` (seconds since the epoch); counts are of that time alone."""

    at: float
    seconds: float
    requests: Histogram
    outcomes: Mapping[str, int]
    tiers: Mapping[str, TierSample]
    upstreams: Mapping[str, UpstreamSample]
    process: ProcessSample


@dataclass(frozen=True)
class Window:
    """Several samples, one after the other, as one; what is made of many of them is made once."""

    samples: Sequence[Sample]

    @cached_property
    def seconds(self) -> float:
        """How long they took."""
        return sum(sample.seconds for sample in self.samples)

    @cached_property
    def requests(self) -> Histogram:
        """How long requests took."""
        return combined(sample.requests for sample in self.samples)

    @cached_property
    def outcomes(self) -> Counter[str]:
        """How requests ended."""
        return _added(sample.outcomes for sample in self.samples)

    @property
    def throughput(self) -> float:
        """Requests a second."""
        return sum(self.outcomes.values()) / self.seconds if self.seconds else 0.0

    @property
    def hit_rate(self) -> float | None:
        """The share of what can be cached that was; None where nothing was asked for that can."""
        outcomes = self.outcomes
        return _ratio(sum(outcomes[word] for word in ANSWERED_FROM_CACHE), sum(outcomes[word] for word in CACHEABLE))

    @property
    def error_rate(self) -> float | None:
        """The share of requests that failed; None where nothing was asked."""
        outcomes = self.outcomes
        return _ratio(sum(outcomes[word] for word in FAILURES), sum(outcomes.values()))

    def tier_hit_rate(self, tier: str) -> float | None:
        """The share of the reads of a tier that found something; None where none was read."""
        parts = [sample.tiers[tier] for sample in self.samples if tier in sample.tiers]
        hits = sum(part.hits for part in parts)
        return _ratio(hits, hits + sum(part.misses for part in parts))

    def evictions(self, tier: str) -> int:
        """How many entries a tier gave up."""
        return sum(sample.tiers[tier].evictions for sample in self.samples if tier in sample.tiers)

    def upstream(self, name: str) -> Histogram:
        """How long questions to an upstream took."""
        return combined(sample.upstreams[name].timings for sample in self.samples if name in sample.upstreams)

    def upstream_outcomes(self, name: str) -> Counter[str]:
        """How questions to an upstream ended."""
        return _added(sample.upstreams[name].outcomes for sample in self.samples if name in sample.upstreams)

    def upstream_requests(self, name: str) -> tuple[int, int]:
        """How many requests an upstream was sent for callers, and how many retries and hedges beside those."""
        parts = [sample.upstreams[name] for sample in self.samples if name in sample.upstreams]
        return sum(part.requests for part in parts), sum(part.extra for part in parts)

    @property
    def last(self) -> Sample | None:
        """The newest one."""
        return self.samples[-1] if self.samples else None

    @property
    def cpu(self) -> float | None:
        """The mean share of one core; None without samples."""
        if not self.seconds:
            return None
        return sum(sample.process.cpu * sample.seconds for sample in self.samples) / self.seconds

    @property
    def lag(self) -> float | None:
        """The longest that the event loop kept a task waiting; None without samples."""
        return max((sample.process.lag for sample in self.samples), default=None)


class Series:
    """The samples of the last `history` seconds, oldest first."""

    def __init__(self, history: float) -> None:
        self._history = history
        self._samples: deque[Sample] = deque()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._samples)

    def __iter__(self) -> Iterator[Sample]:
        """Oldest first."""
        return iter(self._samples)

    def keep(self, history: float) -> None:
        """Keep the samples of so many seconds from now on."""
        self._history = history

    def add(self, sample: Sample) -> None:
        """Keep one more, and forget what is too old."""
        self._samples.append(sample)
        kept = sum(each.seconds for each in self._samples)
        while len(self._samples) > 1 and kept - self._samples[0].seconds >= self._history:
            kept -= self._samples.popleft().seconds

    def window(self, seconds: float) -> Window:
        """The newest samples that together are no longer than `seconds`, but at least the newest one."""
        chosen: deque[Sample] = deque()
        total = 0.0
        for sample in reversed(self._samples):
            total += sample.seconds
            if chosen and total > seconds * 1.01:  # samples are never taken quite in time
                break
            chosen.appendleft(sample)
        return Window(tuple(chosen))


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _added(counts: Iterable[Mapping[str, int]]) -> Counter[str]:
    whole: Counter[str] = Counter()
    for each in counts:
        whole.update(each)
    return whole
