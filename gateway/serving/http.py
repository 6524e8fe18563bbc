"""MCP over streamable HTTP and the admin site: what stands on the sockets, and what a reload changes of it."""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import TYPE_CHECKING, cast

import trio
from hypercorn.config import Config
from hypercorn.typing import ASGIFramework

from gateway.assembly import Gateway
from gateway.assembly.running import Commit, Running
from gateway.errors import StartError
from gateway.profile.profile import Profile
from gateway.profile.serving import Server
from gateway.profile.upstreams.policies import Politeness
from gateway.profile.upstreams.search import SearchUpstream
from gateway.serving.admission import Admission
from gateway.serving.admission_check import AdmissionCheck
from gateway.serving.at_path import at_path
from gateway.serving.direct.answers import Answers
from gateway.serving.direct.asking import AskSdk
from gateway.serving.endpoint import Endpoint
from gateway.serving.front.front import Front
from gateway.serving.front.handling import Handling
from gateway.serving.front.head import Heads
from gateway.serving.front.poller import Poller
from gateway.serving.hosts import HostCheck, admin_check
from gateway.serving.hypercorn_connections import Hypercorn
from gateway.serving.hypercorn_site import HypercornSite, quiet_config
from gateway.serving.listening import Listening, listen
from gateway.serving.on_demand import OnDemand
from gateway.serving.probes import Probes, Standing
from gateway.serving.reloading import Reloader
from gateway.serving.switch import Switch
from gateway.serving.systemd.passed import Passed
from gateway.serving.systemd.supervising import status_of

if TYPE_CHECKING:
    from quart import Blueprint

_SITE = "gateway.serving.admin.site"
"""Imported when it is first asked."""
_REFUSED_LINGERS = 5.0
"""Seconds after which hypercorn closes a connection on which nothing is asked."""


@dataclass(frozen=True, slots=True)
class _Stage:
    """What stands between the sockets and one gateway."""

    endpoint: Endpoint
    admission: Admission
    handling: Handling
    mcp: ASGIFramework
    site: ASGIFramework
    config: Config


class HttpServing:
    """Serves a gateway, and those that take its place, on their sockets. `run` is the service.

    Set `stop` to end it: /readyz says so at once, while all is served for another `server.drain_delay`. Then requests
    under way get at most `server.drain_timeout` to finish. Sockets that were `passed` are not opened by it.
    """

    def __init__(
        self,
        running: Running,
        listening: Listening,
        stop: trio.Event,
        reloader: Reloader,
        passed: Sequence[Passed] = (),
        more: Callable[[Gateway], Sequence[Blueprint]] = lambda _: (),
    ) -> None:
        """`more` are routes of the admin site beside its own."""
        self.listening = listening
        self._passed = passed
        self._more = more
        self._closing = trio.Event()
        self._running = running
        self._stop = stop
        self._reloader = reloader
        self._drained = trio.Event()
        """The admin site outlives MCP, so that a probe is told that the gateway drains."""
        gateway = running.gateway
        self._stage = stage = self._build(gateway, listening, None)
        self._mcp, self._admin = Switch(stage.mcp), Switch(stage.site)
        hypercorn = Hypercorn(cast("ASGIFramework", self._mcp), stage.config)
        self._front: Front | None = None
        if gateway.profile.server.front:
            poller = Poller() if hasattr(select, "epoll") else None
            self._front = Front(stage.handling, hypercorn, gateway.watching.telemetry.connections, poller)
        self._mcp_site = HypercornSite(self._mcp, _config(gateway.profile), self._closing)
        self._admin_site = HypercornSite(self._admin, _config(gateway.profile), self._drained)
        self._endpoints: trio.Nursery

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `stop` is set, and what was said of the end has been done."""
        async with trio.open_nursery() as self._endpoints:
            await self._endpoints.start(self._stage.endpoint.run)
            async with trio.open_nursery() as sites:
                await sites.start(self._admin_site.run, list(self.listening.admin.values()))
                await sites.start(self._serve_mcp)
                self._running.prepare = self._prepare
                task_status.started()
                await self._stop.wait()
                await trio.sleep(self._running.gateway.profile.server.drain_delay)
                self._closing.set()
                # Now and not in the end: the next process may listen there by then.
                self.listening.remove_paths()
                self._stage.endpoint.end_streams()
            self._stage.endpoint.end()
        for sock in self.listening.without(None):
            sock.close()

    def status(self) -> str:
        """How it is, for people, on one line."""
        gateway = self._running.gateway
        name, tools = self._running.loaded.name, len(gateway.catalogue.definitions)
        return status_of(name, tools, gateway.tiers, gateway.watching, ready=gateway.ready)

    @property
    def section(self) -> Server:
        """`[server]` of the profile in force."""
        return self._running.gateway.profile.server

    @property
    def address(self) -> str:
        """Where MCP is served."""
        return self.listening.mcp_addresses[0]

    @property
    def replaced(self) -> trio.Event:
        """Set when another profile takes the place of the one in force."""
        return self._running.replaced

    async def _serve_mcp(self, *, task_status: trio.TaskStatus[None]) -> None:
        sockets = list(self.listening.mcp.values())
        if self._front is not None:
            await self._front.serve(sockets, self._closing, task_status=task_status)
        else:
            await self._mcp_site.run(sockets, task_status=task_status)
        self._drained.set()

    async def _prepare(self, gateway: Gateway) -> Commit:
        """Bind and build what another gateway needs beside what is there; raises StartError."""
        if self._closing.is_set():  # what it would be built upon is about to be closed
            raise StartError("the gateway is stopping")
        before = self._stage
        listening = listen(gateway.profile, self._passed, self.listening)
        try:
            stage = self._build(gateway, listening, before)
            if stage.endpoint is not before.endpoint:
                await self._endpoints.start(stage.endpoint.run)
        except BaseException:
            listening.remove_paths(self.listening)
            for sock in listening.without(self.listening):
                sock.close()
            raise
        return partial(self._take_over, gateway, stage, listening)

    def _take_over(self, gateway: Gateway, stage: _Stage, listening: Listening) -> None:
        before, left, self._stage, self.listening = self._stage, self.listening, stage, listening
        if stage.endpoint is before.endpoint:
            stage.endpoint.use(gateway)
        else:
            before.endpoint.end()
        self._mcp.app, self._admin.app = stage.mcp, stage.site
        if self._closing.is_set():  # nobody listens any more, and what is there now is the last
            return
        mcp, admin = list(listening.mcp.values()), list(listening.admin.values())
        if self._front is not None:
            self._front.hypercorn.config = stage.config
            self._front.use(stage.handling)
            self._front.listen(mcp)
        elif mcp != list(left.mcp.values()):
            self._mcp_site.config = _config(gateway.profile)
            self._mcp_site.listen(mcp)
        if admin != list(left.admin.values()):
            self._admin_site.config = _config(gateway.profile)
            self._admin_site.listen(admin)
        left.remove_paths(listening)
        for sock in left.without(listening):
            sock.close()

    def _build(self, gateway: Gateway, listening: Listening, before: _Stage | None) -> _Stage:
        profile = gateway.profile
        section = profile.server
        endpoint = before.endpoint if before is not None and before.endpoint.serves(gateway) else None
        endpoint = endpoint or Endpoint(gateway, self._closing)
        admission = before.admission if before is not None and before.admission.admits_by(profile) else None
        admission = admission or Admission(profile, gateway.watching.telemetry, bucket=gateway.bucket)
        mcp = at_path(section.path, cast("ASGIFramework", endpoint), streams=section.sessions)
        if admission.needed:
            mcp = cast("ASGIFramework", AdmissionCheck(mcp, admission))
        checked = HostCheck(mcp, listening.mcp_addresses, section.allowed_hosts, section.allowed_origins)
        heads = Heads(section, lambda headers: checked.refusal(headers) is None)
        answers = Answers(gateway, AskSdk(endpoint, section.path))
        site = OnDemand(_SITE, partial(self._site, gateway))
        probed = Probes(cast("ASGIFramework", site), partial(self._standing, gateway))
        admin_site = admin_check(cast("ASGIFramework", probed), listening.admin_addresses, profile.admin)
        handling = Handling(section, heads, admission, answers)
        app, admin = cast("ASGIFramework", checked), cast("ASGIFramework", admin_site)
        return _Stage(endpoint, admission, handling, app, admin, _config(profile))

    def _standing(self, gateway: Gateway) -> Standing:
        tools, tiers = len(gateway.catalogue.definitions), list(gateway.tiers)
        return Standing.of(tools, tiers, ready=gateway.ready, stopping=self._stop.is_set())

    def _site(self, gateway: Gateway, module: ModuleType) -> ASGIFramework:
        site: ASGIFramework = module.build_site(gateway, self._stop, self._reloader, self._more(gateway))
        return site


def _config(profile: Profile) -> Config:
    """What hypercorn is to do, apart from where."""
    limits = profile.server.connections
    config = quiet_config()
    config.graceful_timeout = profile.server.drain_timeout
    config.keep_alive_max_requests = limits.max_requests
    # A connection whose body was refused half way counts as idle, too, and nothing else ends it.
    config.keep_alive_timeout = min(limits.idle_timeout, _REFUSED_LINGERS)
    config.h11_max_incomplete_size = limits.max_header_size
    # The default waits for ever for a body that stops half way. It runs while a request is answered, too, so it has to
    # be longer than that may take: at worst four documents of one upstream, one after the other.
    upstreams = profile.upstreams.values()
    timeouts = [each.timeout for each in upstreams if isinstance(each, Politeness)]
    timeouts += [each.patience for each in upstreams if isinstance(each, SearchUpstream)]
    # With sessions it would end the streams that a client has opened as well, and questions that people think about:
    # then `SessionGuard` looks after bodies.
    config.read_timeout = None if profile.server.sessions else 60 + round(4 * max(timeouts, default=0))
    return config
