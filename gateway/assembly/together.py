"""Opens what watches several workers as one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from gateway.assembly.monitors import open_alerting
from gateway.assembly.nurseries import cancelled_at_the_end
from gateway.pipeline.clock import Clock
from gateway.profile.profile import Profile
from gateway.telemetry.requests import Requests
from gateway.telemetry.series import Series
from gateway.telemetry.telemetry import Telemetry
from gateway.watch.gauges import Gauges
from gateway.watch.monitors.standing import StandingMonitor
from gateway.watch.profiling.cpu import CpuSamples
from gateway.watch.profiling.profiler import StackProfiler
from gateway.watch.sampling import Sampler
from gateway.watch.scaling.scaled import Scaled
from gateway.watch.scaling.scaler import Scaler
from gateway.watch.supervision import Supervised
from gateway.watch.watching import Watching

_KINDS = ("descriptors", "disk", "upstream")


@asynccontextmanager
async def open_watching(
    profile: Profile, telemetry: Telemetry, gauges: Gauges, series: Series
) -> AsyncIterator[Watching]:
    """Samples, alerts and what is well or not, of numbers that other processes tell; at work until the block ends."""
    async with AsyncExitStack() as stack:
        clock, interval, name = Clock(), profile.metrics.interval, profile.server.name
        series.keep(profile.metrics.history)
        alerting = await stack.enter_async_context(
            open_alerting(series, clock, profile.alerts, profile.notifications, name, interval)
        )
        standing = tuple(StandingMonitor(kind, profile.monitors, gauges, series) for kind in _KINDS)
        services = await stack.enter_async_context(cancelled_at_the_end())
        sampler = Sampler(telemetry, gauges, series, profile.metrics.resolution, clock)
        monitors = {"sampler": sampler.run, "alerts": alerting.run, **{each.kind: each.run for each in standing}}
        for kind, service in monitors.items():
            await services.start(Supervised(kind, service, telemetry).run)
        requests, scaler = Requests(telemetry), Scaler(profile, (), gauges, series, Scaled(), clock)
        yield Watching(telemetry, requests, gauges, series, alerting, standing, CpuSamples(), StackProfiler(), scaler)
