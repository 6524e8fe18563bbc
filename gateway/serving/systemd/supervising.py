"""The service that keeps systemd informed, from the moment that the gateway serves until it has ended."""

from __future__ import annotations

from collections.abc import Callable

import trio

from gateway.assembly import Gateway
from gateway.assembly.running import Running
from gateway.profile.serving import Server
from gateway.serving.reloading import Reloaded, Reloader
from gateway.serving.systemd.supervisor import Supervisor
from gateway.serving.systemd.watchdog import Watchdog

_EVERY = 5.0
"""Seconds between two looks at what the status should say; it is told when it is another."""
_LAST_THINGS = 15.0
"""Seconds for what comes after the drain: the last writes, and children that are asked to end."""
_WINDOW = 60.0


async def supervise(
    supervisor: Supervisor,
    running: Running,
    reloader: Reloader,
    address: Callable[[], str],
    stop: trio.Event,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Tell systemd that it serves, how it is, that it answers, that it reloads, and that it stops; until cancelled.

    It is to be cancelled once all is closed, so that the watchdog hears of the event loop to the end. Ready is what
    serves: whether requests are welcome yet (`server.ready_after`) is for load balancers to ask, at /readyz, or
    everything that is started after the gateway would wait for its upstreams. `address` is where MCP is served now.
    """
    task_status.started()
    if not supervisor:
        return

    def status() -> str:
        return status_of(running.gateway, reloader.last)

    reloader.begins = lambda: supervisor.reloading("reloading the profile")
    reloader.ends = lambda: supervisor.ready(status())
    supervisor.ready(status())
    async with trio.open_nursery() as nursery:
        if supervisor.watchdog is not None:
            nursery.start_soon(_watch, supervisor, supervisor.watchdog, running, address, stop)
        async with trio.open_nursery() as telling:
            telling.start_soon(_tell_status, supervisor, status)
            await stop.wait()
            telling.cancel_scope.cancel()
        section = running.gateway.profile.server
        supervisor.stopping("draining: what is under way is answered first", _patience(section))


async def _watch(
    supervisor: Supervisor, within: float, running: Running, address: Callable[[], str], stop: trio.Event
) -> None:
    """The watchdog, which asks where the profile in force has it served."""
    while True:
        async with trio.open_nursery() as nursery:
            replaced = running.replaced
            path = running.gateway.profile.server.path
            nursery.start_soon(Watchdog(supervisor, within, address(), path, stop).run)
            await replaced.wait()
            nursery.cancel_scope.cancel()


def status_of(gateway: Gateway, reloaded: Reloaded | None = None) -> str:
    """One line: whether requests are welcome, what is served, how the last minute was, what is wrong."""
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
    if reloaded is not None and reloaded.error is not None:
        parts.append("the last reload failed, the profile from before is served")
    return "; ".join(parts)


async def _tell_status(supervisor: Supervisor, status: Callable[[], str]) -> None:
    told = status()
    while True:
        await trio.sleep(_EVERY)
        now = status()
        if now != told:
            supervisor.status(now)
            told = now


def _patience(section: Server) -> float:
    """Seconds that the end may take: MCP drains, then the admin site, which outlives it."""
    return section.drain_delay + 2 * section.drain_timeout + _LAST_THINGS
