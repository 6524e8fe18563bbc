"""What is counted while a load test runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from gateway.loading.model import LASTING, Reply
from gateway.telemetry.histogram import Histogram, combined

_SECONDS = 7200
"""Seconds of a run that are kept one by one; what comes later falls into the last one."""


@dataclass(slots=True, eq=False)
class Counts:
    """Of one tool, or of one second."""

    latency: Histogram = field(default_factory=Histogram)
    """Of successes, and of what waited in vain."""
    succeeded: int = 0
    failed: int = 0
    size: int = 0

    def count(self, seconds: float, reply: Reply) -> None:
        """Count one more."""
        self.size += reply.size
        if reply.error is None:
            self.succeeded += 1
            self.latency.record(seconds)
            return
        self.failed += 1
        if reply.error in LASTING:
            self.latency.record(seconds)


class Tally:
    """All requests that count, by tool and by second."""

    def __init__(self) -> None:
        self.tools: dict[str, Counts] = {}
        self.seconds: dict[int, Counts] = {}
        self.errors: Counter[str] = Counter()
        self.details: dict[str, str] = {}
        """Per kind of error, what the server said first."""

    def count(self, tool: str, at: float, seconds: float, reply: Reply) -> None:
        """Count a request for `tool` that ended `at` seconds after counting began, and took `seconds`."""
        counts = self.tools.get(tool)
        if counts is None:
            counts = self.tools[tool] = Counts()
        counts.count(seconds, reply)
        second = min(int(at), _SECONDS)
        within = self.seconds.get(second)
        if within is None:
            within = self.seconds[second] = Counts()
        within.count(seconds, reply)
        if reply.error is not None:
            self.errors[reply.error] += 1
            self.details.setdefault(reply.error, reply.detail)

    @property
    def succeeded(self) -> int:
        """Requests that were answered well."""
        return sum(counts.succeeded for counts in self.tools.values())

    @property
    def failed(self) -> int:
        """Requests that were not."""
        return sum(counts.failed for counts in self.tools.values())

    @property
    def size(self) -> int:
        """Bytes that came back."""
        return sum(counts.size for counts in self.tools.values())

    def latency(self) -> Histogram:
        """Of all tools together."""
        return combined(counts.latency for counts in self.tools.values())
