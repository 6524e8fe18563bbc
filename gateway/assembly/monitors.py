"""Starts what watches the gateway itself."""

from __future__ import annotations

from contextlib import AsyncExitStack

from gateway.assembly.collector import start_sending
from gateway.assembly.gateway import Gateway
from gateway.assembly.nurseries import cancelled_at_the_end
from gateway.pipeline.clock import Clock
from gateway.profile.profile import Profile
from gateway.telemetry.requests import Requests
from gateway.telemetry.series import Series
from gateway.telemetry.telemetry import Telemetry
from gateway.watch.alerts.alerting import Alerting
from gateway.watch.alerts.notifying import CommandNotifier, Notifier
from gateway.watch.gauges import Gauges
from gateway.watch.monitors.lag import LagMonitor
from gateway.watch.monitors.memory import MemoryMonitor
from gateway.watch.monitors.standing import StandingMonitor
from gateway.watch.profiling.cpu import CpuSamples
from gateway.watch.profiling.profiler import StackProfiler
from gateway.watch.sampling import Sampler
from gateway.watch.supervision import Supervised
from gateway.watch.watching import Watching


async def open_watching(
    stack: AsyncExitStack,
    profile: Profile,
    telemetry: Telemetry,
    clock: Clock,
    gauges: Gauges,
) -> Watching:
    """What the gateway is to know of itself, and who is told of it."""
    requests = Requests(telemetry, sample=profile.logging.requests, slow=profile.logging.slow_requests)
    series, interval = Series(profile.metrics.history), profile.metrics.interval
    alerting = Alerting(profile.alerts, series, interval, clock, await _open_notifiers(stack, profile))
    kinds = ("descriptors", "disk", "upstream")
    standing = tuple(StandingMonitor(kind, profile.monitors, gauges, series) for kind in kinds)
    return Watching(telemetry, requests, gauges, series, alerting, standing, CpuSamples(), StackProfiler())


async def _open_notifiers(stack: AsyncExitStack, profile: Profile) -> list[Notifier]:
    notifiers: list[Notifier] = []
    name, section = profile.server.name, profile.notifications
    if section.webhook is not None:
        from gateway.upstream.client import open_client
        from gateway.watch.alerts.webhook import WebhookNotifier, politeness_of

        client = await stack.enter_async_context(open_client(WebhookNotifier.key, politeness_of(section.webhook)))
        notifiers.append(WebhookNotifier(section.webhook, client, name))
    if section.command is not None:
        notifiers.append(CommandNotifier(section.command, name))
    return notifiers


async def start_monitors(stack: AsyncExitStack, gateway: Gateway) -> None:
    """Every service that looks at the gateway itself; one that fails is started again."""
    watched, resolution = gateway.watching, gateway.profile.metrics.resolution
    telemetry = watched.telemetry
    sampler = Sampler(telemetry, watched.gauges, watched.series, resolution, gateway.pipeline.clock)
    section = gateway.profile.monitors
    memory = MemoryMonitor(section.memory, section.interval, gateway.memory, watched.gauges.resident, telemetry.actions)
    services = await stack.enter_async_context(cancelled_at_the_end())
    monitors = {
        "sampler": sampler.run,
        "lag": LagMonitor(telemetry.lag.of()).run,
        "memory": memory.run,
        "alerts": watched.alerting.run,
    }
    if gateway.profile.profiling.cpu:
        monitors["cpu"] = watched.cpu.run
    monitors |= {monitor.kind: monitor.run for monitor in watched.standing}
    for name, service in monitors.items():
        await services.start(Supervised(name, service, telemetry).run)
    await start_sending(services, gateway.profile, watched, telemetry)
