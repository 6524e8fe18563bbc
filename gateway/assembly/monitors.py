"""Starts what watches the gateway itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from gateway.assembly.gateway import Gateway
from gateway.assembly.nurseries import cancelled_at_the_end
from gateway.pipeline.metered import Metered
from gateway.profile.profile import Profile
from gateway.telemetry.requests import Requests
from gateway.telemetry.series import Series
from gateway.telemetry.telemetry import Telemetry
from gateway.tiers.memory import MemoryTier
from gateway.upstream.model import Upstream
from gateway.watch.gauges import Gauges
from gateway.watch.monitors.lag import LagMonitor
from gateway.watch.sampling import Sampler
from gateway.watch.supervision import Supervised
from gateway.watch.watching import Watching

if TYPE_CHECKING:
    from gateway.tiers.disk import DiskTier
    from gateway.upstream.mcp.server import McpServer


def watching(
    profile: Profile,
    telemetry: Telemetry,
    memory: MemoryTier | None,
    disk: DiskTier | None,
    lower: Sequence[Metered],
    upstreams: Iterable[Upstream | McpServer],
) -> Watching:
    """What the gateway is to know of itself."""
    gauges = Gauges(
        memory,
        disk,
        lower,
        {upstream.name: upstream.policies for upstream in upstreams},
        memory_limit=profile.cache.memory.max_size,
        disk_limit=profile.cache.disk.max_size,
    )
    requests = Requests(telemetry, sample=profile.logging.requests, slow=profile.logging.slow_requests)
    return Watching(telemetry, requests, gauges, Series(profile.metrics.history))


async def start_monitors(stack: AsyncExitStack, gateway: Gateway) -> None:
    """Every service that looks at the gateway itself; one that fails is started again."""
    watched, resolution = gateway.watching, gateway.profile.metrics.resolution
    telemetry = watched.telemetry
    sampler = Sampler(telemetry, watched.gauges, watched.series, resolution, gateway.pipeline.clock)
    services = await stack.enter_async_context(cancelled_at_the_end())
    for name, service in {"sampler": sampler.run, "lag": LagMonitor(telemetry.lag.of()).run}.items():
        await services.start(Supervised(name, service, telemetry).run)
