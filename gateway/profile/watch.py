"""`[metrics]`, `[profiling]`, `[monitors]` and `[alerts]`: what the gateway watches about itself."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.profile.section import Section, expected
from gateway.profile.units import Duration, Ratio, Size


class Metrics(Section):
    """`[metrics]`."""

    interval: Annotated[Duration, Field(gt=0)] = 30.0
    """How often metrics are sampled."""


class Profiling(Section):
    """`[profiling]`."""

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
            raise expected("a `warning` that is at most `critical`")
        return self


class Monitors(Section):
    """`[monitors]`."""

    memory: MemoryMonitor = MemoryMonitor()


class DurationAlert(Section):
    """Thresholds of a duration: at or above them is bad."""

    warning: Duration | None = None
    critical: Duration | None = None


class SizeAlert(Section):
    """Thresholds of a size: at or above them is bad."""

    warning: Size | None = None
    critical: Size | None = None


class RatioAlert(Section):
    """Thresholds of a percentage."""

    warning: Ratio | None = None
    critical: Ratio | None = None


class RateAlert(Section):
    """Thresholds of a number of requests a second."""

    warning: Annotated[int, Field(ge=0)] | None = None
    critical: Annotated[int, Field(ge=0)] | None = None


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
