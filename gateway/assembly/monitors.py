"""Starts what watches the gateway itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from gateway.assembly.collector import start_sending
from gateway.assembly.core import Core
from gateway.assembly.gateway import Gateway
from gateway.assembly.nurseries import cancelled_at_the_end
from gateway.pipeline.clock import Clock
from gateway.profile.alerts import Alerts, Notifications
from gateway.profile.profile import Profile
from gateway.telemetry.requests import Requests
from gateway.telemetry.series import Series
from gateway.watch.alerts.alerting import Alerting
from gateway.watch.alerts.notifying import CommandNotifier, Notifier
from gateway.watch.gauges import Gauges
from gateway.watch.monitors.lag import LagMonitor
from gateway.watch.monitors.memory import MemoryMonitor
from gateway.watch.monitors.standing import StandingMonitor
from gateway.watch.sampling import Sampler
from gateway.watch.scaling.levers import Lever
from gateway.watch.scaling.scaler import Scaler
from gateway.watch.supervision import Supervised
from gateway.watch.watching import Watching


async def hold_alerting(stack: AsyncExitStack, core: Core, profile: Profile) -> Alerting:
    """What judges the numbers; it goes on over a reload that says nothing new of it, with what it has raised."""
    name, interval = profile.server.name, profile.metrics.interval
    about = "alerting", profile.alerts, profile.notifications, name, interval
    opening = partial(open_alerting, core.series, core.clock, profile.alerts, profile.notifications, name, interval)
    return await core.parts.hold(stack, about, opening)


@asynccontextmanager
async def open_alerting(
    series: Series, clock: Clock, alerts: Alerts, section: Notifications, name: str, interval: float
) -> AsyncIterator[Alerting]:
    """What judges the numbers of `series`, with those who are told of it; its `run` is for the caller to start."""
    async with AsyncExitStack() as stack:
        notifiers: list[Notifier] = []
        if section.webhook is not None:
            from gateway.upstream.client import open_client
            from gateway.watch.alerts.webhook import WebhookNotifier, politeness_of

            client = await stack.enter_async_context(open_client(WebhookNotifier.key, politeness_of(section.webhook)))
            notifiers.append(WebhookNotifier(section.webhook, client, name))
        if section.command is not None:
            notifiers.append(CommandNotifier(section.command, name))
        yield Alerting(alerts, series, interval, clock, notifiers)


def watching_of(core: Core, profile: Profile, gauges: Gauges, alerting: Alerting, levers: Sequence[Lever]) -> Watching:
    """What the gateway is to know of itself, and who is told of it."""
    requests = Requests(core.telemetry, sample=profile.logging.requests, slow=profile.logging.slow_requests)
    kinds = ("descriptors", "disk", "upstream")
    standing = tuple(StandingMonitor(kind, profile.monitors, gauges, core.series) for kind in kinds)
    scaler = Scaler(profile, levers, gauges, core.series, core.scaled, core.clock)
    return Watching(core.telemetry, requests, gauges, core.series, alerting, standing, core.cpu, core.profiler, scaler)


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
        "scaler": watched.scaler.run,
    }
    if gateway.profile.profiling.cpu:
        monitors["cpu"] = watched.cpu.run
    monitors |= {monitor.kind: monitor.run for monitor in watched.standing}
    for name, service in monitors.items():
        await services.start(Supervised(name, service, telemetry).run)
    await start_sending(services, gateway.profile, watched, telemetry)
