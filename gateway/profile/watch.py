"""`[metrics]`, `[opentelemetry]`, `[profiling]` and `[monitors]`: what the gateway watches about itself."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from gateway.profile.section import Section, expected, matching
from gateway.profile.units import Duration, Ratio, Size, format_duration, format_size

_MOST_SAMPLES = 7200
"""Each takes some thousand bytes."""


class Metrics(Section):
    """`[metrics]`: the numbers that the gateway keeps of itself."""

    interval: Annotated[Duration, Field(ge=0.1)] = 30.0
    """How often the numbers are judged: alerts are raised and cleared so often."""
    resolution: Annotated[Duration, Field(ge=0.1)] = 5.0
    """How often they are sampled, for the dashboard and `gateway top`."""
    history: Annotated[Duration, Field(ge=1)] = 3600.0
    """For how long samples are kept; the longest window of an alert."""

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        if self.resolution > self.interval:
            found = f"{format_duration(self.resolution)} and {format_duration(self.interval)}"
            raise expected("a `resolution` that is at most `interval`", found=found)
        if not 2 <= self.history / self.resolution <= _MOST_SAMPLES:
            found = f"{format_duration(self.history)} of samples every {format_duration(self.resolution)}"
            raise expected(f"a `history` of 2 to {_MOST_SAMPLES} times `resolution`", found=found)
        return self


Endpoint = Annotated[str, *matching(r"https?://[^\s/]+(/\S*)?", 'an address such as "http://127.0.0.1:4318"')]


class OpenTelemetry(Section):
    """`[opentelemetry]`: spans and metrics to a collector by OTLP over HTTP; needs the extra `otel`."""

    endpoint: Endpoint | None = None
    """The collector; nothing is sent where there is none."""
    headers: dict[str, str] = {}
    """Sent along; a credential comes from `${credential:NAME}`."""
    traces: Ratio = 1.0
    """Share of requests whose spans are sent, where the caller's trace does not decide (W3C Trace Context)."""
    metrics: bool = True
    """Whether metrics are sent, too."""
    interval: Annotated[Duration, Field(ge=1)] = 60.0
    """How often metrics are sent."""


class Profiling(Section):
    """`[profiling]`: where the time goes."""

    cpu: bool = False
    """Whether processor time is sampled every 100 ms: average, peak, user and system of the last minute. A profile of
    the stacks can be recorded at any time."""


class MemoryMonitor(Section):
    """`[monitors.memory]`: the process's resident memory."""

    warning: Size = 400_000_000
    """From here, expired and low-priority entries are given up."""
    critical: Size = 480_000_000
    """From here, garbage is collected and the memory tier is emptied."""
    pause: Annotated[Duration, Field(ge=0.1)] = 30.0
    """How long nothing more is given up after that: what was freed may not leave the process at once."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.warning > self.critical:
            found = f"{format_size(self.warning)} and {format_size(self.critical)}"
            raise expected("a `warning` that is at most `critical`", found=found)
        return self


class Monitors(Section):
    """`[monitors]`: what the gateway does about its own health."""

    interval: Annotated[Duration, Field(ge=0.1)] = 1.0
    """How often each monitor looks."""
    memory: MemoryMonitor = MemoryMonitor.unset()
    """What is given up when memory runs short."""
    descriptors: Annotated[Ratio, Field(gt=0)] = 0.8
    """From this share of the file descriptors that may be open on, the log says so."""
    disk: Size = 1_000_000_000
    """Below so much room where the disk tier's file lies, the log says so."""
    upstream_window: Annotated[Duration, Field(gt=0)] = 60.0
    """How far the health of upstreams looks back: half of all failed, or the breaker open, is not well."""
