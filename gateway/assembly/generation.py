"""Opens what a profile says beside the core: one generation of a gateway, of which a reload opens the next."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from gateway.assembly.ahead import look_at_files_again, new_definitions, start_working_ahead
from gateway.assembly.core import Core
from gateway.assembly.gateway import Gateway
from gateway.assembly.monitors import hold_alerting, start_monitors, watching_of
from gateway.assembly.shared import share_with
from gateway.assembly.tiers import Tiers
from gateway.assembly.upstreams import hold_servers, hold_upstreams
from gateway.catalogue.catalogue import Catalogue
from gateway.profile.loader import Loaded
from gateway.profile.profile import Profile
from gateway.watch.gauges import Gauges
from gateway.watch.scaling.levers import levers_of
from gateway.watch.warmer import Warmer


@asynccontextmanager
async def open_generation(
    core: Core, tiers: Tiers, profile: Profile, loaded: Loaded | None = None, before: Gateway | None = None
) -> AsyncIterator[Gateway]:
    """A gateway that can answer, without the services that work ahead of requests.

    What `before` has and `profile` says nothing new of is the same in both. Raises GatewayError.
    """
    async with AsyncExitStack() as stack:
        known = before.profile.upstreams if before is not None else {}
        fresh = [name for name, section in profile.upstreams.items() if section != known.get(name)]
        upstreams = await hold_upstreams(stack, core, profile)
        servers = await hold_servers(stack, core, profile)
        catalogue = Catalogue(profile, core.pipeline, upstreams, servers, None if before is None else before.catalogue)
        stack.enter_context(core.pipeline.listening_elsewhere(catalogue.purged_elsewhere))
        await look_at_files_again(profile, fresh, core.pipeline, tiers.disk)
        warmer = Warmer(catalogue, profile.warm, core.clock)
        if before is not None and before.ready:
            warmer.warmed.set()
        policies = {name: upstream.policies for name, upstream in upstreams.items()}
        policies |= {server.name: server.policies for server in servers}
        share_with(core.shared, profile, policies)
        shared = core.shared.tier if core.shared is not None else None
        lower = tiers.lower if core.shared is None else (*tiers.lower, core.shared.leases.metered)
        gauges = Gauges(tiers.memory, tiers.disk, lower, policies, core.started, shared)
        memory, disk = tiers.memory, tiers.disk
        levers = levers_of(profile, memory, disk, policies)
        watching = watching_of(core, profile, gauges, await hold_alerting(stack, core, profile), levers)
        changes, also = core.changes, core.shared
        yield Gateway(profile, catalogue, core.pipeline, memory, disk, warmer, changes, watching, loaded, also)


@asynccontextmanager
async def working(core: Core, gateway: Gateway, *, ahead: bool) -> AsyncIterator[None]:
    """The services of `gateway` run: with `ahead`, all that nobody asks for; without, it is only ready to warm."""
    async with AsyncExitStack() as stack:
        for server in gateway.catalogue.federation.servers:
            server.known.changed = partial(new_definitions, gateway, server.name)
        gateway.catalogue.refresh()  # they may have changed since it was made
        stack.enter_context(core.pipeline.listening(gateway.warmer.purged))
        await start_working_ahead(stack, core, gateway, ahead=ahead)
        if ahead:
            await start_monitors(stack, gateway)
        yield
