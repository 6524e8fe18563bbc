"""Opens the way to an OpenTelemetry collector, where a profile names one."""

from __future__ import annotations

from contextlib import AsyncExitStack

import trio

from gateway.errors import StartError
from gateway.profile.profile import Profile
from gateway.telemetry.telemetry import Telemetry
from gateway.watch.supervision import Supervised
from gateway.watch.watching import Watching

# What only some profiles need is imported where it is opened: a gateway over stdio starts with its agent.


async def open_tracing(stack: AsyncExitStack, profile: Profile) -> None:
    """Spans are sent until `stack` closes. Raises StartError where the extra `otel` is not installed."""
    section = profile.opentelemetry
    if section.endpoint is None:
        return
    try:
        from gateway.telemetry import otel
    except ModuleNotFoundError as error:
        raise StartError(
            f"opentelemetry.endpoint needs the extra `otel`, {error.name} is not installed: pip install 'gateway[otel]'"
        ) from error
    await stack.enter_async_context(otel.open_tracing(section, section.endpoint, otel.resource_of(profile.server.name)))


async def start_sending(services: trio.Nursery, profile: Profile, watching: Watching, telemetry: Telemetry) -> None:
    """Metrics are sent as long as `services` run."""
    section = profile.opentelemetry
    if section.endpoint is None or not section.metrics:
        return
    from gateway.telemetry.otel import MetricsSender, resource_of

    sender = MetricsSender(section, section.endpoint, resource_of(profile.server.name), watching.metrics)
    await services.start(Supervised("opentelemetry", sender.run, telemetry).run)
