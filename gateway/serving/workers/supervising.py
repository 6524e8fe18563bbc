"""Serves by workers: the supervisor's own sockets, its admin site, and all of it from the start to the end."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import cast

import trio
from hypercorn.typing import ASGIFramework

from gateway.assembly.together import open_watching
from gateway.profile.loader import Loaded
from gateway.profile.profile import Profile
from gateway.profile.serving import Server
from gateway.serving.hosts import admin_check
from gateway.serving.hypercorn_site import HypercornSite, quiet_config, wait_any
from gateway.serving.listening import Listening
from gateway.serving.probes import Probes
from gateway.serving.reloading import Reloader
from gateway.serving.sockets import bind_paths
from gateway.serving.switch import Switch
from gateway.serving.systemd.supervising import status_of
from gateway.serving.workers.fleet import Fleet
from gateway.serving.workers.gauges import FleetGauges
from gateway.serving.workers.numbers import fill
from gateway.serving.workers.place import hub_path
from gateway.serving.workers.site import fleet_site, hub, standing_of
from gateway.telemetry.series import Series
from gateway.telemetry.telemetry import Telemetry
from gateway.watch.watching import Watching


@dataclass(frozen=True, slots=True)
class Together:
    """All workers as one, to be looked at."""

    loaded: Loaded
    watching: Watching

    @property
    def profile(self) -> Profile:
        """What they run on."""
        return self.loaded.profile


class WorkersServing:
    """Serves `loaded` by workers, which are started as `command`. `run` is the service.

    Set `stop` to end it: every worker drains, as a gateway alone does, and the admin site outlives them.
    """

    def __init__(
        self,
        loaded: Loaded,
        command: Sequence[str],
        listening: Listening,
        folder: str,
        stop: trio.Event,
    ) -> None:
        self.listening = listening
        self.fleet = Fleet(loaded, command, list(listening.mcp.values()), folder, stop)
        self._folder = folder
        self._stop = stop
        self._over = trio.Event()
        self._telemetry = Telemetry()
        self._series = Series(loaded.profile.metrics.history)
        self.fleet.heard = self._fill
        self._watching: Watching

    async def run(self, reloader: Reloader, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stop` is set and all have ended. Started once every worker serves. Raises StartError."""
        async with trio.open_nursery() as nursery:
            async with self._hub():
                await nursery.start(self._serve_admin, reloader)
                async with trio.open_nursery() as working:
                    await working.start(self.fleet.run)
                    task_status.started()
                    await self._stop.wait()
                    await trio.sleep(self.fleet.loaded.profile.server.drain_delay)
                    # By now the workers close theirs: whoever connects is to be refused, and not to wait for nobody.
                    self.listening.remove_paths()
                    for sock in self.listening.mcp.values():
                        sock.close()
            self._over.set()

    def status(self) -> str:
        """How they are, for people, on one line."""
        fleet = self.fleet
        serving = sum(worker.serves for worker in fleet.workers)
        standing = standing_of(fleet, self._stop)
        about = status_of(fleet.loaded.name, standing.tools, standing.tiers, self._watching, ready=fleet.ready)
        return f"{about}; {serving} of {len(fleet.workers)} workers"

    @property
    def section(self) -> Server:
        """`[server]` of the profile in force."""
        return self.fleet.loaded.profile.server

    @property
    def address(self) -> str:
        """Where MCP is served."""
        return self.listening.mcp_addresses[0]

    @property
    def replaced(self) -> trio.Event:
        """Set when another profile takes the place of the one in force."""
        return self.fleet.replaced

    @asynccontextmanager
    async def _hub(self) -> AsyncIterator[None]:
        """Workers can ask, until the block ends."""
        (sock,) = bind_paths("server.workers", [hub_path(self._folder)], 0o600)
        over = trio.Event()
        site = HypercornSite(Switch(hub(self.fleet)), quiet_config(), over)
        with sock:
            async with trio.open_nursery() as nursery:
                await nursery.start(site.run, [sock])
                try:
                    yield
                finally:
                    over.set()

    async def _serve_admin(self, reloader: Reloader, *, task_status: trio.TaskStatus[None]) -> None:
        """The admin site, whose alerts and addresses are those of the profile in force."""
        switch: Switch | None = None
        sockets: list[socket.socket] = list(self.listening.admin.values())
        addresses = self.listening.admin_addresses  # now: the site closes its sockets when it stops
        async with trio.open_nursery() as nursery:
            while not self._over.is_set():
                loaded, replaced = self.fleet.loaded, self.fleet.replaced  # at once: opening takes a while
                gauges = FleetGauges(lambda: self.fleet.numbers, lambda: self.fleet.retired)
                async with open_watching(loaded.profile, self._telemetry, gauges, self._series) as watching:
                    self._watching = watching
                    site = fleet_site(self.fleet, Together(loaded, watching), self._stop, reloader)
                    probed = cast("ASGIFramework", Probes(site, partial(standing_of, self.fleet, self._stop)))
                    checked = admin_check(probed, addresses, loaded.profile.admin)
                    if switch is None:
                        switch = Switch(cast("ASGIFramework", checked))
                        await nursery.start(HypercornSite(switch, quiet_config(), self._over).run, sockets)
                        task_status.started()
                    switch.app = cast("ASGIFramework", checked)
                    await wait_any(replaced, self._over)

    def _fill(self) -> None:
        fill(self._telemetry, [self.fleet.retired, *self.fleet.numbers])


@asynccontextmanager
async def open_folder() -> AsyncIterator[str]:
    """A folder for the sockets of a supervisor and its workers, which nobody else may enter (mkdtemp(3))."""
    with tempfile.TemporaryDirectory(prefix="gateway-") as folder:
        await trio.lowlevel.checkpoint()
        yield folder
