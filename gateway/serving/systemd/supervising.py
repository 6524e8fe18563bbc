"""The service that keeps systemd informed, from the moment that the gateway serves until it has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import trio

from gateway.profile.serving import Server
from gateway.serving.reloading import Reloader
from gateway.serving.systemd.supervisor import Supervisor
from gateway.serving.systemd.watchdog import Watchdog
from gateway.watch.watching import Watching

_EVERY = 5.0
"""Seconds between two looks at what the status should say; it is told when it is another."""
_LAST_THINGS = 15.0
"""Seconds for what comes after the drain: the last writes, and children that are asked to end."""
_WINDOW = 60.0


class Served(Protocol):
    """What is supervised: a gateway, or several workers."""

    def status(self) -> str:
        """How it is, for people, on one line."""

    @property
    def section(self) -> Server:
        """`[server]` of the profile in force."""

    @property
    def address(self) -> str:
        """Where MCP is served now: "127.0.0.1:8765", "unix:PATH"."""

    @property
    def replaced(self) -> trio.Event:
        """Set when another profile takes the place of the one in force."""


async def supervise(
    supervisor: Supervisor,
    served: Served,
    reloader: Reloader,
    stop: trio.Event,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Tell systemd that it serves, how it is, that it answers, that it reloads, and that it stops; until cancelled.

    It is to be cancelled once all is closed, so that the watchdog hears of the event loop to the end. Ready is what
    serves: whether requests are welcome yet (`server.ready_after`) is for load balancers to ask, at /readyz, or
    everything that is started after the gateway would wait for its upstreams.
    """
    task_status.started()
    if not supervisor:
        return

    def status() -> str:
        failed = reloader.last is not None and reloader.last.error is not None
        return (
            f"{served.status()}; the last reload failed, the profile from before is served"
            if failed
            else served.status()
        )

    reloader.begins = lambda: supervisor.reloading("reloading the profile")
    reloader.ends = lambda: supervisor.ready(status())
    supervisor.ready(status())
    async with trio.open_nursery() as nursery:
        if supervisor.watchdog is not None:
            nursery.start_soon(_watch, supervisor, supervisor.watchdog, served, stop)
        async with trio.open_nursery() as telling:
            telling.start_soon(_tell_status, supervisor, status)
            await stop.wait()
            telling.cancel_scope.cancel()
        supervisor.stopping("draining: what is under way is answered first", _patience(served.section))


async def _watch(supervisor: Supervisor, within: float, served: Served, stop: trio.Event) -> None:
    """The watchdog, which asks where the profile in force has it served."""
    while True:
        async with trio.open_nursery() as nursery:
            replaced = served.replaced
            nursery.start_soon(Watchdog(supervisor, within, served.address, served.section.path, stop).run)
            await replaced.wait()
            nursery.cancel_scope.cancel()


def status_of(profile: str, tools: int, tiers: Sequence[str], watching: Watching, *, ready: bool) -> str:
    """One line: whether requests are welcome, what is served, how the last minute was, and what alerts are raised."""
    window = watching.series.window(_WINDOW)
    parts = [
        "ready" if ready else "warming up",
        f"{tools} {'tool' if tools == 1 else 'tools'} of {profile}",
        f"tiers: {', '.join(tiers) or 'none'}",
        f"{round(window.throughput * 60)} requests/min",
    ]
    if window.hit_rate is not None:
        parts.append(f"{window.hit_rate:.0%} hits")
    if window.error_rate:
        parts.append(f"{window.error_rate:.1%} errors")
    raised = [alert.name + (f" ({alert.subject})" if alert.subject else "") for alert in watching.alerting.raised]
    if raised:
        parts.append(f"alerts: {', '.join(raised)}")
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
