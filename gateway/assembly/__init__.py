"""The only opener: from a profile to a running gateway, and back. Keep it a list of openings."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from gateway.assembly.ahead import look_at_files_again, new_definitions, start_working_ahead
from gateway.assembly.collector import open_tracing
from gateway.assembly.gateway import Gateway
from gateway.assembly.monitors import open_watching, start_monitors
from gateway.assembly.nurseries import cancelled_at_the_end, finished_at_the_end
from gateway.assembly.shared import open_shared, require_shared, start_shared
from gateway.assembly.tiers import open_disk
from gateway.assembly.upstreams import open_searches, open_upstreams, start_servers
from gateway.catalogue.catalogue import Catalogue
from gateway.pipeline.clock import Clock
from gateway.pipeline.metered import Metered
from gateway.pipeline.pipeline import Pipeline
from gateway.profile.loader import Loaded
from gateway.profile.profile import Profile
from gateway.telemetry.telemetry import Telemetry
from gateway.tiers.memory import MemoryTier
from gateway.watch.changes import Changes
from gateway.watch.gauges import Gauges
from gateway.watch.warmer import Warmer

__all__ = ["Gateway", "open_gateway"]


@asynccontextmanager
async def open_gateway(
    profile: Profile, environ: Mapping[str, str] = os.environ, *, ahead: bool = True, loaded: Loaded | None = None
) -> AsyncIterator[Gateway]:
    """A gateway made of `profile`, running until the block ends.

    Closing cancels the loads under way, waits for what they brought to be written, stops the services and closes the
    resources, in that order. What can't be opened but can be done without (the disk tier) is logged. `ahead` is whether
    to do what nobody asks for: to warm, to look for new releases, to watch itself. `loaded` is where the profile comes
    from.
    """
    require_shared(profile)
    async with AsyncExitStack() as stack:
        clock, telemetry = Clock(), Telemetry()
        await open_tracing(stack, profile)
        memory = MemoryTier(profile.cache.memory, clock) if profile.cache.memory.enabled else None
        disk = await open_disk(stack, profile, clock, telemetry)
        downloads = await stack.enter_async_context(cancelled_at_the_end())
        upstreams = await open_upstreams(stack, downloads, profile, environ)
        stack.callback(downloads.cancel_scope.cancel)  # before the connections that they use are closed
        shared = await open_shared(stack, profile, disk, clock, telemetry)
        writes = await stack.enter_async_context(finished_at_the_end())
        loads = await stack.enter_async_context(cancelled_at_the_end())
        lower = [Metered(disk, telemetry)] if disk is not None else []
        lower += [shared.metered] if shared is not None else []
        absent = ["disk"] if disk is None and profile.cache.disk.enabled else []
        leases = shared.leases if shared is not None else None
        pipeline = Pipeline(
            memory, lower, clock, loads=loads, writes=writes, absent=absent, telemetry=telemetry, shared=leases
        )
        await open_searches(stack, profile, pipeline, upstreams, loads)
        servers = await start_servers(stack, profile, environ)
        stack.callback(loads.cancel_scope.cancel)  # before the servers and indexes that they use are closed
        catalogue = Catalogue(profile, pipeline, upstreams, servers)
        await look_at_files_again(profile, pipeline, disk)
        policies = {name: upstream.policies for name, upstream in upstreams.items()}
        policies |= {server.name: server.policies for server in servers}
        await start_shared(shared, pipeline, policies)
        warmer = Warmer(catalogue, profile.warm, clock)
        pipeline.listen(warmer.purged)
        gauges = Gauges(profile.cache, memory, disk, lower, policies, shared.tier if shared is not None else None)
        watched = await open_watching(stack, profile, telemetry, clock, gauges)
        gateway = Gateway(profile, catalogue, pipeline, memory, disk, warmer, Changes(), watched, loaded, shared)
        for server in servers:
            server.known.changed = partial(new_definitions, gateway, server.name)
        await start_working_ahead(stack, gateway, ahead=ahead)
        if ahead:
            await start_monitors(stack, gateway)
        yield gateway
