"""`[metrics]`, `[profiling]`, `[monitors]` and `[alerts]`: what the gateway watches about itself."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.profile.section import Section, expected
from gateway.profile.units import Duration, Ratio, Size, format_size


class Metrics(Section):
    """`[metrics]`: the numbers that the gateway keeps of itself."""

    interval: Annotated[Duration, Field(gt=0)] = 30.0
    """How often metrics are sampled."""


class Profiling(Section):
    """`[profiling]`: where the time goes."""

    cpu: bool = False
    """Whether the CPU is profiled."""


class MemoryMonitor(Section):
    """`[monitors.memory]`: the process's resident memory."""

    warning: Size = 400_000_000
    """From here, expired and low-priority entries are given up."""
    critical: Size = 480_000_000
    """From here, the memory tier is emptied."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.warning > self.critical:
            found = f"{format_size(self.warning)} and {format_size(self.critical)}"
            raise expected("a `warning` that is at most `critical`", found=found)
        return self


class Monitors(Section):
    """`[monitors]`: what the gateway does about its own health."""

    memory: MemoryMonitor = MemoryMonitor()
    """What is given up when memory runs short."""


class DurationAlert(Section):
    """Thresholds of a duration: at or above them is bad."""

    warning: Duration | None = None
    """Worth a look."""
    critical: Duration | None = None
    """Worth waking someone."""


class SizeAlert(Section):
    """Thresholds of a size: at or above them is bad."""

    warning: Size | None = None
    """Worth a look."""
    critical: Size | None = None
    """Worth waking someone."""


class RatioAlert(Section):
    """Thresholds of a percentage."""

    warning: Ratio | None = None
    """Worth a look."""
    critical: Ratio | None = None
    """Worth waking someone."""


class RateAlert(Section):
    """Thresholds of a number of requests a second."""

    warning: Annotated[int, Field(ge=0)] | None = None
    """Worth a look."""
    critical: Annotated[int, Field(ge=0)] | None = None
    """Worth waking someone."""


class Alerts(Section):
    """`[alerts]`: thresholds; nothing is raised for one that is not set."""

    response_time: DurationAlert = DurationAlert()
    """Of a request, at the 95th percentile; above is bad."""
    hit_rate: RatioAlert = RatioAlert()
    """Of all tiers together; below is bad."""
    error_rate: RatioAlert = RatioAlert()
    """Failed requests among all; above is bad."""
    throughput: RateAlert = RateAlert()
    """Requests a second that the gateway is meant to carry; above is bad."""
    memory: SizeAlert = SizeAlert()
    """Resident memory; above is bad."""
    cpu: RatioAlert = RatioAlert()
    """Of one core; above is bad."""
