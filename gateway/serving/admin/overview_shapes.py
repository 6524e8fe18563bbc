"""The shapes of what the dashboard and `gateway top` show."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from pydantic import Field

from gateway.serving.admin.models import Shape
from gateway.telemetry.histogram import Summary


class Timing(Shape):
    """How long something took; seconds."""

    count: int
    sum: float
    mean: float
    min: float
    max: float
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, summary: Summary) -> Timing:
        """The shape of a summary."""
        return cls(**asdict(summary))


class WindowQuery(Shape):
    """How far to look back."""

    window: Annotated[float, Field(gt=0, le=86400)] = 60.0
    """Seconds; the newest sample at least."""


class TierOverview(Shape):
    """One tier."""

    hit_rate: float | None
    """Within the window; null where nothing was read."""
    entries: int
    size: int
    """Bytes..."""
    limit: int
    """...of at most so many."""
    evictions: int
    """Within the window."""


class UpstreamOverview(Shape):
    """One upstream."""

    p95: float | None
    """Seconds, within the window; null where it was not asked."""
    answer_p95: float | None
    """Seconds of its last 100 answers, without what they waited for here; null where there were too few."""
    asked: int
    failed: int
    under_way: int
    limit: int
    """Requests that may be under way at present; 0 for one on this machine."""
    waits: int
    """Requests that had to wait for that, since the start."""
    queued: int
    throttled: int
    retried: int
    """Retries and hedges within the window."""
    breaker_open: bool


class ProcessOverview(Shape):
    """What the process uses."""

    memory: int
    cpu: float | None
    lag: float | None
    descriptors: int
    disk_free: int | None


class Overview(Shape):
    """How the gateway does."""

    name: str
    profile: str
    version: str
    uptime: float
    """Seconds."""
    ready: bool
    window: float
    """Seconds that the numbers are about."""
    throughput: float
    """Requests a second."""
    hit_rate: float | None
    error_rate: float | None
    timing: Timing
    outcomes: dict[str, int]
    process: ProcessOverview
    tiers: dict[str, TierOverview]
    upstreams: dict[str, UpstreamOverview]
    alerts: int
    """How many are raised."""


class ToolOverview(Shape):
    """One tool since the start."""

    name: str
    strategy: str
    calls: int
    hit_rate: float | None
    """Null where it is not cached, or was not called."""
    failed: int
    refused: int
    hit: float | None
    """Seconds of a call that came from the cache, at the median."""
    miss: float | None
    """Seconds of a call that did not, at the median: what a hit saves."""
    seconds: float
    """Of all its calls together."""


class ToolsAnswer(Shape):
    """The tools that were called, those that took the most time first."""

    tools: list[ToolOverview]


class ProfileAnswer(Shape):
    """The profile in force."""

    name: str
    files: list[str]
    toml: str
    """With where each value comes from, line by line; secrets stand in it as `${…}`."""
    warnings: list[str]
