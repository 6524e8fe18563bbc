"""The service that keeps systemd informed, from the moment that the gateway serves until it has ended."""

from __future__ import annotations

from collections.abc import Callable

import trio

from gateway.assembly import Gateway
from gateway.profile.serving import Server
from gateway.serving.systemd.supervisor import Supervisor
from gateway.serving.systemd.watchdog import Watchdog

_EVERY = 5.0
"""Seconds between two looks at what the status should say; it is told when it is another."""
_LAST_THINGS = 15.0
"""Seconds for what comes after the drain: the last writes, and children that are asked to end."""
_WINDOW = 60.0


async def supervise(
    supervisor: Supervisor,
    current: Callable[[], Gateway],
    address: str,
    stop: trio.Event,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Tell systemd that it serves, how it is, that it answers, and that it stops; until cancelled.

    It is to be cancelled once all is closed, so that the watchdog hears of the event loop to the end. Ready is what
    serves: whether requests are welcome yet (`server.ready_after`) is for load balancers to ask, at /readyz, or
    everything that is started after the gateway would wait for its upstreams. `current` is the gateway that serves.
    `address` is where MCP does.
    """
    task_status.started()
    if not supervisor:
        return
    status = status_of(current())
    supervisor.ready(status)
    section = current().profile.server
    async with trio.open_nursery() as nursery:
        if supervisor.watchdog is not None:
            watchdog = Watchdog(supervisor, supervisor.watchdog, address, section.path, stop)
            nursery.start_soon(watchdog.run)
        async with trio.open_nursery() as telling:
            telling.start_soon(_tell_status, supervisor, current, status)
            await stop.wait()
            telling.cancel_scope.cancel()
        supervisor.stopping("draining: what is under way is answered first", _patience(current().profile.server))


def status_of(gateway: Gateway) -> str:
    """One line: whether requests are welcome, what is served, how the last minute was, and what alerts are raised."""
    profile = gateway.loaded.name if gateway.loaded is not None else "?"
    tools = len(gateway.catalogue.definitions)
    window = gateway.watching.series.window(_WINDOW)
    parts = [
        "ready" if gateway.ready else "warming up",
        f"{tools} {'tool' if tools == 1 else 'tools'} of {profile}",
        f"tiers: {', '.join(gateway.tiers) or 'none'}",
        f"{round(window.throughput * 60)} requests/min",
    ]
    if window.hit_rate is not None:
        parts.append(f"{window.hit_rate:.0%} hits")
    if window.error_rate:
        parts.append(f"{window.error_rate:.1%} errors")
    raised = [
        alert.name + (f" ({alert.subject})" if alert.subject else "") for alert in gateway.watching.alerting.raised
    ]
    if raised:
        parts.append(f"alerts: {', '.join(raised)}")
    return "; ".join(parts)


async def _tell_status(supervisor: Supervisor, current: Callable[[], Gateway], told: str) -> None:
    while True:
        await trio.sleep(_EVERY)
        status = status_of(current())
        if status != told:
            supervisor.status(status)
            told = status


def _patience(section: Server) -> float:
    """Seconds that the end may take: MCP drains, then the admin site, which outlives it."""
    return section.drain_delay + 2 * section.drain_timeout + _LAST_THINGS
